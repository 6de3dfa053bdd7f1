// Package base is what the rooms of a node's trunk stand on: who the node is, its clock, the
// addresses of its actors, the views that all read, and what is known of panics. A room is a
// package beside this one; docs/architecture.md lists them.
package base

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Settings are the settings that all rooms use. They never change.
type Settings struct {
	System   *actor.ActorSystem
	Root     string // name of the tree, the first part of every path
	Profile  protocol.Profile
	Secret   *identity.Secret
	Features identity.Features
	Now      func() time.Time     // measures, and never steps
	Wall     func() time.Time     // the system's clock, which may step; nil: Now
	Slept    func() time.Duration // how long the machine has slept since some moment; nil: not known
	Logger   *slog.Logger
}

// Base is what the rooms of one node share: who the node is, its clock, the addresses of its
// actors, the views that one actor writes and all others read, and what is known of panics.
type Base struct {
	Settings

	// Self and Key are the node's id and public key.
	Self identity.NodeID
	Key  identity.PublicKey

	// The actors whose place in the tree is fixed; Node is the parent of all others.
	Node, Peers, Conns, Dialer, Connectivity, Services, Extensions, LivenessActor *actor.PID

	// Connections are the live connections, by peer. Written by conns.
	Connections view.Map[identity.NodeID, *actors.ConnRef]
	// Protocols has the actor that handles inbound substreams of each protocol. Written
	// by services.
	Protocols view.Map[protocol.ID, *actor.PID]
	// Local is this node's identity message. Written by services. Until it is there, no
	// connection is set up.
	Local view.Gate[identify.Message]
	// Silent says that the node stops, and that no connection answers pings: peers see nothing
	// confirmed that arrives from now on. A pong that is on its way already is for bytes that
	// have arrived before.
	Silent atomic.Bool
	// Draining is since when the node makes no new connections; nil: it makes them.
	Draining atomic.Pointer[time.Time]
	// Panics has the panics of the last minutes.
	Panics Panics
	// Failures has the actors that have failed in the last minutes.
	Failures Failures

	last atomic.Uint64 // number of NewID
}

// New makes the base of a node.
func New(s Settings) *Base {
	b := &Base{Settings: s, Key: s.Secret.PublicKey()}
	if b.Wall == nil {
		b.Wall = b.Now
	}
	b.Self = b.Key.NodeID()
	b.Node = s.System.NewLocalPID(s.Root + "/node")
	b.Peers, b.Conns, b.Dialer = b.At("peers"), b.At("conns"), b.At("dialer")
	b.Connectivity, b.Services = b.At("connectivity"), b.At("services")
	b.Extensions, b.LivenessActor = b.At("extensions"), b.At("liveness")
	return b
}

// At returns the PID of the actor at a path below the node.
func (b *Base) At(path string) *actor.PID { return b.System.NewLocalPID(b.Root + "/node/" + path) }

// OnWall converts a time of Now into one of Wall, as [supervisor.OnWall] does. The zero
// time stays zero.
func (b *Base) OnWall(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return b.Wall().Add(t.Sub(b.Now()))
}

// NewID returns a number that is unique while the node runs.
func (b *Base) NewID() uint64 { return b.last.Add(1) }

// Identity returns this node's present identity message.
func (b *Base) Identity() identify.Message {
	m, _ := b.Local.Get()
	return m
}

// Addresses returns the addresses that this node advertises at present.
func (b *Base) Addresses() []ma.Multiaddr {
	claimed := b.Identity().Claim.Addresses
	addrs := make([]ma.Multiaddr, 0, len(claimed))
	for _, raw := range claimed {
		if a, err := ma.NewMultiaddrBytes(raw); err == nil {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// MarkUseful marks the connection of a peer as useful, if it still has the id conn; 0 stands for
// any id.
func (b *Base) MarkUseful(peer identity.NodeID, conn uint64) {
	if ref, ok := b.Connections.Get(peer); ok && (conn == 0 || ref.ID == conn) {
		Use(ref)
	}
}

// Use notes that the connection is of use to this node: see [actors.ConnRef.Useful]. ref may be nil.
func Use(ref *actors.ConnRef) {
	if ref != nil {
		ref.Link().Live.Use()
	}
}

// NameOf returns the last part of an actor's path.
func NameOf(pid *actor.PID) string {
	id := pid.Id
	for i := len(id) - 1; i >= 0; i-- {
		if id[i] == '/' {
			return id[i+1:]
		}
	}
	return id
}
