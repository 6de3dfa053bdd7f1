package saf

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

const (
	// VisitAge is for how long a peer counts that was connected.
	//
	// spec: V 38
	VisitAge = 60 * time.Hour
	// MostVisits is how many peers [Visits] remember by default. Each needs up to 1.2 kB of memory.
	MostVisits = 10_000
)

// Visit is what is remembered of a peer that is or was connected.
type Visit struct {
	Peer    identity.NodeID
	Source  share.Source // of its last connection
	Client  bool         // it is a client of the network
	Dialled bool         // a dial of this node has reached it within [VisitAge]
	Served  bool         // it was connected for [share.LastAfter] at a time
	At      time.Time    // when it was connected last, by the clock of its [Visits]
}

// Last reports whether what the peer holds makes way last.
func (v *Visit) Last() bool { return v.Dialled || v.Served }

// Visits remember who was connected within [VisitAge], each of whom has proved its key. When
// they are full, they forget by shares of their sources. They are not safe for concurrent use.
//
// spec: V 38, 39
type Visits struct {
	most    int
	peers   map[identity.NodeID]*visit
	shares  share.Shares[identity.NodeID]
	changed map[identity.NodeID]struct{} // since Changes
}

type visit struct {
	Visit
	since time.Time // of its connection; zero: none
}

func (v *visit) holder() share.Holder[identity.NodeID] {
	return share.Holder[identity.NodeID]{Source: v.Source, Key: v.Peer, Last: v.Last()}
}

// NewVisits returns visits that remember up to most peers.
func NewVisits(most int) *Visits {
	return &Visits{most: most, peers: make(map[identity.NodeID]*visit), changed: make(map[identity.NodeID]struct{})}
}

// Connected notes that a peer has a connection. It uses all of the visit but At.
func (x *Visits) Connected(now time.Time, v Visit) {
	since := now
	if old := x.peers[v.Peer]; old != nil {
		x.served(old, now)
		v.Served, v.Dialled = v.Served || old.Served, v.Dialled || old.Dialled
		if !old.since.IsZero() {
			since = old.since
		}
	}
	v.At = now
	x.put(visit{v, since})
}

// Disconnected notes that a peer has no connection any more.
func (x *Visits) Disconnected(now time.Time, peer identity.NodeID) {
	old := x.peers[peer]
	if old == nil || old.since.IsZero() {
		return
	}
	x.served(old, now)
	v := old.Visit
	v.At = now
	x.put(visit{Visit: v})
}

// Load adds a visit that was read from the disk, unless a newer one is known.
func (x *Visits) Load(now time.Time, v Visit) {
	if x.peers[v.Peer] != nil {
		return
	}
	if v.At.After(now) {
		v.At = now
	}
	x.put(visit{Visit: v})
	if now.Sub(v.At) <= VisitAge {
		delete(x.changed, v.Peer)
	}
}

// Review forgets those whose time is over, and notes those connected as connected now. Call it
// once an hour.
func (x *Visits) Review(now time.Time) {
	for peer, v := range x.peers {
		switch {
		case !v.since.IsZero():
			x.served(v, now)
			v.At = now
			x.changed[peer] = struct{}{}
		case now.Sub(v.At) > VisitAge:
			x.drop(v)
		}
	}
}

// Lately returns the visit of a peer that is connected or was so within [VisitAge].
func (x *Visits) Lately(now time.Time, peer identity.NodeID) (Visit, bool) {
	v := x.peers[peer]
	if v == nil || v.since.IsZero() && now.Sub(v.At) > VisitAge {
		return Visit{}, false
	}
	x.served(v, now)
	return v.Visit, true
}

// All returns all visits of peers that are connected or were so within [VisitAge].
func (x *Visits) All(now time.Time) []Visit {
	list := make([]Visit, 0, len(x.peers))
	for peer := range x.peers {
		if v, ok := x.Lately(now, peer); ok {
			list = append(list, v)
		}
	}
	return list
}

// Len returns how many peers are remembered.
func (x *Visits) Len() int { return len(x.peers) }

// Changes returns the visits that the disk must hold now, and the peers whose visits it must
// not hold any more, since the last call.
func (x *Visits) Changes() (set []Visit, gone []identity.NodeID) {
	for peer := range x.changed {
		if v := x.peers[peer]; v != nil {
			set = append(set, v.Visit)
		} else {
			gone = append(gone, peer)
		}
	}
	clear(x.changed)
	return set, gone
}

// Changed reports whether there are changes.
func (x *Visits) Changed() bool { return len(x.changed) > 0 }

// served notes that a peer was connected for so long that it goes last.
func (x *Visits) served(v *visit, now time.Time) {
	if v.Served || v.since.IsZero() || now.Sub(v.since) < share.LastAfter {
		return
	}
	x.shares.Add(v.holder(), -1)
	v.Served = true
	x.shares.Add(v.holder(), 1)
	x.changed[v.Peer] = struct{}{}
}

func (x *Visits) put(v visit) {
	if old := x.peers[v.Peer]; old != nil {
		x.shares.Move(old.holder(), v.holder(), 1)
		*old = v
	} else {
		x.shares.Add(v.holder(), 1)
		x.peers[v.Peer] = &v
	}
	x.changed[v.Peer] = struct{}{}
	if len(x.peers) > x.most {
		h, _ := x.shares.Most()
		x.drop(x.peers[h.Key])
	}
}

func (x *Visits) drop(v *visit) {
	x.shares.Add(v.holder(), -1)
	delete(x.peers, v.Peer)
	x.changed[v.Peer] = struct{}{}
}
