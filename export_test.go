package gamelan

import (
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// WrapStore has a running node close another store than its own, before
// anything else is asked of it.
func WrapStore(n *Node, wrap func(kv.DB) kv.DB) { n.db = wrap(n.db) }

// NoAddress is the error of a node with these listeners that has no address to show to its
// peers.
func NoAddress(bound ...*actors.Bound) error {
	return (&builder{Settled: new(config.Settled), bound: bound}).noAddress()
}
