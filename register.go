package gamelan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// registerTimeout bounds a registration. Only an actor of the user's that is
// stuck makes one take that long.
const registerTimeout = 10 * time.Second

// Register makes inbound substreams of a protocol go to an actor of yours,
// which hears [actors.SubstreamOpened]. It works while the node runs; new
// connections tell the peers about it. The id is 1 to 50 bytes of printable
// ASCII without a comma, and there may be at most 20, messaging included.
func (n *Node) Register(id protocol.ID, new NewActor) error {
	if new == nil {
		return errNoActor
	}
	if id == "" { // else it would be the handler
		return id.Validate()
	}
	return n.register(actors.Register{ID: id, New: func() actor.Actor { return new(n) }})
}

// RegisterHandler makes plain messages go to an actor of yours, which hears
// [actors.Received].
func (n *Node) RegisterHandler(new NewActor) error {
	if new == nil {
		return errNoActor
	}
	return n.register(actors.Register{New: func() actor.Actor { return new(n) }})
}

func (n *Node) register(m actors.Register) error {
	ctx, cancel := context.WithTimeout(context.Background(), registerTimeout)
	defer cancel()
	r, err := ask[actors.Registered](ctx, n, n.env.Extensions, m)
	return registerError("register", m.ID, cmp.Or(err, r.Err))
}

// Unregister stops the actor of a protocol; its streams are reset.
func (n *Node) Unregister(id protocol.ID) error {
	if id == "" {
		return id.Validate()
	}
	return n.unregister(id)
}

// UnregisterHandler stops the actor that hears plain messages.
func (n *Node) UnregisterHandler() error { return n.unregister("") }

func (n *Node) unregister(id protocol.ID) error {
	ctx, cancel := context.WithTimeout(context.Background(), registerTimeout)
	defer cancel()
	r, err := ask[actors.Unregistered](ctx, n, n.env.Extensions, actors.Unregister{ID: id})
	return registerError("unregister", id, cmp.Or(err, r.Err))
}

func registerError(what string, id protocol.ID, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("gamelan: %s %q: %w; see in the tree which actor is stuck", what, string(id), err)
	}
	return err
}
