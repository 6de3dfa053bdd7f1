package gamelan

import "github.com/gamelan-p2p/gamelan/internal/kv"

// WrapStore has a running node close another store than its own, before
// anything else is asked of it.
func WrapStore(n *Node, wrap func(kv.DB) kv.DB) { n.e.DB = wrap(n.e.DB) }
