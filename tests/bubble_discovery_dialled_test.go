package tests

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
)

// TestBubbleDiscoveryDialledOnce has the author of a Discovery be at an address where nobody
// answers: it is dialled once for the answer, which is then given up.
func TestBubbleDiscoveryDialledOnce(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		node := startMember(net, gamelan.Config{}, quiet)
		relay := net.Start(gamelan.Config{Client: true}, quiet)
		net.Connect(relay, node.Node)
		<-post(t, relay, node.Node, announced{typ: wire.TypeDiscovery, by: third, addresses: []string{"/memory/8081"}, nonce: 7}.compose(t, node.PublicKey()))
		time.Sleep(10 * time.Minute)
		attempts, _ := nodetest.Trunk(node.Node).Dials().Get(third.NodeID())
		if len(attempts) != 1 || attempts[0].By != "answer to a Discovery" {
			t.Errorf("got %+v, want one dial for the answer", attempts)
		}
	})
}
