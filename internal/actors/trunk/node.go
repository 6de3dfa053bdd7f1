package trunk

import (
	"io"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Node is the trunk of one node for the program that starts the node. It has
// everything that parts may use, the PIDs of the trunk's actors, and the views that
// these actors write. The program only reads views. All methods may be called from any
// goroutine, and none waits.
type Node struct{ Trunk }

// NewNode makes the trunk of a node. [Node.Tree] returns the specs of its actors.
func NewNode(s Settings) Node { return Node{Trunk{newRooms(s)}} }

// Preregister registers an actor of the user's before the tree starts.
func (n Node) Preregister(m users.Register) error { return n.rooms.users.Preregister(m) }

// NewIdentity makes the node's identity message with these addresses. It makes a new
// signature only if the signed data has changed.
func (n Node) NewIdentity(addrs []ma.Multiaddr, random io.Reader) (identify.Message, error) {
	return n.rooms.users.NewIdentity(addrs, random)
}

// Contained records that an actor of the node's own has panicked on a message that
// an outsider chose. See [supervisor.Options].
func (n Node) Contained(source supervisor.Source, path string, err *supervisor.PanicError) {
	n.rooms.Contained(source, path, err)
}

// Panicked records that an actor of the user's has panicked. See [supervisor.Options].
func (n Node) Panicked(p supervisor.Panic) { n.rooms.Panicked(p) }

// Failed records that an actor has failed. See [supervisor.Options].
func (n Node) Failed(path string, err *supervisor.PanicError) { n.rooms.Failed(path, err) }

// Failing returns the actors that have failed in the last [base.FailingWithin].
func (n Node) Failing() []base.Failing { return n.rooms.Failing() }

// Breakdowns returns how often actors have failed since the start.
func (n Node) Breakdowns() base.Breakdowns { return n.rooms.Breakdowns() }

// Traffic returns the messages that were sent and received since the start, by kind. SentFor returns how those of the
// program have ended, and SendTook how long they took, by [messengers.SendBounds].
func (n Node) Traffic() []messengers.Traffic                { return n.rooms.messengers.Traffic() }
func (n Node) SentFor() []messengers.EndedFor               { return n.rooms.messengers.SentFor() }
func (n Node) SendTook() (counts []uint64, seconds float64) { return n.rooms.messengers.SendTook() }

// DialsEnded returns how dials have ended since the start.
func (n Node) DialsEnded() []dialling.Ended { return n.rooms.dialling.Ended() }

// Carried returns the connections since the start, and their bytes.
func (n Node) Carried() connections.Traffic { return n.rooms.connections.Traffic() }

// Root returns the name of the tree, which is the first part of every path.
func (n Node) Root() string { return n.rooms.Root }

// Top returns the topmost actor.
func (n Node) Top() *actor.PID { return n.rooms.Node }

// Peers returns the actor that writes the peer store.
func (n Node) Peers() *actor.PID { return n.rooms.Peers }

// Conns returns the actor that receives [connections.CloseConn].
func (n Node) Conns() *actor.PID { return n.rooms.Conns }

// Dialer returns the actor that receives [dialling.DialPeer].
func (n Node) Dialer() *actor.PID { return n.rooms.Dialer }

// Extensions returns the actor that receives [users.Register]. Users' actors are its
// children.
func (n Node) Extensions() *actor.PID { return n.rooms.Extensions }

// Liveness returns the actor that checks the node's own addresses.
func (n Node) Liveness() *actor.PID { return n.rooms.LivenessActor }

// PeerStore returns the store of known peers. Only the actor Peers writes it.
func (n Node) PeerStore() *peerstore.Store { return n.rooms.peerbook.Store }

// OnWall translates a time of Now into one of Wall, as [supervisor.OnWall] does.
func (n Node) OnWall(t time.Time) time.Time { return n.rooms.OnWall(t) }

// Credit returns the bytes in use and the limit, inbound and outbound.
func (n Node) Credit() (inUsed, inLimit, outUsed, outLimit int64) { return n.rooms.messengers.Credit() }

// Pending returns the credit of messages to a peer without an outcome; see [messengers.Room.Pending].
func (n Node) Pending(peer identity.NodeID) int64 { return n.rooms.messengers.Pending(peer) }

// Handling is [messengers.Room.Handling].
func (n Node) Handling(peer identity.NodeID) (used, limit int64) {
	return n.rooms.messengers.Handling(peer)
}

// ConfirmNothing has no peer see anything confirmed that arrives from now on: the node
// stops, and may handle none of it.
func (n Node) ConfirmNothing() { n.rooms.Silent.Store(true) }

// Drain has the node make no new connections, or make them again.
func (n Node) Drain(on bool) {
	if !on {
		if n.rooms.Draining.Swap(nil) != nil {
			n.rooms.DialAnew()
		}
		return
	}
	now := n.rooms.Now()
	n.rooms.Draining.CompareAndSwap(nil, &now)
}

// Protocols returns the protocol table: which actor handles the inbound substreams of
// each protocol.
func (n Node) Protocols() *view.Map[protocol.ID, *actor.PID] { return &n.rooms.Protocols }

// Local returns the node's identity message, and false while there is none.
func (n Node) Local() (identify.Message, bool) { return n.rooms.Local.Get() }

// Addresses returns the addresses that the node advertises to its peers.
func (n Node) Addresses() []ma.Multiaddr { return n.rooms.Addresses() }

// AllConnections returns the live connections, ordered by peer.
func (n Node) AllConnections() []*actors.ConnRef {
	all := make([]*actors.ConnRef, 0, n.Connections().Len())
	for _, ref := range n.Connections().All() {
		all = append(all, ref)
	}
	slices.SortFunc(all, func(a, b *actors.ConnRef) int { return a.Peer.Compare(b.Peer) })
	return all
}

// Announce sets the node's identity message. It is called before the tree starts.
func (n Node) Announce(m identify.Message) { n.rooms.Local.Open(m) }

// TakePart lets connections be set up. It is called when all protocols of the start are offered.
func (n Node) TakePart() { n.rooms.connections.Whole.Open(struct{}{}) }

// Closed returns the connections that ended last, the newest at the end.
func (n Node) Closed() []actors.ClosedConn { return n.rooms.Closed() }

// Dials returns the last attempts to dial each peer.
func (n Node) Dials() *view.Log[identity.NodeID, actors.DialAttempt] { return &n.rooms.dialling.Dials }

// Choices returns the last choices among candidates to dial, the newest at the end.
func (n Node) Choices() []protocol.DialChoice { return n.rooms.connectivity.Choices() }

// Protected returns the protected peers, each with its tags.
func (n Node) Protected() *view.Map[identity.NodeID, []string] {
	return &n.rooms.connectivity.Protected
}

// Protectors returns the tags of the protections of a peer.
func (n Node) Protectors(peer identity.NodeID) []string {
	tags, _ := n.rooms.connectivity.Protected.Get(peer)
	return slices.Clone(tags)
}

// Redials returns when each wanted peer without a connection is dialled next.
func (n Node) Redials() *view.Map[identity.NodeID, time.Time] { return &n.rooms.connectivity.Redials }

// SharedIdentities returns the peers whose identity two nodes may be using.
func (n Node) SharedIdentities() *view.Map[identity.NodeID, connections.SharedIdentity] {
	return &n.rooms.connections.SharedIdentities
}

// StoreTrouble returns why the peer store cannot be written, and false while it can.
func (n Node) StoreTrouble() (actors.StoreTroubled, bool) { return n.rooms.StoreTrouble() }

// Ban returns the ban of a peer, if there is one, even if the peer is on the allow
// list.
func (n Node) Ban(peer identity.NodeID) (until time.Time, reason string, ok bool) {
	return n.rooms.Ban(peer)
}

// Live lists the connections as the machines of package connpool see them.
func (n Node) Live() []connpool.Live { return n.rooms.connectivity.Live() }

// Inbounds returns how many inbound connections and set-ups there are, their limits,
// and how many were refused or ended for lack of a place.
func (n Node) Inbounds() connpool.GateStats { return n.rooms.connections.Inbounds() }

// InboundTrouble returns why this node has refused connections last, or could not accept them.
func (n Node) InboundTrouble() connections.InboundTrouble {
	return n.rooms.connections.InboundTrouble()
}

// RefusedSources returns the sources whose connections are refused because of offences.
func (n Node) RefusedSources() []connpool.Refused { return n.rooms.connections.RefusedSources() }

// NotTaken lists the peers that accept no messages of this node, the latest first.
func (n Node) NotTaken() []actors.NotTaken { return n.rooms.messengers.NotTaken() }

// Panicking returns the actors, services and layers that have panicked in the last
// [base.PanicQuiet], and those that were stopped because of a panic.
func (n Node) Panicking() []base.Panicking { return n.rooms.Panicking() }

// LimitIdle sets the limits of idle connections. It is called before there are any.
func (n Node) LimitIdle(l connpool.ReapLimits) { n.rooms.connections.Idle = l }
