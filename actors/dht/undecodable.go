package dht

import (
	"cmp"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Undecodable is a peer whose messages this node could not decode.
type Undecodable struct {
	Peer     identity.NodeID
	Protocol protocol.ID // that they came on
	Count    uint64      // messages in a row, with less than [view.RecentQuiet] between two
	Last     time.Time   // the last one
}

// undecoded notes a message of the peer that did not decode, and reports whether
// it is the first one.
func (d *DHT) undecoded(now time.Time, peer identity.NodeID, id protocol.ID) (first bool) {
	return d.undecodable.Notice(now, peer, func(u *Undecodable) {
		if u.Count == 0 {
			u.Peer, u.Protocol = peer, id
		}
		u.Count++
		u.Last = now
	})
}

// Undecodable returns the peers whose messages did not decode in the last
// ten minutes, those with the most first.
func (d *DHT) Undecodable() []Undecodable {
	all := d.undecodable.All(d.trunk.Now())
	slices.SortFunc(all, func(a, b Undecodable) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), a.Peer.Compare(b.Peer))
	})
	return all
}
