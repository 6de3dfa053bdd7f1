package reach

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// script is a judge whose every request the test sees.
type script struct {
	*Judge
	now time.Time
}

func newScript(claimed ...netip.AddrPort) *script {
	r := &script{NewJudge(rand.NewChaCha8([32]byte{1})), time.Unix(1e9, 0)}
	r.Set(r.now, []netip.Addr{netip.MustParseAddr("10.0.0.2"), public.Addr()}, claimed, []uint16{18189})
	return r
}

func (r *script) meet(id byte, net, sees string) Asks {
	r.Met(r.now, Observer{ID: identity.NodeID{id}, Conn: 1, Network: NetworkOf(netip.MustParseAddr(net))})
	return r.Observed(r.now, identity.NodeID{id}, 1, netip.MustParseAddr(sees))
}

// TestMutePeer: one says nothing, so another one is asked.
func TestMutePeer(t *testing.T) {
	r := newScript(public)
	if a := r.meet(1, "198.51.100.1", "203.0.113.7"); len(a.Dial) != 1 {
		t.Fatal(a)
	}
	r.meet(2, "192.0.2.1", "203.0.113.7")
	r.now = r.now.Add(AskLimit)
	a := r.Look(r.now)
	if len(a.Dial) != 1 {
		t.Errorf("Look: got dials %v; pending in the machine: %d, asking %v", a.Dial, len(r.pending), r.asking(public))
	}
}

// TestMutePeers: nobody says anything, and all are asked again and again.
func TestMutePeers(t *testing.T) {
	r := newScript(public)
	for i := byte(1); i <= 7; i++ {
		r.meet(i, fmt.Sprintf("198.%d.100.1", i), "203.0.113.7")
	}
	asked, until := 1, r.now.Add(time.Hour) // the first was asked by meet
	for r.now.Before(until) {
		due := r.Due(r.now)
		if !due.After(r.now) {
			due = r.now.Add(time.Second)
		}
		r.now = due
		asked += len(r.Look(r.now).Dial)
	}
	if asked < 10 {
		t.Errorf("asked %d times in an hour, though the machine notes one request each 10 s", asked)
	}
}

// TestOneFailure: one peer fails once, and leaves. That is no verdict.
func TestOneFailure(t *testing.T) {
	r := newScript(public)
	a := r.meet(1, "198.51.100.1", "203.0.113.7")
	r.Answered(r.now, a.Dial[0], Failed)
	if v := r.Judged(r.now)[0]; v.Verdict != protocol.ReachNotKnown {
		t.Fatal(v)
	}
	r.Left(r.now, identity.NodeID{1}, 1)
	if v := r.Judged(r.now)[0]; v.Verdict != protocol.ReachNotKnown {
		t.Errorf("after one failure and the end of its connection: got %v by %d", v.Verdict, v.By)
	}
}

// TestAnswerBeforeToken: the answer comes before the token.
func TestAnswerBeforeToken(t *testing.T) {
	r := newScript(public)
	a := r.meet(1, "198.51.100.1", "203.0.113.7")
	r.Answered(r.now, a.Dial[0], OK) // overtakes the token, which took another connection and two actors
	r.Came(r.now, a.Dial[0].Token)
	if v := r.Judged(r.now)[0]; v.Verdict != protocol.Reachable {
		t.Errorf("got %v; next ask in %v", v.Verdict, r.peers[identity.NodeID{1}].askAfter.Sub(r.now))
	}
}

// TestAskedAgainByHand: to ask again and again keeps no verdict up.
func TestAskedAgainByHand(t *testing.T) {
	r := newScript(public)
	a := r.meet(1, "198.51.100.1", "203.0.113.7")
	r.Came(r.now, a.Dial[0].Token)
	r.Left(r.now, identity.NodeID{1}, 1)
	for range 20 {
		r.now = r.now.Add(9 * time.Minute)
		r.Again(r.now)
	}
	if v := r.Judged(r.now)[0]; v.Verdict == protocol.Reachable {
		t.Errorf("3 h after the only token: got %v", v.Verdict)
	}
}

