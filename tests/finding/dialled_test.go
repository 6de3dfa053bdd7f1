package finding

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleDiscoveryDialledOnce has the author of a Discovery be at an address where nobody
// answers: it is dialled once for the answer, which is then given up.
func TestBubbleDiscoveryDialledOnce(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		node := kit.StartMember(net, gamelan.Config{}, kit.Quiet)
		relay := net.Start(gamelan.Config{Client: true}, kit.Quiet)
		net.Connect(relay, node.Node)
		<-kit.Post(t, relay, node.Node, kit.Announced{Typ: wire.TypeDiscovery, By: kit.Third, Addresses: []string{"/memory/8081"}, Nonce: 7}.Compose(t, node.PublicKey()))
		time.Sleep(10 * time.Minute)
		attempts, _ := nodetest.Trunk(node.Node).Dials().Get(kit.Third.NodeID())
		if len(attempts) != 1 || attempts[0].By != "answer to a Discovery" {
			t.Errorf("got %+v, want one dial for the answer", attempts)
		}
	})
}
