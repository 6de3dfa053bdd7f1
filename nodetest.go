package gamelan

import (
	"github.com/gamelan-p2p/gamelan/internal/actors/dhtpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
)

func init() {
	nodetest.Inside = func(n nodetest.Node) (trunk.Node, *dhtpart.DHT) {
		return n.(interface {
			inside() (trunk.Node, *dhtpart.DHT)
		}).inside()
	}
}

// inside returns the internals that tests look at. A type that embeds a Node has this
// method too.
func (n *Node) inside() (trunk.Node, *dhtpart.DHT) { return n.e.Trunk, n.e.DHT }
