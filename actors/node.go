package actors

import (
	"io"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/identify"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport/connpool"
)

// Node is the trunk of one node in the hands of the program that starts it: what
// parts may use, the addresses of the trunk's actors, and the views that they keep.
// Views are read only. All methods may be called from any goroutine, and none waits.
type Node struct{ Trunk }

// NewNode makes the trunk of a node. [Node.Tree] has its actors.
func NewNode(s Settings) Node { return Node{Trunk{newEnv(s)}} }

// Preregister adds what the user registers before the tree starts.
func (n Node) Preregister(m Register) error { return n.env.preregister(m) }

// NewIdentity makes the node's identity message, with a fresh signature over the
// addresses.
func (n Node) NewIdentity(addrs []ma.Multiaddr, random io.Reader) (identify.Message, error) {
	return n.env.newIdentity(addrs, random)
}

// Contained notes a panic of an actor of the node's own on a message that an
// outsider chose, Panicked one of an actor of the user's. See [supervisor.Options].
func (n Node) Contained(source any, path string, err *supervisor.PanicError) {
	n.env.contained(source, path, err)
}

// Panicked is described at Contained.
func (n Node) Panicked(p supervisor.Panic) { n.env.panicked(p) }

// Root is the name of the tree, the first part of every path.
func (n Node) Root() string { return n.env.Root }

// Self is the node's id, Key the public key that it is a hash of.
func (n Node) Self() identity.NodeID { return n.env.Self }

// Key is described at Self.
func (n Node) Key() identity.PublicKey { return n.env.Key }

// Top is the topmost actor.
func (n Node) Top() *actor.PID { return n.env.Node }

// Peers is the actor that writes the peer store.
func (n Node) Peers() *actor.PID { return n.env.Peers }

// Conns is the actor that [CloseConn] is sent to.
func (n Node) Conns() *actor.PID { return n.env.Conns }

// Dialer is the actor that [DialPeer] is sent to.
func (n Node) Dialer() *actor.PID { return n.env.Dialer }

// Extensions is the actor that [Register] is sent to; users' actors are its children.
func (n Node) Extensions() *actor.PID { return n.env.Extensions }

// Liveness is the actor that checks the node's own address.
func (n Node) Liveness() *actor.PID { return n.env.LivenessActor }

// PeerStore is the store of known peers, whose only writer is the actor Peers.
func (n Node) PeerStore() *peerstore.Store { return n.env.Store }

// OnWall translates a time of Now into one of Wall, as [supervisor.OnWall] does.
func (n Node) OnWall(t time.Time) time.Time { return n.env.OnWall(t) }

// Credit returns the bytes in use and the limit, inbound and outbound.
func (n Node) Credit() (inUsed, inLimit, outUsed, outLimit int64) { return n.env.credit() }

// Plain carries plain messages.
func (n Node) Plain() *Messaging { return n.env.Plain }

// Protocols says which actor handles the inbound substreams of a protocol.
func (n Node) Protocols() *view.Map[protocol.ID, *actor.PID] { return &n.env.Protocols }

// Local is the node's identity message.
func (n Node) Local() (identify.Message, bool) { return n.env.Local.Get() }

// Announce sets the node's identity message, before the tree starts.
func (n Node) Announce(m identify.Message) { n.env.Local.Open(m) }

// Closed returns the connections that ended last, the newest at the end.
func (n Node) Closed() []ClosedConn { return n.env.Closed.Last() }

// Dials remembers the last attempts to dial each peer.
func (n Node) Dials() *view.Log[identity.NodeID, DialAttempt] { return &n.env.Dials }

// Choices returns how candidates to dial were chosen, the newest at the end.
func (n Node) Choices() []connpool.Choice { return n.env.Choices.Last() }

// Protected says which peers are protected, and the tags of who does it.
func (n Node) Protected() *view.Map[identity.NodeID, []string] { return &n.env.Protected }

// Redials says when peers that are wanted and not connected are dialled next.
func (n Node) Redials() *view.Map[identity.NodeID, time.Time] { return &n.env.Redials }

// SharedIdentities are the identities that two nodes may use.
func (n Node) SharedIdentities() *view.Map[identity.NodeID, SharedIdentity] {
	return &n.env.SharedIdentities
}

// StoreTrouble says why the peer store cannot be written, if it cannot.
func (n Node) StoreTrouble() (StoreTroubled, bool) { return n.env.StoreTrouble.Get() }

// Ban returns the ban of a peer, if there is one, also of one that is allowed.
func (n Node) Ban(peer identity.NodeID) (until time.Time, reason string, ok bool) {
	return n.env.Ban(peer)
}

// Live lists the connections as the machines of package connpool see them.
func (n Node) Live() []connpool.Live { return n.env.live() }

// Inbounds returns how many connections come in, the limits, and what became of
// those that there was no place for.
func (n Node) Inbounds() connpool.GateStats { return n.env.inbounds() }

// RefusedSources returns the sources that are refused because of their offences.
func (n Node) RefusedSources() []connpool.Refused { return n.env.refusedSources() }

// NotTaken lists the peers that take no messages of ours, the latest first.
func (n Node) NotTaken() []NotTaken { return n.env.NotTaken() }

// Panicking returns the actors and services that have panicked in the last
// [PanicQuiet], and those that have stopped for that.
func (n Node) Panicking() []Panicking { return n.env.panicking() }

// LimitIdle changes how many idle connections are kept, before there are any.
func (n Node) LimitIdle(l connpool.ReapLimits) { n.env.Reap = l }
