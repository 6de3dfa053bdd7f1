package kit

import (
	"context"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// StartOnLoopback starts a node with real sockets. It is the node of a bubble but for
// those, so that the helpers for such nodes work.
func StartOnLoopback(t *testing.T, cfg gamelan.Config) *gamelantest.Node {
	t.Helper()
	cfg.DHT = &gamelan.DHTConfig{}
	return StartOnLoopbackWith(t, cfg)
}

// StartOnLoopbackWith starts a node on a free port of loopback, with options.
func StartOnLoopbackWith(t *testing.T, cfg gamelan.Config, opts ...gamelan.Option) *gamelantest.Node {
	t.Helper()
	cfg.Floor = gamelan.NoFloor
	n, err := gamelan.Start(t.Context(), cfg, append(opts, Quiet)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close(context.Background()) })
	return &gamelantest.Node{Node: n}
}

// Patience is how long a test with sockets waits for what comes at once on a quiet machine. It
// ends only a test that waits for what never comes.
const Patience = 2 * time.Minute

// DialOnLoopback connects a to b.
func DialOnLoopback(t *testing.T, a, b *gamelantest.Node) {
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
	gamelantest.Eventually(t, Patience, "both sides to be connected", connected)
}
