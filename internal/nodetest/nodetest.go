// Package nodetest lets the tests and benchmarks of this module look inside a
// running node. Nothing else may import it: see tests/arch_test.go.
package nodetest

import (
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/dhtpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
)

// Node is a *gamelan.Node, or a value that embeds one.
type Node interface{ ID() identity.NodeID }

// Inside returns what a node is made of. Package gamelan, which this one cannot
// import, sets it.
var Inside func(Node) (trunk.Node, *dhtpart.DHT)

// Trunk returns the trunk of a node.
func Trunk(n Node) trunk.Node {
	t, _ := Inside(n)
	return t
}

// DHT returns the part of a node that is its DHT, nil without it.
func DHT(n Node) *dhtpart.DHT {
	_, dht := Inside(n)
	return dht
}
