// Package lost finds out which peers are cut off while others are connected: those that the user has named, and those that
// were connected for long.
package lost

import (
	"cmp"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/lru"
)

const (
	// Long is how long a peer must have been connected for its loss to matter that nobody has named.
	Long = time.Hour
	// Fresh is how long a dial counts that has failed. Later it is not known whether the peer is away.
	Fresh = time.Hour

	enough   = 2  // dials must have failed
	maxPeers = 64 // that are remembered, and so many of those that are named
)

// Peer is a peer that is not connected, and could not be dialled.
type Peer struct {
	ID    identity.NodeID
	Named bool      // the user has named it, or protects it
	Since time.Time // since when it is not connected, as far as is known
	Dials int       // that have failed since
	Last  time.Time // of the last one
	Addr  string    // that the last one has tried last; empty: none
	Err   error     // why it has failed
}

// Peers remembers the peers that are cut off. It is not safe for concurrent use.
type Peers struct {
	named, others *lru.Map[identity.NodeID, Peer]
}

// New returns Peers without any.
func New() *Peers {
	return &Peers{lru.New[identity.NodeID, Peer](maxPeers), lru.New[identity.NodeID, Peer](maxPeers)}
}

// Connected notes that a peer is connected.
func (l *Peers) Connected(id identity.NodeID) {
	l.named.Delete(id)
	l.others.Delete(id)
}

// Disconnected notes that a peer is connected no more, and how long it was.
func (l *Peers) Disconnected(now time.Time, id identity.NodeID, named bool, lasted time.Duration) {
	switch p := (Peer{ID: id, Named: named, Since: now}); {
	case named:
		*l.named.Use(id) = p
	case lasted >= Long:
		*l.others.Use(id) = p
	}
}

// Failed notes a dial of a peer that has failed, last at an address. One that the user has named, and that was never connected,
// is remembered from now on.
func (l *Peers) Failed(now time.Time, id identity.NodeID, named bool, addr string, err error) {
	p := cmp.Or(l.named.Get(id), l.others.Get(id))
	if p == nil && named {
		p = l.named.Use(id)
		*p = Peer{ID: id, Named: true, Since: now}
	}
	if p != nil {
		p.Dials++
		p.Last, p.Addr, p.Err = now, addr, err
	}
}

// All returns the peers that could not be dialled again and again, those that are named first, then by how long they are away.
func (l *Peers) All() (list []Peer) {
	for _, m := range []*lru.Map[identity.NodeID, Peer]{l.named, l.others} {
		for _, p := range m.Newest() {
			if p.Dials >= enough {
				list = append(list, *p)
			}
		}
	}
	slices.SortFunc(list, func(a, b Peer) int {
		if a.Named != b.Named {
			return map[bool]int{true: -1, false: 1}[a.Named]
		}
		return cmp.Or(a.Since.Compare(b.Since), a.ID.Compare(b.ID))
	})
	return list
}
