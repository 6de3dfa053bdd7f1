package tests

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// startOnLoopback starts a node with real sockets. It is the node of a bubble but for
// those, so that the helpers for such nodes work.
func startOnLoopback(t *testing.T, cfg gamelan.Config) *gamelantest.Node {
	t.Helper()
	cfg.DHT = &gamelan.DHTConfig{}
	return startOnLoopbackWith(t, cfg)
}

func startOnLoopbackWith(t *testing.T, cfg gamelan.Config, opts ...gamelan.Option) *gamelantest.Node {
	t.Helper()
	cfg.Floor = gamelan.NoFloor
	n, err := gamelan.Start(t.Context(), cfg, append(opts, quiet)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close(t.Context()) })
	return &gamelantest.Node{Node: n}
}

// patience is how long a test with sockets waits for what comes at once on a quiet machine. It
// ends only a test that waits for what never comes.
const patience = 2 * time.Minute

// dialOnLoopback connects a to b.
func dialOnLoopback(t *testing.T, a, b *gamelantest.Node) {
	t.Helper()
	seed, err := peerstore.ParseSeed(b.Seed())
	if err != nil {
		t.Fatal(err)
	}
	seed.Flags = 0
	if err := a.Peers().Add(t.Context(), seed); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Dial(t.Context(), b.ID()); err != nil {
		t.Fatal(err)
	}
	connected := func() bool { _, ok := b.Connection(a.ID()); return ok }
	gamelantest.Eventually(t, patience, "both sides to be connected", connected)
}

// TestDiscoveryOverTCP has the scenarios of joins and discoveries over loopback TCP, on
// one chain A–B–C–D, in which D is a client: A's Join reaches C; A finds D; a Join with
// 28,800 addresses gets its author banned by B, and C does not learn of it.
//
// conforms: dht 141
func TestDiscoveryOverTCP(t *testing.T) {
	a := startOnLoopback(t, gamelan.Config{Secret: sends})
	b, c := startOnLoopback(t, gamelan.Config{}), startOnLoopback(t, gamelan.Config{})
	d := startOnLoopback(t, gamelan.Config{Client: true})
	dialOnLoopback(t, a, b)
	dialOnLoopback(t, b, c)
	dialOnLoopback(t, d, c)

	if r, err := a.DHT().Join(t.Context()); err != nil || r.Count(protocol.Confirmed) != 1 {
		t.Fatalf("join: got %v, %v, want one copy confirmed", r.String(), err)
	}
	for _, n := range []*gamelantest.Node{b, c} {
		gamelantest.Eventually(t, patience, "the Join to arrive", func() bool {
			p, ok := n.Peers().Get(a.ID())
			return ok && p.Features == identity.FeatureNode && len(p.Addresses) > 0 && p.Claim != nil
		})
	}

	if p, err := a.DHT().Discover(t.Context(), d.PublicKey()); err != nil || p.Features != identity.FeatureNone {
		t.Fatalf("discover: got %+v, %v, want the client", p, err)
	}
	gamelantest.Eventually(t, patience, "the client to know who has searched for it", func() bool {
		_, ok := d.Peers().Get(a.ID())
		return ok
	})

	hostile := startOnLoopback(t, gamelan.Config{Secret: third})
	dialOnLoopback(t, hostile, b)
	post(t, hostile, b, announced{typ: wire.TypeJoin, by: third, edit: func(j *wire.Announcement) {
		j.Addresses = nil
		for range 28_800 {
			j.Addresses = append(j.Addresses, binaries(t, "/ip6/2001:4860:4860::8888/tcp/18189")...)
		}
	}}.compose(t, b.PublicKey()))
	gamelantest.Eventually(t, patience, "the author of the large Join to be banned", func() bool {
		_, _, banned := b.Peers().Banned(hostile.ID())
		return banned
	})
	if _, ok := c.Peers().Get(hostile.ID()); ok {
		t.Error("c knows the author of the large Join")
	}
}
