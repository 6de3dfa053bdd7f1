package gamelan

import (
	"github.com/gamelan-p2p/gamelan/actors"
	dhtpart "github.com/gamelan-p2p/gamelan/actors/dht"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
)

func init() {
	nodetest.Inside = func(n nodetest.Node) (actors.Node, *dhtpart.DHT) {
		return n.(interface {
			inside() (actors.Node, *dhtpart.DHT)
		}).inside()
	}
}

// inside returns what tests look at. Types that embed a Node have it too.
func (n *Node) inside() (actors.Node, *dhtpart.DHT) { return n.trunk, n.dht }
