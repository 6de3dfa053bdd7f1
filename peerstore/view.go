package peerstore

import (
	"iter"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// View is read access to the store. Its methods may be called from any goroutine and
// never touch the disk. Records share their slices and must not be changed (see
// [Peer]).
type View interface {
	// Get returns the record of a node id.
	Get(id identity.NodeID) (Peer, bool)
	// ByKey returns the record of a public key.
	ByKey(key identity.PublicKey) (Peer, bool)
	// Banned reports whether a node is banned at the time now, and returns the end
	// and the reason of the ban. Nodes that are otherwise unknown may be banned.
	Banned(id identity.NodeID, now time.Time) (until time.Time, reason string, ok bool)
	// Len returns the number of records.
	Len() int
	// All returns every record in the order of the ids, as of the beginning of the
	// loop.
	All() iter.Seq[Peer]
	// Closest returns up to n records that pass filter, nearest to id first; the
	// record of id itself may be among them. A nil filter passes all. The filter must
	// be quick and not use the store.
	Closest(id identity.NodeID, n int, filter func(Peer) bool) []Peer
}

// view is a Store without the methods that write.
type view struct{ s *Store }

// View returns read access to the store.
func (s *Store) View() View { return view{s} }

func (v view) Get(id identity.NodeID) (Peer, bool) {
	v.s.mu.RLock()
	defer v.s.mu.RUnlock()
	if p := v.s.index.get(id); p != nil {
		return *p, true
	}
	return Peer{}, false
}

func (v view) ByKey(key identity.PublicKey) (Peer, bool) {
	p, ok := v.Get(key.NodeID())
	if !ok || p.Key != key {
		return Peer{}, false
	}
	return p, true
}

func (v view) Banned(id identity.NodeID, now time.Time) (until time.Time, reason string, ok bool) {
	v.s.mu.RLock()
	defer v.s.mu.RUnlock()
	if p := v.s.index.get(id); p != nil && p.Banned(now) {
		return p.BannedUntil, p.BanReason, true
	}
	return time.Time{}, "", false
}

func (v view) Len() int {
	v.s.mu.RLock()
	defer v.s.mu.RUnlock()
	return v.s.index.n
}

func (v view) All() iter.Seq[Peer] {
	return func(yield func(Peer) bool) {
		v.s.mu.RLock()
		list := v.s.index.all()
		v.s.mu.RUnlock()
		for _, p := range list {
			if !yield(*p) {
				return
			}
		}
	}
}

func (v view) Closest(id identity.NodeID, n int, filter func(Peer) bool) []Peer {
	v.s.mu.RLock()
	defer v.s.mu.RUnlock()
	return v.s.index.closest(id, n, filter)
}

// Threshold returns the distance within which the n records lie that are nearest to id
// and pass filter. It returns the greatest possible distance when there are fewer.
//
// spec: comms 12.4.
func Threshold(v View, id identity.NodeID, n int, filter func(Peer) bool) identity.Distance {
	list := v.Closest(id, n, filter)
	if n <= 0 || len(list) < n {
		return identity.MaxDistance
	}
	return id.Distance(list[n-1].ID)
}
