// Package peerbook is the room of the peer store: what is known of peers, who is banned, and
// whom the user has allowed. The actor peers is its single writer.
package peerbook

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// Room is the room of the peer store: its records, the bans and the allow list.
type Room struct {
	*base.Base
	needs needs

	Store *peerstore.Store // only the actor peers writes it
	// Trouble is open while the peer store cannot be written. Written by peers.
	Trouble view.Gate[actors.StoreTroubled]

	given view.Map[identity.NodeID, []GivenAddress] // written by peers
	allow view.Map[identity.NodeID, struct{}]       // written by connectivity
	banClock
	sleptAt time.Duration // how long the machine had slept when that was looked at last; of the actor peers
}

// needs is what this room needs of the others.
type needs interface {
	// RefuseSource refuses the connections of a source for a time, in place of a ban. fresh
	// reports whether the source was not refused before.
	RefuseSource(from peerstore.Origin, long time.Duration) (source netip.Prefix, fresh bool)
}

// NewRoom makes the room. allow is the allow list at the start.
func NewRoom(b *base.Base, store *peerstore.Store, allow []identity.NodeID, needs needs) *Room {
	r := &Room{Base: b, Store: store, needs: needs}
	all := make(map[identity.NodeID]struct{}, len(allow))
	for _, peer := range allow {
		all[peer] = struct{}{}
	}
	r.allow.SetAll(all)
	r.banAhead.Store(int64(b.Wall().Sub(b.Now())))
	if b.Slept != nil {
		r.sleptAt = b.Slept()
	}
	return r
}

// Records returns the known peers, for reading.
func (r *Room) Records() peerstore.View { return r.Store.View() }

// Given returns the addresses of a known peer that the user has given and that have not been
// dialled since. A dial tries them first.
func (r *Room) Given(peer identity.NodeID) []GivenAddress {
	list, _ := r.given.Get(peer)
	return list
}

// Allowed reports whether the peer is on the allow list, and so never banned.
func (r *Room) Allowed(peer identity.NodeID) bool {
	_, ok := r.allow.Get(peer)
	return ok
}

// AllowList returns the allow list. Only connectivity changes it.
func (r *Room) AllowList() *view.Map[identity.NodeID, struct{}] { return &r.allow }

// Banned returns a *BannedError while the peer is banned, and otherwise nil. A peer on
// the allow list does not count as banned, even before its stored ban is lifted.
func (r *Room) Banned(peer identity.NodeID) error {
	if r.Allowed(peer) {
		return nil
	}
	if until, reason, ok := r.Ban(peer); ok {
		return &actors.BannedError{Peer: peer, Until: until, Reason: reason}
	}
	return nil
}

// banClock says by how many nanoseconds the ban clock, which decides when bans end, is
// ahead of Now. When the system's clock is set, the actor peers moves the ban clock and
// the bans in the store by the same amount, so that each ban keeps its duration.
type banClock struct{ banAhead atomic.Int64 }

// Ban reports whether the peer is banned, until when on the system's clock, and why. If
// that clock is set while the node runs, each ban keeps its duration.
func (r *Room) Ban(peer identity.NodeID) (until time.Time, reason string, ok bool) {
	for {
		ahead := r.banAhead.Load()
		until, reason, ok = r.Store.View().Banned(peer, r.Now().Add(time.Duration(ahead)))
		if r.banAhead.Load() == ahead {
			return until, reason, ok
		}
	}
}

// slept returns how long the machine has slept since the last call, 0 for less than wallSlack. Only the actor peers calls it.
func (r *Room) slept() time.Duration {
	if r.Slept == nil {
		return 0
	}
	now := r.Slept()
	more := now - r.sleptAt
	if more < wallSlack {
		return 0
	}
	r.sleptAt = now
	return more
}

// setBanClock moves the ban clock and the bans if the system's clock was set. ahead is
// by how much the system's clock is ahead of Now. setBanClock returns by how much the
// clock was set, 0 for less than wallSlack, and how many bans it has moved. Only the
// actor peers calls it. A concurrent Ban may see a ban as too long, never as too short:
// the bans move first when the clock went forward, and last when it went back.
func (r *Room) setBanClock(ahead time.Duration) (by time.Duration, moved int) {
	by = ahead - time.Duration(r.banAhead.Load())
	switch {
	case by.Abs() < wallSlack:
		return 0, 0
	case by > 0:
		moved = r.Store.ShiftBans(by)
		r.banAhead.Store(int64(ahead))
	default:
		r.banAhead.Store(int64(ahead))
		moved = r.Store.ShiftBans(by)
	}
	return by, moved
}
