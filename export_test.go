package gamelan

import "github.com/gamelan-p2p/gamelan/internal/kv"

// WrapStore has a running node close another store than its own, before
// anything else is asked of it.
func WrapStore(n *Node, wrap func(kv.DB) kv.DB) { n.db = wrap(n.db) }

// NoAddress is the error of a node that has no address to show to its peers.
var NoAddress = noAddress

// DescribeReport is what the section "ledger" has of a report.
var DescribeReport = describeReport
