package finding

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// tap records the messages that reach nodes.
type tap struct {
	mu  sync.Mutex
	got []tapped
}

type tapped struct {
	at identity.NodeID
	e  wire.Envelope
}

// start starts a node whose messages are recorded. They go no further there.
func (r *tap) start(net *gamelantest.Network) *gamelantest.Node {
	var at identity.NodeID
	layer := func(dht.Handler) dht.Handler {
		return func(m *dht.Incoming) dht.Verdict {
			b := m.Envelope.Append(nil)
			e, err := wire.DecodeEnvelope(b)
			if err != nil {
				panic(err)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.got = append(r.got, tapped{at, e})
			return dht.Verdict{Reason: dht.Stopped}
		}
	}
	n := net.Start(gamelan.Config{}, kit.Quiet, gamelan.WithLayer(dht.BeforeVerify, layer))
	at = n.ID()
	return n
}

// messages returns what has come since the last call.
func (r *tap) messages() []tapped {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

// TestBubbleSentJoin looks at the Join of a node with ten connections and two known peers
// that are not connected: it is clear, signed, and goes to the closest nodes.
//
// conforms: dht 19, 76
func TestBubbleSentJoin(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var taps tap
		a := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		var connected, others []identity.NodeID
		for range 10 {
			n := taps.start(net)
			net.Connect(a.Node, n)
			connected = append(connected, n.ID())
		}
		for range 2 {
			n := taps.start(net)
			net.Introduce(a.Node, n)
			others = append(others, n.ID())
		}
		nearer := func(x, y identity.NodeID) int { return a.ID().Distance(x).Cmp(a.ID().Distance(y)) }
		slices.SortFunc(connected, nearer)
		want := append(connected[:8:8], others...)
		if _, err := a.DHT().Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		var at []identity.NodeID
		for _, m := range taps.messages() {
			at = append(at, m.at)
			h := &m.e.Header
			signer, err := m.e.VerifyOrigin()
			if h.Type != wire.TypeJoin || h.Encrypted() || !h.Destination.Is(a.PublicKey()) || err != nil || signer != a.PublicKey() {
				t.Errorf("got %v for %v, encrypted %v, signed by %v (%v), want a clear Join for a, signed by a", h.Type, h.Destination, h.Encrypted(), signer, err)
			}
			content := announcementIn(t, m.e.Body)
			claim, err := content.Claim()
			if err != nil || claim.Key != a.PublicKey() || claim.Verify(time.Now()) != nil {
				t.Errorf("got the claim of %v (%v), want a's own", claim.Key, err)
			}
		}
		slices.SortFunc(at, nearer)
		slices.SortFunc(want, nearer)
		if !slices.Equal(at, want) {
			t.Errorf("got the Join at %d nodes %v, want it at the 8 closest of the connected ones, and at both others", len(at), at)
		}
	})
}

// announcementIn returns the content of a body.
func announcementIn(t *testing.T, body []byte) wire.Announcement {
	t.Helper()
	parts, err := wire.DecodeBody(body)
	if err != nil || len(parts) != 1 {
		t.Fatalf("got %d parts, %v, want one", len(parts), err)
	}
	a, err := wire.DecodeAnnouncement(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestBubbleSentDiscovery looks at the Discovery of a node with ten connections, and at the
// response: the Discovery goes to eight nodes, encrypted; the response goes to its author
// alone, signed and in clear, with the same nonce.
//
// conforms: dht 19, 82, 84
func TestBubbleSentDiscovery(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var taps tap
		a := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		for range 10 {
			net.Connect(a.Node, taps.start(net))
		}
		d := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		go func() { _, _ = a.DHT().Discover(t.Context(), d.PublicKey()) }()
		time.Sleep(time.Minute)
		sent := taps.messages()
		seen := make(map[identity.NodeID]bool)
		for _, m := range sent {
			seen[m.at] = true
			if h := &m.e.Header; h.Type != wire.TypeDiscovery || !h.Encrypted() || !h.Destination.Is(d.PublicKey()) {
				t.Errorf("got %v for %v, encrypted %v, want an encrypted Discovery for d", h.Type, h.Destination, h.Encrypted())
			}
		}
		if len(sent) != 8 || len(seen) != 8 {
			t.Fatalf("got %d messages at %d nodes, want 8 at 8", len(sent), len(seen))
		}
		signer, err := sent[0].e.VerifyOrigin()
		if err != nil {
			t.Fatal(err)
		}
		opened, err := sent[0].e.Open(nodetest.Trunk(d).Secret(), signer)
		if err != nil || opened.Origin != a.PublicKey() {
			t.Fatalf("d cannot open the Discovery: %v", err)
		}
		question, err := wire.DecodeAnnouncement(opened.Parts[0])
		if err != nil {
			t.Fatal(err)
		}

		// Somebody brings it to d, whose neighbours hear nothing of the answer.
		var answers tap
		requester := answers.start(net)
		neighbour := answers.start(net)
		net.Connect(d.Node, requester)
		net.Connect(d.Node, neighbour)
		secret := nodetest.Trunk(requester).Secret()
		kit.Post(t, requester, d.Node, kit.Announced{Typ: wire.TypeDiscovery, By: secret, Nonce: question.Nonce}.Compose(t, d.PublicKey()))
		time.Sleep(time.Second)
		got := answers.messages()
		if len(got) != 1 || got[0].at != requester.ID() {
			t.Fatalf("got %d answers, want one, at the requester", len(got))
		}
		h := &got[0].e.Header
		if signer, err := got[0].e.VerifyOrigin(); h.Type != wire.TypeDiscoveryResponse || h.Encrypted() || h.Destination.Known || err != nil || signer != d.PublicKey() {
			t.Errorf("got %v for %v, encrypted %v, signed by %v (%v), want a clear response for nobody in particular, signed by d", h.Type, h.Destination, h.Encrypted(), signer, err)
		}
		if answer := announcementIn(t, got[0].e.Body); answer.Nonce != question.Nonce || question.Nonce == 0 {
			t.Errorf("got nonce %d, want that of the Discovery, %d", answer.Nonce, question.Nonce)
		}
	})
}
