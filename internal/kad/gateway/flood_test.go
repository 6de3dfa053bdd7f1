package gateway

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/limit"
	"github.com/gamelan-p2p/gamelan/internal/kad/requests"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// TestProbesTakeNoPlace sends PINGs from more invented addresses than there may be requests under
// way. Each gets a probe; no request of this node is refused for that, and a node that answers
// its probe among them is met.
//
// conforms: kad 8
func TestProbesTakeNoPlace(t *testing.T) {
	x := newModel(t, rand.New(rand.NewPCG(1, 2)))
	honest := overlay.SeedContact(overlay.ID{9}, "/ip4/40.1.2.3/udp/4")
	ping := overlay.Message{Verb: overlay.Ping}
	ping.Sender = honest.ID
	x.receive(honest.Addresses[0], ping, 60, overlay.Message{})
	probe := x.sent[0]
	for i := range 3000 {
		ping.Sender = overlay.ID{1, byte(i), byte(i >> 8)}
		x.receive(overlay.Address(fmt.Sprintf("/ip4/30.%d.%d.1/udp/9", i>>8, i&0xff)), ping, 60, overlay.Message{})
	}
	if x.counts.probes != 3001 {
		t.Fatalf("got %d probes, want 3,001", x.counts.probes)
	}
	for ref := requests.Ref(1); ref <= 100; ref++ {
		to := overlay.Address(fmt.Sprintf("/ip4/50.0.%d.1/udp/9", ref))
		x.open[ref] = true
		x.step(&Ask{Ref: ref, To: to, Message: overlay.Message{Verb: overlay.FindValue}}, false)
	}
	if len(x.open) != 100 || x.m.Len() != 100 {
		t.Errorf("got %d of 100 requests under way", len(x.open))
	}
	if got := x.m.firstSeen.Remembered(); got != 100 {
		t.Errorf("got %d addresses met, want those of the 100 requests", got)
	}
	x.now = x.now.Add(limit.ProbeEvery)
	answer := overlay.Message{Verb: overlay.Nodes, ID: probe.Message.ID, Sender: honest.ID}
	x.receive(honest.Addresses[0], answer, 68, overlay.Message{})
	x.receive(honest.Addresses[0], answer, 68, overlay.Message{}) // a second one changes nothing
	if x.counts.met != 1 || !x.m.proofs.Proven(honest.Addresses[0], honest.ID, x.now) {
		t.Errorf("got %d nodes met, want the one that has answered its probe", x.counts.met)
	}
}

// TestProbeIDs are believed from the address and the node that the probe went to, for one to two
// epochs, and from nobody else.
//
// conforms: kad 8
func TestProbeIDs(t *testing.T) {
	p := newProbes(20, rand.New(rand.NewPCG(1, 2)))
	now := time.Unix(1_800_000_000, 0)
	at, peer := overlay.Address("/ip4/30.0.0.1/udp/1"), overlay.ID{1}
	id := p.id(at, peer, now)
	for i, b := range id {
		if i >= 20 && b != 0 {
			t.Fatalf("got %x, want 20 bytes", id)
		}
	}
	other := id
	other[3] ^= 1
	for name, c := range map[string]struct {
		id    overlay.RequestID
		at    overlay.Address
		peer  overlay.ID
		after time.Duration
		want  bool
	}{
		"at once":         {id, at, peer, 0, true},
		"an epoch later":  {id, at, peer, 2*probeEpoch - 1, true},
		"too late":        {id, at, peer, 2 * probeEpoch, false},
		"another id":      {other, at, peer, 0, false},
		"another address": {id, "/ip4/30.0.0.1/udp/2", peer, 0, false},
		"another node":    {id, at, overlay.ID{2}, 0, false},
		"zeros":           {overlay.RequestID{}, at, peer, 0, false},
	} {
		if got := p.sent(c.id, c.at, c.peer, now.Add(c.after)); got != c.want {
			t.Errorf("%s: got %t, want %t", name, got, c.want)
		}
	}
	if newProbes(20, rand.New(rand.NewPCG(3, 4))).id(at, peer, now) == id {
		t.Error("got the same id with another secret")
	}
}

// TestWaitingIsShared has answers of one network wait, more than may: those of another one are not
// dropped for them, and no address has more than its share.
func TestWaitingIsShared(t *testing.T) {
	x := newModel(t, rand.New(rand.NewPCG(1, 2)))
	long := &overlay.Message{Verb: overlay.Value}
	wait := func(at overlay.Address) {
		x.m.wait(x.now, &Request{Packet: overlay.Packet{Address: at}, Group: at.Group()}, long)
	}
	const honest = overlay.Address("/ip4/40.1.2.3/udp/4")
	wait(honest)
	for i := range 2 * maxWaiting {
		wait(overlay.Address(fmt.Sprintf("/ip4/30.0.0.%d/udp/9", 1+i%200)))
	}
	if n, left := x.m.Waiting(), x.m.waiting.per[honest]; n != maxWaiting || left != 1 {
		t.Errorf("got %d that wait, %d of the other network, want %d and 1", n, left, maxWaiting)
	}
	x = newModel(t, rand.New(rand.NewPCG(1, 2)))
	for range 2 * maxWaitingPer {
		wait(honest)
	}
	if n := x.m.Waiting(); n != maxWaitingPer {
		t.Errorf("one address: got %d that wait, want %d", n, maxWaitingPer)
	}
	x.now = x.now.Add(waitFor)
	x.step(Due{}, false)
	if x.m.Waiting() != 0 || len(x.m.waiting.per)+len(x.m.waiting.groups) != 0 {
		t.Error("got answers that wait after their time")
	}
}
