package gamelan

import (
	"context"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

// ErrNoActor reports a message to an actor that does not exist, or has ended.
var ErrNoActor = supervisor.ErrNoActor

// Tell sends a message to your actor of this name: see [Node.Actor] for names. Tell never
// waits. The error is [ErrNoActor] if there is no such actor; without one, the message is
// in the actor's mailbox.
func (n *Node) Tell(name string, msg any) error {
	pid, err := n.named(name)
	if err == nil {
		n.System().Root.Send(pid, msg)
	}
	return err
}

// Ask sends a message to your actor of this name and waits for its reply, which the actor
// sends with c.Respond. The function [Ask] does the same for a reply of a known type. The
// error is [ErrNoActor], ctx's, or says that the actor has panicked. It says that the actor
// does not know the message only if the actor calls [supervisor.Unhandled] for such messages,
// in the default case of its Receive; otherwise Ask waits until ctx ends. An actor must not
// call Ask in Receive; it sends and hears the reply as a message.
func (n *Node) Ask(ctx context.Context, name string, msg any) (any, error) {
	return Ask[any](ctx, n, name, msg)
}

// Ask is [Node.Ask] for a reply of type R. A reply of another type is an error that names
// both types.
func Ask[R any](ctx context.Context, n *Node, name string, msg any) (R, error) {
	pid, err := n.named(name)
	if err != nil {
		var none R
		return none, err
	}
	r, err := supervisor.Ask[R](ctx, n.System(), pid, msg)
	if err != nil {
		return r, fmt.Errorf("gamelan: ask %q: %w", name, err)
	}
	return r, nil
}

// named returns the PID of the user's actor of this name.
func (n *Node) named(name string) (*actor.PID, error) {
	pid, ok := n.Actor(name)
	switch {
	case ok:
		return pid, nil
	case n.stopping():
		return nil, ErrClosed
	}
	return nil, fmt.Errorf("gamelan: %w: %q; the name is that of Spawn or WithActor, the id of a protocol, \"handler\", or \"type-7\" for type 7", ErrNoActor, name)
}
