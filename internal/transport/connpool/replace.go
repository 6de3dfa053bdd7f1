package connpool

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// ReplaceAfter is how long a connection must have been idle before a new one may replace it
// whose source has as many.
const ReplaceAfter = 30 * time.Second

// InboundConn describes an inbound connection for Replaceable.
type InboundConn struct {
	Peer     identity.NodeID
	Source   share.Source
	Conn     uint64
	Quiet    time.Duration // since bytes last came on a substream, or since the connection was made
	Valued   bool          // its peer is or was ever protected, useful or reached, or the connection is closing
	KeptOpen bool          // it is never replaced
	Last     bool          // its peer was reached by a dial, or has been here for [share.LastAfter]
}

func (g *InboundConn) holder() share.Holder[identity.NodeID] {
	return share.Holder[identity.NodeID]{Source: g.Source, Key: g.Peer}
}

// Replaceable chooses the connection to close for a new one when all places for inbound
// connections are taken: at random among those that were idle for ReplaceAfter and never of
// use. draw returns a random number below n. If there is none, it is one of the source that has
// more than the newcomer's, or has none: the idlest of the source with most, those that go last
// after the others.
//
// spec: comms 125, V 8, V 39
func Replaceable(guests []InboundConn, newcomer InboundConn, draw func(n int) int) (InboundConn, bool) {
	var idle []InboundConn
	for _, g := range guests {
		if !g.Valued && g.Quiet >= ReplaceAfter {
			idle = append(idle, g)
		}
	}
	if len(idle) > 0 {
		return idle[draw(len(idle))], true
	}
	return ofMost(guests, newcomer)
}

// ofMost chooses by what the sources have.
func ofMost(guests []InboundConn, newcomer InboundConn) (chosen InboundConn, ok bool) {
	var have share.Shares[identity.NodeID]
	have.Add(newcomer.holder(), 1)
	for _, g := range guests {
		have.Add(g.holder(), 1)
	}
	least := have.Weight(newcomer.holder())
	for _, g := range guests {
		if !g.KeptOpen && have.Weight(g.holder()).CompareSources(least) > 0 && (!ok || beforeInbound(&g, &chosen, &have)) {
			chosen, ok = g, true
		}
	}
	return chosen, ok
}

// beforeInbound reports whether a makes way before b.
func beforeInbound(a, b *InboundConn, have *share.Shares[identity.NodeID]) bool {
	if a.Last != b.Last {
		return b.Last
	}
	if by := have.Weight(a.holder()).CompareSources(have.Weight(b.holder())); by != 0 {
		return by > 0
	}
	return a.Quiet > b.Quiet
}
