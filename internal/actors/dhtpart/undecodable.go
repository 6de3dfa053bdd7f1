package dhtpart

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
	Protocol protocol.ID // the protocol on which the messages came
	Count    uint64      // messages in a row, with less than [view.RecentQuiet] between two
	Last     time.Time   // time of the last one
}

// undecoded records a message of the peer that could not be decoded, and reports whether
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

// Undecodable returns the peers that sent messages which could not be decoded in the last
// ten minutes, those with the most messages first.
func (d *DHT) Undecodable() []Undecodable {
	all := d.undecodable.All(d.trunk.Now())
	slices.SortFunc(all, func(a, b Undecodable) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), a.Peer.Compare(b.Peer))
	})
	return all
}
