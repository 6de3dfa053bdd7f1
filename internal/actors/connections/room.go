// Package connections is the room of connections. It accepts and sets them up (listener,
// [Upgraded]), keeps one for each peer (conns), and runs each of them (conn): substreams, pings, the
// orderly end. It also answers checks of liveness.
package connections

import (
	"net/netip"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Settings are the settings of connections. They never change.
type Settings struct {
	Mux       mux.Config
	KeepAlive time.Duration // silence after which a connection is pinged
	Gate      connpool.GateLimits
	Exempt    []netip.Prefix // sources without limits of their own
	Idle      connpool.ReapLimits
	Liveness  LivenessSettings
	// Listed returns a *NotAdmittedError if the owner of a key is not listed, and the node has
	// connections with listed peers alone. Admit does the same, and asks the program as well; so only
	// tasks call it.
	Listed, Admit func(identity.PublicKey) error
}

// Room is the room of connections: it accepts them, sets them up, adopts them, keeps
// them alive and closes them, and opens substreams on them.
type Room struct {
	*base.Base
	Settings
	needs needs

	// SharedIdentities are the identities that two nodes seem to use. Written by conns.
	SharedIdentities view.Map[identity.NodeID, SharedIdentity]

	// Whole is open when the node's parts and handlers have offered their protocols. Before, no
	// connection is set up: a peer would take a protocol that is not there yet for one that is not
	// known here. Opened by Start.
	Whole view.Gate[struct{}]

	closed  view.Ring[actors.ClosedConn] // written by conns
	inbound inboundGate
	setups  view.Pending[identity.NodeID] // inbound set-ups whose peer has proved its key
	probes  probes
	secrets secrets // of a private network
	traffic traffic
}

// needs is what this room needs of the others.
type needs interface {
	// Of the peer store: its records, a *BannedError while a peer is banned, the allow list.
	Records() peerstore.View
	Banned(peer identity.NodeID) error
	Allowed(peer identity.NodeID) bool

	// Of connectivity: the tags under which users protect a peer, and whether a part keeps its
	// connection open.
	Protectors(peer identity.NodeID) []string
	KeptOpen(peer identity.NodeID) bool

	// Of messages: the sessions of a peer; whether one of them is for plain messages beside the
	// DHT's; the account of a peer whose connection has come or gone; which protocols carry
	// messages, at which actor, and whether this node can decode what a peer sends on one.
	Sessions(peer identity.NodeID) []*actor.PID
	PlainBesideFrames(peer identity.NodeID) bool
	SettleAccounts(peer identity.NodeID, connected bool)
	IsMessaging(id protocol.ID) bool
	Carries(id protocol.ID, pid *actor.PID) bool
	Decodes(id protocol.ID, from *actors.ConnRef) bool
}

// closedKept is how many connections that have ended are remembered.
const closedKept = 256

// NewRoom makes the room.
func NewRoom(b *base.Base, s Settings, needs needs) *Room {
	r := &Room{Base: b, Settings: s, needs: needs}
	r.closed.Limit = closedKept
	r.inbound.open(s.Gate, s.Exempt, b.Now)
	r.probes.o = s.Liveness
	return r
}

// Closed returns the connections that ended last, the newest at the end.
func (r *Room) Closed() []actors.ClosedConn { return r.closed.Last() }

// used reports whether a connection is in use: an RPC call runs on it, or it has more
// substreams than an idle connection may have.
func (r *Room) used(ref *actors.ConnRef) bool {
	return ref.Calling() || r.Substreams(ref) > r.Idle.Idle()
}

// Substreams returns how many substreams a connection has, without those of the second
// messaging protocol: the limits of idle connections count on one such protocol.
func (r *Room) Substreams(ref *actors.ConnRef) int {
	n := ref.NumStreams()
	if r.needs.PlainBesideFrames(ref.Peer) {
		n -= 2 // one substream in each direction
	}
	return max(0, n)
}

// checkKey returns an error if the peer with this key is banned, or not admitted. Upgrades call it.
func (r *Room) checkKey(key identity.PublicKey) error {
	if err := r.needs.Banned(key.NodeID()); err != nil {
		return err
	}
	return r.Admit(key)
}

// knows reports whether the peer is in the store.
func (r *Room) knows(peer identity.NodeID) bool {
	_, ok := r.needs.Records().Get(peer)
	return ok
}
