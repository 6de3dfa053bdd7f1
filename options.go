package gamelan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// NewActor returns a new incarnation of your actor; n is the node that runs it. It is
// called for every incarnation, in the actor's own turn. It must not open anything.
type NewActor func(n *Node) actor.Actor

// Option is a setting of a node that is not data, such as an actor.
type Option func(*options) error

type options struct {
	registered []registered
	layers     map[dht.Position][]dht.Layer
	services   []rpc.Service
	system     *actor.ActorSystem
	transports []transport.Transport
	logger     *slog.Logger
	runtime    supervisor.Runtime
	fault      func(path, point string)
	inspector  bool
	parts      []func(*Node) (Part, error)
	sections   map[string]func(context.Context) any
	checks     []func() error
	stops      []func(context.Context, *Node) error
	inbox      *InboxConfig
	messages   *messagesOption
	sendLayers map[dht.SendPosition][]dht.SendLayer
	torControl func(ctx context.Context) (io.ReadWriteCloser, error)
}

// registered is an actor of the user that is registered before the node starts.
type registered struct {
	actors.Register
	new NewActor
}

// rank returns the actor's place in the order of registration. The handler comes first, so
// that no other actor takes its protocol. Actors without a protocol come last, so that
// none takes a name that a protocol has.
func (r *registered) rank() int {
	switch {
	case r.Actor != "":
		return 3
	case r.Type != nil:
		return 2
	case r.ID != "":
		return 1
	}
	return 0
}

// handled reports whether an actor is registered for plain messages.
func (o *options) handled() bool {
	return slices.ContainsFunc(o.registered, func(r registered) bool { return r.rank() == 0 })
}

// add adds an actor of the user to the options.
func (o *options) add(m actors.Register, new NewActor, opts []ActorOption) error {
	m, err := registration(m, new, opts)
	if err == nil {
		o.registered = append(o.registered, registered{m, new})
	}
	return err
}

var errNoActor = errors.New("gamelan: no actor to register; give a function that makes one")

// WithHandler registers the actor that receives plain messages, as [Node.RegisterHandler]
// does, before the node accepts its first connection.
func WithHandler(new NewActor, opts ...ActorOption) Option {
	return func(o *options) error {
		if o.handled() {
			return errors.New("gamelan: WithHandler was given twice")
		}
		return o.add(actors.Register{}, new, opts)
	}
}

// WithProtocol registers the actor of a protocol, as [Node.Register] does,
// before the node accepts its first connection.
func WithProtocol(id protocol.ID, new NewActor, opts ...ActorOption) Option {
	return func(o *options) error {
		if err := id.Validate(); err != nil {
			return err
		}
		return o.add(actors.Register{ID: id}, new, opts)
	}
}

// WithType registers the actor of a message type, as [DHT.RegisterType] does,
// before the node accepts its first connection.
func WithType(t int32, new NewActor, opts ...ActorOption) Option {
	return func(o *options) error { return o.add(actors.Register{Type: &t}, new, opts) }
}

// WithLayer adds your layer to the chain that every inbound DHT message passes through. The
// option may be given several times; at each position the first layer is outermost. A
// layer runs in the turn of one of the node's actors, so it must neither wait nor keep the
// message. If DHTConfig.Shards is above 1, several calls run at once. A panic in a layer
// drops that message alone.
func WithLayer(p dht.Position, l dht.Layer) Option {
	return func(o *options) error {
		switch {
		case l == nil:
			return errors.New("gamelan: WithLayer was given no layer")
		case !p.Valid():
			return fmt.Errorf("gamelan: WithLayer was given %s, which does not exist", p)
		}
		if o.layers == nil {
			o.layers = make(map[dht.Position][]dht.Layer)
		}
		o.layers[p] = append(o.layers[p], l)
		return nil
	}
}

// WithActor runs your actor that speaks no protocol, as [Node.Spawn] does, before the node
// accepts its first connection.
func WithActor(name string, new NewActor, opts ...ActorOption) Option {
	return func(o *options) error {
		if name == "" {
			return actors.ErrBadName
		}
		return o.add(actors.Register{Actor: name}, new, opts)
	}
}

// WithSendLayer adds your layer to the outbound chain of the DHT. At each position the
// layer that was given first is outermost. The layer runs for every message of this node,
// in the turn of the actor that sends, so it must neither wait nor keep the message. A
// panic in a layer ends that message alone.
func WithSendLayer(at dht.SendPosition, layer dht.SendLayer) Option {
	return func(o *options) error {
		if layer == nil || !at.Valid() {
			return fmt.Errorf("gamelan: no layer, or none of the positions: %v", at)
		}
		if o.sendLayers == nil {
			o.sendLayers = make(map[dht.SendPosition][]dht.SendLayer)
		}
		o.sendLayers[at] = append(o.sendLayers[at], layer)
		return nil
	}
}

// WithService offers a service, as [RPC.Register] does, before the node
// accepts its first connection.
func WithService(s rpc.Service) Option {
	return func(o *options) error {
		if err := s.Validate(); err != nil {
			return err
		}
		o.services = append(o.services, s)
		return nil
	}
}

// WithSystem runs the node in your actor system, next to your actors and other nodes. The
// node never shuts the system down. Default: an actor system of the node's own.
func WithSystem(sys *actor.ActorSystem) Option {
	return func(o *options) error {
		if sys == nil {
			return errors.New("gamelan: WithSystem was given no system; leave it out for one of the node's own")
		}
		if o.system != nil {
			return errors.New("gamelan: WithSystem was given twice")
		}
		o.system = sys
		return nil
	}
}

// WithTransport adds a transport. It may be given several times. Default: TCP. Addresses of
// the memory transport are test addresses; with that transport test addresses are accepted
// and advertised on every network, unless Config.Profile forbids it.
func WithTransport(t transport.Transport) Option {
	return func(o *options) error {
		if t == nil {
			return errors.New("gamelan: WithTransport was given no transport")
		}
		for _, other := range o.transports {
			if other.Name() == t.Name() {
				return fmt.Errorf("gamelan: WithTransport was given twice for %s", t.Name())
			}
		}
		o.transports = append(o.transports, t)
		return nil
	}
}

// WithLogger sets where the node logs. Default: slog.Default.
func WithLogger(l *slog.Logger) Option {
	return func(o *options) error {
		o.logger = l
		return nil
	}
}

// WithRuntime sets the source of time, randomness and goroutines, for tests.
func WithRuntime(r supervisor.Runtime) Option {
	return func(o *options) error {
		o.runtime = r
		return nil
	}
}

// WithFault sets a function that may panic in place of any actor of the node, for tests:
// see [supervisor.Options].Fault.
func WithFault(fault func(path, point string)) Option {
	return func(o *options) error {
		o.fault = fault
		return nil
	}
}

// SendOption changes how one message is sent.
type SendOption func(*sendOptions)

type sendOptions struct{ resend bool }

// Resend makes the node send a message again if the connection is lost after the message
// was written and before it is confirmed. The message may then arrive more than once.
func Resend() SendOption { return func(o *sendOptions) { o.resend = true } }
