// Package connectivity is the room that decides how the node is connected: it keeps protected
// peers connected, dials others while too few are connected, closes idle connections, bans, and says
// why something is missing.
package connectivity

import (
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Settings are the settings of connectivity. They never change.
type Settings struct {
	MinConnected int  // connected nodes that the state online needs
	Floor        int  // below this number of connected nodes others are dialled; 0: no automatic dials
	KeepClosest  int  // connections to this many closest nodes are kept; 0: to all
	SeedNames    bool // names of DNS name seeds
}

// Room is the room that decides how the node is connected: which peers stay
// connected, which are dialled, and which are banned. Its state outlives restarts of the actor.
type Room struct {
	*base.Base
	Settings
	needs needs

	// Protected has the protected peers, each with the tags under which it is
	// protected. Written by connectivity.
	Protected view.Map[identity.NodeID, []string]
	// Redials says when protected peers that are not connected are dialled next. Written by
	// connectivity.
	Redials view.Map[identity.NodeID, time.Time]

	keptOpen keptOpen                       // whose connections parts keep open; the parts write it
	unnamed  atomic.Pointer[string]         // why the names of seeds give none; a part writes it; nil or empty: they give some
	planned  atomic.Int32                   // nodes that a part is about to connect to; the part writes it
	choices  view.Ring[protocol.DialChoice] // the last choices of peers to dial automatically
	memory   memory
}

// needs is what this room needs of the others.
type needs interface {
	// Of the peer store: its records, bans, the allow list, which connectivity changes, and why
	// the store cannot be written.
	Records() peerstore.View
	Ban(peer identity.NodeID) (until time.Time, reason string, ok bool)
	Banned(peer identity.NodeID) error
	Allowed(peer identity.NodeID) bool
	AllowList() *view.Map[identity.NodeID, struct{}]
	StoreTrouble() (actors.StoreTroubled, bool)

	// Of connections: those that have ended, an offence that counts against a source, the
	// substreams of one, and when idle ones are closed.
	Closed() []actors.ClosedConn
	Offended(c actor.Context, from peerstore.Origin)
	Substreams(ref *actors.ConnRef) int
	IdleLimits() connpool.ReapLimits

	// Of dialling: the address that a dial of the peer would try first, or why there is none.
	FirstAddress(p peerstore.Peer) (ma.Multiaddr, error)
}

// choicesKept is how many choices of peers to dial are remembered.
const choicesKept = 16

// NewRoom makes the room.
func NewRoom(b *base.Base, s Settings, needs needs) *Room {
	r := &Room{Base: b, Settings: s, needs: needs, memory: newMemory()}
	r.choices.Limit = choicesKept
	return r
}

// KeepOpen keeps the connections of these peers open: connectivity does not close them to have
// fewer, and they do not make room for others. It gives the peers no other privilege. The
// peers replace those of an earlier call with the same tag.
func (r *Room) KeepOpen(tag string, peers []identity.NodeID) { r.keptOpen.set(tag, peers) }

// KeepOpenTags returns the tags under which parts keep the connection of the peer open.
func (r *Room) KeepOpenTags(peer identity.NodeID) []string { return r.keptOpen.tags(peer) }

// KeptOpen reports whether a part keeps the connection of the peer open.
func (r *Room) KeptOpen(peer identity.NodeID) bool { return r.keptOpen.has(peer) }

// SetPlannedDials says how many nodes a part is about to connect to: by dials under way, and by
// those that begin in a moment. To reach its floor, the node dials as many fewer of its own
// accord.
func (r *Room) SetPlannedDials(n int) { r.planned.Store(int32(n)) }

// SetSeedTrouble says in words why the names of seeds give none, and what to check; empty: they
// give some, or there are no names.
func (r *Room) SetSeedTrouble(why string) { r.unnamed.Store(&why) }

// seedTrouble returns what SetSeedTrouble was given last.
func (r *Room) seedTrouble() string {
	if why := r.unnamed.Load(); why != nil {
		return *why
	}
	return ""
}

// Protectors returns the tags of the protections of a peer. The caller must not change them.
func (r *Room) Protectors(peer identity.NodeID) []string {
	tags, _ := r.Protected.Get(peer)
	return tags
}

// Choices returns the last choices among candidates to dial, the newest at the end.
func (r *Room) Choices() []protocol.DialChoice { return r.choices.Last() }

// Live lists the connections as values for package connpool.
func (r *Room) Live() []connpool.Live {
	live := make([]connpool.Live, 0, r.Connections.Len())
	for peer, ref := range r.Connections.All() {
		_, protected := r.Protected.Get(peer)
		live = append(live, connpool.Live{
			Peer: peer, Conn: ref.ID, Outbound: ref.Direction == protocol.Outbound, Node: ref.Features.IsNode(),
			Since: ref.Since, Streams: r.needs.Substreams(ref), Stalled: ref.Stalled(), KeptOpen: protected || ref.Calling() || r.KeptOpen(peer),
		})
	}
	return live
}

// dialAnew says that there may be a new way to others.
type dialAnew struct{}

// DialAnew ends the pauses before redials and rounds: there may be a new way to others.
func (r *Room) DialAnew() { r.System.Root.Send(r.Connectivity, dialAnew{}) }
