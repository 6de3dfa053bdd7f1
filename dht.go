package gamelan

import (
	"context"
	"errors"
	"fmt"

	"github.com/gamelan-p2p/gamelan/actors"
)

// ErrNoDHT reports the use of the DHT on a node without one.
var ErrNoDHT = actors.ErrNoDHT

// DHT is a node's handle for the DHT, which relays messages over several nodes.
// [Node.DHT] returns it.
type DHT struct{ n *Node }

// DHT returns the node's handle for the DHT. On a node without the DHT its methods return
// [ErrNoDHT], or nothing.
func (n *Node) DHT() *DHT { return &DHT{n} }

// Enabled reports whether the node takes part in the DHT.
func (d *DHT) Enabled() bool { return d.n.dht != nil }

// wrap says what failed, but for ErrNoDHT, which says it itself.
func wrap(what string, err error) error {
	if err == nil || errors.Is(err, ErrNoDHT) {
		return err
	}
	return fmt.Errorf("gamelan: %s: %w", what, err)
}

// RegisterType registers your actor for the DHT messages of one type. The actor is
// type-<t> in the tree and receives [dht.Received]. Each type has its own actor, so a slow
// actor delays no other.
//
// An actor that has finished no message for 10 s is stuck. While it is stuck, messages of a
// peer for it are dropped once they would hold more than half of the peer's credit.
// Messages of a type without an actor are dropped, and a peer that sends too many of them
// is banned. Types below 1,000 belong to the network (spec: dht 12.3).
func (d *DHT) RegisterType(ctx context.Context, t int32, new NewActor, opts ...ActorOption) error {
	return d.n.register(ctx, actors.Register{Type: &t}, new, opts)
}

// UnregisterType stops the actor of a message type.
func (d *DHT) UnregisterType(ctx context.Context, t int32) error {
	return d.n.unregister(ctx, actors.Unregister{Type: &t})
}