// TestForeignAddresses: nodes of two networks say that they see this one at other people's addresses,
// and send it their tokens. At most one is believed, and none if more networks say another, or the
// machine has a public address.
func TestForeignAddresses(t *testing.T) {
	lie := func(r *script) {
		for i := range 5 {
			for j, net := range []string{"198.51.100.1", "192.0.2.1"} {
				for _, d := range r.meet(byte(1+2*i+j), net, fmt.Sprintf("8.8.8.%d", i+1)).Dial {
					r.Came(r.now, d.Token)
				}
			}
		}
	}
	r := newScript(public)
	lie(r)
	if got := r.Proven(); len(got) > 1 {
		t.Errorf("got %v proven, want at most one", got)
	}
	for i, net := range []string{"9.1.0.1", "9.2.0.1", "9.3.0.1"} {
		for _, d := range r.meet(byte(20+i), net, "1.1.1.1").Dial {
			r.Came(r.now, d.Token)
		}
	}
	if got := fmt.Sprint(r.Proven()); got != "[1.1.1.1:18189]" {
		t.Errorf("got %s proven, want what three networks see", got)
	}
	r = newScript(public)
	r.Set(r.now, []netip.Addr{netip.MustParseAddr("8.8.4.4")}, []netip.AddrPort{public}, []uint16{18189})
	lie(r)
	if got := r.Proven(); len(got) > 0 {
		t.Errorf("beside a public address: got %v proven", got)
	}
}

// TestObserverLeaves: what is proven stays while the verdict does.
func TestObserverLeaves(t *testing.T) {
	r := &script{NewJudge(rand.NewChaCha8([32]byte{1})), time.Unix(1e9, 0)}
	r.Set(r.now, []netip.Addr{netip.MustParseAddr("10.0.0.2")}, []netip.AddrPort{private}, []uint16{18189})
	a := r.meet(1, "198.51.100.1", "203.0.113.7")
	r.Came(r.now, a.Dial[0].Token)
	r.meet(2, "192.0.2.1", "203.0.113.7")
	if got := r.Proven(); len(got) != 1 {
		t.Fatal(got)
	}
	r.Left(r.now, identity.NodeID{2}, 1)
	r.meet(3, "192.0.2.9", "10.0.0.2") // any Changed publishes
	if got := r.Proven(); len(got) != 1 {
		t.Errorf("one of two observers has left: proven %v, verdict %v", got, r.targets[public].verdict)
	}
}

// TestManyKeysOfOneHost: sixteen keys of one host do not decide alone.
func TestManyKeysOfOneHost(t *testing.T) {
	r := newScript(public)
	dial := func(a Asks) {
		for len(a.Dial) > 0 {
			d := a.Dial[0]
			if d.Peer[0] <= 16 { // the attacker
				r.now = r.now.Add(BackLimit)
				a = r.Answered(r.now, d, Failed)
			} else {
				a = r.Came(r.now, d.Token)
			}
		}
	}
	observed := map[byte]bool{}
	for i := byte(1); i <= 20; i++ {
		net := "198.51.100.1"
		if i > 16 {
			net = fmt.Sprintf("%d.0.0.1", i)
		}
		a := r.Met(r.now, Observer{ID: identity.NodeID{i}, Conn: uint64(i), Network: NetworkOf(netip.MustParseAddr(net))})
		for _, p := range a.Observe {
			observed[p[0]] = true
			dial(r.Observed(r.now, p, uint64(p[0]), public.Addr()))
		}
		dial(a)
	}
	for range 10 {
		r.now = r.now.Add(11 * time.Second)
		dial(r.Look(r.now))
	}
	if v := r.Judged(r.now)[0]; v.Verdict != protocol.Reachable {
		t.Errorf("got %v by %d; asked where it is: honest 17 %v, 18 %v", v.Verdict, v.By, observed[17], observed[18])
	}
}

// TestLieAboutAnAddress: a peer names an address that is nobody's, and fails there.
func TestLieAboutAnAddress(t *testing.T) {
	r := newScript(public)
	a := r.meet(1, "198.51.100.1", "8.8.8.8")
	for range 3 {
		for _, d := range a.Dial {
			r.Answered(r.now, d, Failed)
		}
		r.now = r.now.Add(AskPause)
		a = r.Look(r.now)
	}
	for _, v := range r.Judged(r.now) {
		t.Logf("%v %v ours %v", v.Addr, v.Verdict, v.Ours)
		if v.Verdict == protocol.Unreachable && !v.Ours {
			t.Error("shown, and internal/actors/reachpart warns of it")
		}
	}
}
