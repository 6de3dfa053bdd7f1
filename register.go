package gamelan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/assemble"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// registerTimeout bounds a registration, even if its context lasts longer. Only a stuck
// actor of the user makes a registration take that long.
const registerTimeout = 10 * time.Second

// Register registers your actor for a protocol: the actor receives [SubstreamOpened] for
// each inbound substream of that protocol. Register works while the node runs. Connected nodes
// of this library learn of the protocol within seconds, other peers on new connections. The id is
// 1 to 50 bytes of printable ASCII without a comma. A node takes up to 100 protocols, its own
// included, which cannot be registered. The first ones, at most 20, stand in the message by which
// the node introduces itself; other implementations learn of no more, and can open them all
// the same. [OnPanic] sets what a panic does to the actor. If ctx ends first, the actor may be registered all the same.
func (n *Node) Register(ctx context.Context, id protocol.ID, new NewActor, opts ...ActorOption) error {
	if id == "" { // the empty id would register the handler
		return id.Validate()
	}
	return n.register(ctx, users.Register{ID: id}, new, opts)
}

// RegisterHandler registers your actor for plain messages, which it receives as [Received].
func (n *Node) RegisterHandler(ctx context.Context, new NewActor, opts ...ActorOption) error {
	return n.register(ctx, users.Register{}, new, opts)
}

// Spawn runs your actor that speaks no protocol, for example one that holds the state of a
// service. The actor appears in the tree below extensions, under its name of 1 to 50
// characters a-z 0-9 . _ -. It is restarted when it panics, unless [OnPanic] says
// otherwise. If it panics too often, only this actor stops, and it is started again 30 s
// later. Its PID stays valid all the time. The actor ends when it is stopped by its PID,
// or with the node.
func (n *Node) Spawn(ctx context.Context, name string, new NewActor, opts ...ActorOption) (*actor.PID, error) {
	if name == "" { // the empty name would register the handler
		return nil, fmt.Errorf("gamelan: spawn: %w", actors.ErrBadName)
	}
	m, err := registration(users.Register{Actor: name, New: func() actor.Actor { return new(n) }}, new, opts)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	r, err := assemble.Ask[users.Registered](ctx, n.e, n.e.Trunk.Extensions(), m)
	if err = cmp.Or(err, r.Err); err != nil {
		return nil, fmt.Errorf("gamelan: spawn %q: %w", name, err)
	}
	return r.PID, nil
}

// Actor returns the PID of your actor, so that you can send it messages or ask it with
// [supervisor.Ask]. The name is the id of its protocol, or the name that was given to
// [Node.Spawn], or "handler" for the actor that receives plain messages, or "type-7" for
// the actor of message type 7. Actor returns false if there is no such actor, also while an
// actor that panicked too often waits to be started again.
func (n *Node) Actor(name string) (*actor.PID, bool) {
	below := n.e.Trunk.Extensions().Id + "/"
	if pid, ok := n.e.Trunk.Protocols().Get(protocol.ID(name)); ok && strings.HasPrefix(pid.Id, below) {
		return pid, true
	}
	if name == "" || strings.Contains(name, "/") {
		return nil, false
	}
	pid := &actor.PID{Address: n.e.Trunk.Extensions().Address, Id: below + name}
	_, ok := n.e.Trunk.System().ProcessRegistry.GetLocal(pid.Id)
	return pid, ok
}

func (n *Node) register(ctx context.Context, m users.Register, new NewActor, opts []ActorOption) error {
	m, err := registration(m, new, opts)
	if err != nil {
		return err
	}
	m.New = func() actor.Actor { return new(n) }
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	r, err := assemble.Ask[users.Registered](ctx, n.e, n.e.Trunk.Extensions(), m)
	return registerError("register", what(m.ID, m.Topic, m.Type), cmp.Or(err, r.Err))
}

// Unregister stops the actor of a protocol; its streams are reset.
func (n *Node) Unregister(ctx context.Context, id protocol.ID) error {
	if id == "" {
		return id.Validate()
	}
	return n.unregister(ctx, users.Unregister{ID: id})
}

// UnregisterHandler stops the actor that receives plain messages. From then on the messages
// of peers are not confirmed. Messages that had arrived and that the actor has not handled
// are dropped; some of them may be confirmed. With [On] it stops the actor of that topic.
func (n *Node) UnregisterHandler(ctx context.Context, opts ...ActorOption) error {
	o, err := actorSettings(opts)
	if err != nil {
		return err
	}
	return n.unregister(ctx, users.Unregister{Topic: o.topic})
}

func (n *Node) unregister(ctx context.Context, m users.Unregister) error {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	r, err := assemble.Ask[users.Unregistered](ctx, n.e, n.e.Trunk.Extensions(), m)
	return registerError("unregister", what(m.ID, m.Topic, m.Type), cmp.Or(err, r.Err))
}

// what returns a text for errors that names a protocol or a message type.
func what(id protocol.ID, topic string, t *int32) string {
	if topic != "" {
		return fmt.Sprintf("topic %q", topic)
	}
	if t != nil {
		return fmt.Sprintf("message type %d", *t)
	}
	return strconv.Quote(string(id))
}

func registerError(doing, name string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("gamelan: %s %s: %w; see in the tree which actor is stuck", doing, name, err)
	}
	return err
}

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
	case n.e.Stopping():
		return nil, ErrClosed
	}
	return nil, fmt.Errorf("gamelan: %w: %q; the name is that of Spawn or WithActor, the id of a protocol, \"handler\", or \"type-7\" for type 7", ErrNoActor, name)
}
