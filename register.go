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

// registerTimeout bounds a registration, whatever its context says. Only an actor
// of the user's that is stuck makes one take that long.
const registerTimeout = 10 * time.Second

// Register makes inbound substreams of a protocol go to an actor of yours,
// which hears [SubstreamOpened]. It works while the node runs; new
// connections tell the peers about it. The id is 1 to 50 bytes of printable
// ASCII without a comma, and there may be at most 20, including those of messages:
// one, or with the DHT three. The ids of messages cannot be registered. What a
// panic does is for [OnPanic] to say. When ctx ends first, the actor may be
// registered all the same.
func (n *Node) Register(ctx context.Context, id protocol.ID, new NewActor, opts ...ActorOption) error {
	if id == "" { // else it would be the handler
		return id.Validate()
	}
	return n.register(ctx, actors.Register{ID: id}, new, opts)
}

// RegisterHandler makes plain messages go to an actor of yours, which hears
// [Received].
func (n *Node) RegisterHandler(ctx context.Context, new NewActor, opts ...ActorOption) error {
	return n.register(ctx, actors.Register{}, new, opts)
}

// Spawn runs an actor of yours that speaks no protocol, such as one that holds
// the state of a service, below extensions: it is in the tree under its name, of
// 1 to 50 characters a-z 0-9 . _ -, is restarted when it panics unless [OnPanic]
// says otherwise, and when it does so too often only it stops, to be tried again
// 30 s later. The PID stays right over all of that. It ends when it is stopped by
// its PID, and with the node.
func (n *Node) Spawn(ctx context.Context, name string, new NewActor, opts ...ActorOption) (*actor.PID, error) {
	if name == "" { // else it would be the handler
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

// Actor finds an actor of yours, to send it messages, or to ask it with
// [supervisor.Ask]: by the id of its protocol, by the name that [Node.Spawn] was
// given, as "handler" the one that hears plain messages, or as "type-7" that of
// message type 7. It is false when
// there is none, also while one that failed too often waits for its next try.
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

// UnregisterHandler stops the actor that hears plain messages.
func (n *Node) UnregisterHandler(ctx context.Context) error {
	return n.unregister(ctx, actors.Unregister{})
}

func (n *Node) unregister(ctx context.Context, m actors.Unregister) error {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	r, err := ask[actors.Unregistered](ctx, n, n.trunk.Extensions(), m)
	return registerError("unregister", what(m.ID, m.Type), cmp.Or(err, r.Err))
}

// what names what an actor is registered for.
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
