package gamelan

import (
	"context"

	"github.com/gamelan-p2p/gamelan/actors"
)

// ErrNoDHT reports the use of the DHT on a node without one.
var ErrNoDHT = actors.ErrNoDHT

// DHT is a node's part in the DHT: messages that find their way over several
// nodes. [Node.DHT] returns it.
type DHT struct{ n *Node }

// DHT returns the node's part in the DHT. On a node without one its methods return
// [ErrNoDHT], or nothing.
func (n *Node) DHT() *DHT { return &DHT{n} }

// Enabled reports whether the node has a part in the DHT.
func (d *DHT) Enabled() bool { return d.n.dht != nil }

// RegisterType makes the messages of one type that come over the DHT go to an
// actor of yours, type-<t> in the tree, which hears [dht.Received]. Each type has
// an actor of its own, so that one that is slow delays no other. One that has
// finished nothing for 10 s is stuck: of what a peer sends for it, what is
// beyond half of the peer's credit is dropped until it finishes something. What
// is for nobody is dropped; a peer that sends too much of that is banned. Types
// below 1,000 are the network's own (spec: dht 12.3).
func (d *DHT) RegisterType(ctx context.Context, t int32, new NewActor, opts ...ActorOption) error {
	return d.n.register(ctx, actors.Register{Type: &t}, new, opts)
}

// UnregisterType stops the actor of a message type.
func (d *DHT) UnregisterType(ctx context.Context, t int32) error {
	return d.n.unregister(ctx, actors.Unregister{Type: &t})
}
