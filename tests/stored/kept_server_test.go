package stored

import (
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleFetchKeepsItsServer has a server leave a node's requests for stored messages
// unanswered: its connection is kept while the node asks, and no longer.
func TestBubbleFetchKeepsItsServer(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		n := net.Start(gamelan.Config{})
		silent := kit.StartResponder(t, net, n, func(int) *wire.Envelope { return nil })
		net.Connect(n, silent)
		go func() { _, _ = n.DHT().FetchStored(t.Context()) }()
		asks := func() bool { return slices.Contains(nodetest.Trunk(n).KeepOpenTags(silent.ID()), "stored messages") }
		gamelantest.Eventually(t, time.Minute, "the connection is kept", asks)
		gamelantest.Eventually(t, 10*time.Minute, "the connection is not kept any more", func() bool { return !asks() })
	})
}
