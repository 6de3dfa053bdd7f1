package gamelan

import (
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/dhtpart"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
)

func init() {
	nodetest.Inside = func(n nodetest.Node) (actors.Node, *dhtpart.DHT) {
		return n.(interface {
			inside() (actors.Node, *dhtpart.DHT)
		}).inside()
	}
}

// inside returns the internals that tests look at. A type that embeds a Node has this
// method too.
func (n *Node) inside() (actors.Node, *dhtpart.DHT) { return n.e.Trunk, n.e.DHT }
