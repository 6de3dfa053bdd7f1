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
	"github.com/gamelan-p2p/gamelan/protocol"
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
	return n.register(ctx, actors.Register{ID: id}, new, opts)
}

// RegisterHandler registers your actor for plain messages, which it receives as [Received].
func (n *Node) RegisterHandler(ctx context.Context, new NewActor, opts ...ActorOption) error {
	return n.register(ctx, actors.Register{}, new, opts)
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
	m, err := registration(actors.Register{Actor: name, New: func() actor.Actor { return new(n) }}, new, opts)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	r, err := ask[actors.Registered](ctx, n, n.trunk.Extensions(), m)
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
	below := n.trunk.Extensions().Id + "/"
	if pid, ok := n.trunk.Protocols().Get(protocol.ID(name)); ok && strings.HasPrefix(pid.Id, below) {
		return pid, true
	}
	if name == "" || strings.Contains(name, "/") {
		return nil, false
	}
	pid := &actor.PID{Address: n.trunk.Extensions().Address, Id: below + name}
	_, ok := n.trunk.System().ProcessRegistry.GetLocal(pid.Id)
	return pid, ok
}

func (n *Node) register(ctx context.Context, m actors.Register, new NewActor, opts []ActorOption) error {
	m, err := registration(m, new, opts)
	if err != nil {
		return err
	}
	m.New = func() actor.Actor { return new(n) }
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	r, err := ask[actors.Registered](ctx, n, n.trunk.Extensions(), m)
	return registerError("register", what(m.ID, m.Type), cmp.Or(err, r.Err))
}

// Unregister stops the actor of a protocol; its streams are reset.
func (n *Node) Unregister(ctx context.Context, id protocol.ID) error {
	if id == "" {
		return id.Validate()
	}
	return n.unregister(ctx, actors.Unregister{ID: id})
}

// UnregisterHandler stops the actor that receives plain messages. From then on the messages
// of peers are not confirmed. Messages that had arrived and that the actor has not handled
// are dropped; some of them may be confirmed.
func (n *Node) UnregisterHandler(ctx context.Context) error {
	return n.unregister(ctx, actors.Unregister{})
}

func (n *Node) unregister(ctx context.Context, m actors.Unregister) error {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	r, err := ask[actors.Unregistered](ctx, n, n.trunk.Extensions(), m)
	return registerError("unregister", what(m.ID, m.Type), cmp.Or(err, r.Err))
}

// what returns a text for errors that names a protocol or a message type.
func what(id protocol.ID, t *int32) string {
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
