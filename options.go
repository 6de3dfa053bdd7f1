package gamelan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/assemble"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
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
	assemble.Options
	registered []registered
	parts      []func(*Node) (Part, error)
	messages   []*messagesOption
	stops      []func(context.Context, *Node) error
}

// registered is an actor of the user that is registered before the node starts.
type registered struct {
	users.Register
	new NewActor
}

// add adds an actor of the user to the options.
func (o *options) add(m users.Register, new NewActor, opts []ActorOption) error {
	m, err := registration(m, new, opts)
	if err != nil {
		return err
	}
	if m.Handles() && slices.ContainsFunc(o.registered, func(r registered) bool { return r.Handles() && r.Topic == m.Topic }) {
		return errors.New("gamelan: WithHandler was given twice; give one of them a topic with On")
	}
	o.registered = append(o.registered, registered{m, new})
	return nil
}

var errNoActor = errors.New("gamelan: no actor to register; give a function that makes one")

// WithHandler registers the actor that receives plain messages, as [Node.RegisterHandler]
// does, before the node accepts its first connection.
func WithHandler(new NewActor, opts ...ActorOption) Option {
	return func(o *options) error { return o.add(users.Register{}, new, opts) }
}

// WithProtocol registers the actor of a protocol, as [Node.Register] does,
// before the node accepts its first connection.
func WithProtocol(id protocol.ID, new NewActor, opts ...ActorOption) Option {
	return func(o *options) error {
		if err := id.Validate(); err != nil {
			return err
		}
		return o.add(users.Register{ID: id}, new, opts)
	}
}

// WithType registers the actor of a message type, as [DHT.RegisterType] does,
// before the node accepts its first connection.
func WithType(t int32, new NewActor, opts ...ActorOption) Option {
	return func(o *options) error { return o.add(users.Register{Type: &t}, new, opts) }
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
		if o.Layers == nil {
			o.Layers = make(map[dht.Position][]dht.Layer)
		}
		o.Layers[p] = append(o.Layers[p], l)
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
		return o.add(users.Register{Actor: name}, new, opts)
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
		if o.SendLayers == nil {
			o.SendLayers = make(map[dht.SendPosition][]dht.SendLayer)
		}
		o.SendLayers[at] = append(o.SendLayers[at], layer)
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
		o.Services = append(o.Services, s)
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
		if o.System != nil {
			return errors.New("gamelan: WithSystem was given twice")
		}
		o.System = sys
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
		for _, other := range o.Transports {
			if other.Name() == t.Name() {
				return fmt.Errorf("gamelan: WithTransport was given twice for %s", t.Name())
			}
		}
		o.Transports = append(o.Transports, t)
		return nil
	}
}

// WithLogger sets where the node logs. Default: the warnings and errors of slog.Default. WithLogger(slog.Default()) also logs at the level
// info who comes and goes, and when the node is cut off.
func WithLogger(l *slog.Logger) Option {
	return func(o *options) error {
		o.Logger = l
		return nil
	}
}

// WithRuntime sets the source of time, randomness and goroutines, for tests.
func WithRuntime(r supervisor.Runtime) Option {
	return func(o *options) error {
		o.Runtime = r
		return nil
	}
}

// WithFault sets a function that may panic in place of any actor of the node, for tests:
// see [supervisor.Options].Fault.
func WithFault(fault func(path, point string)) Option {
	return func(o *options) error {
		o.Fault = fault
		return nil
	}
}

// SendOption changes how one message is sent.
type SendOption func(*sendOptions)

type sendOptions struct {
	want   outcomes.Want
	resend bool
	until  time.Duration
	topic  string
	err    error
}

// plain reports whether a plain message does: it has no id, and waits for nobody.
func (o *sendOptions) plain() bool {
	return o.want == outcomes.Read && !o.resend && o.until == 0 && o.topic == "" && o.err == nil
}

// Resend makes the node send a message again if the connection is lost after the message
// was written and before it is confirmed. It has an id, by which a node of this library takes it once;
// see [Handled] for what such a node remembers. A node of another make may get it more than once.
// To a node of this library, the body has at most 8,388,488 bytes.
func Resend() SendOption { return func(o *sendOptions) { o.resend = true } }

// Read is the default: a message is Confirmed when the peer's node has read it. A crash of that node may lose it.
func Read() SendOption { return func(o *sendOptions) { o.want = outcomes.Read } }

// Kept makes a message Confirmed when it is in the peer's inbox ([WithInbox]) on the synced disk, or
// handled. A peer without an inbox refuses it, with [ErrNotKept]; one of another make with
// [ErrNotTaken]. In all else it works as [Handled].
func Kept() SendOption { return func(o *sendOptions) { o.want = outcomes.Kept } }

// Handled makes a message Confirmed when the peer has handled it: the function of [WithMessages] has
// returned nil, the loop over [Node.Messages] has asked for the next one, the handler's Receive has returned, or it was
// acknowledged ([Inbox.Ack]). If it was dropped instead, the outcome has failed, with [ErrDropped].
//
// The message has an id (Message.ID), so its body has at most 8,388,488 bytes: 120 less than that of a plain message.
// If the connection is lost before the answer, the node connects
// and sends it again, until it cannot connect, or with [Until] for as long as that says. The peer handles it once: it remembers the ids of a sender
// for a day, and 4 MiB of all senders. With an inbox it remembers them over restarts; a kill -9 between the end of the handling and
// the write of that has the message handled again, with the next Attempt. A peer that has lost
// what it knew makes the outcome in doubt, with [ErrForgotten]; and so does a peer that cannot be reached again, without Until.
// The first message on a connection takes a round trip more.
//
// Messages with Kept and Handled to a peer keep their order. Those of [Read] keep theirs until a connection is lost, and none with
// Kept and Handled: they take another way, and one that is confirmed may be handled after a later one that has an id.
func Handled() SendOption { return func(o *sendOptions) { o.want = outcomes.Handled } }

// Until makes a message keep its place in the queue, for at most that long, while the peer is away. Then the outcome
// has failed (expired), with the last error, or is in doubt if the message may have arrived. Without Kept, Handled or Resend it
// waits only as long as it was never written. What the peer refuses for good fails at once: it is banned,
// unknown, or takes no messages with ids. One that finds no handler is sent again every two seconds; others go meanwhile. Waiting messages hold credit; when there is none, Submit waits.
func Until(limit time.Duration) SendOption { return func(o *sendOptions) { o.until = limit } }

// To gives a message a topic, of 1 to 64 bytes, so that it goes to the peer's handler of that topic alone: see [On]. So several libraries
// in one program can have messages of their own. Without [Kept], the message is sent as with [Handled]. If the peer has no handler
// of the topic, and no inbox, the outcome has failed, with [ErrNotTaken].
func To(topic string) SendOption {
	return func(o *sendOptions) { o.topic, o.err = topic, cmp.Or(o.err, protocol.CheckTopic(topic)) }
}

// PanicPolicy decides what a panic does to your actor or service. With every policy, no
// peer is disconnected, and its other calls and streams go on: only [Peers.Blame] counts
// an offence against a peer.
type PanicPolicy = protocol.PanicPolicy

// The panic policies.
const (
	// PanicRestart, the default, starts a new incarnation. Messages of peers cause at
	// most five restarts a minute; after that, a message whose handling panics is
	// dropped and the incarnation goes on.
	PanicRestart = protocol.PanicRestart
	// PanicContain drops the message; the same incarnation goes on.
	PanicContain = protocol.PanicContain
	// PanicStop stops the actor until it is registered again. Meanwhile peers get the
	// same answers as if the actor did not exist.
	PanicStop = protocol.PanicStop
)

// ActorOption is a setting of one of your actors.
type ActorOption func(*actorOptions)

type actorOptions struct {
	onPanic PanicPolicy
	topic   string
	atOnce  int
	err     error
}

// OnPanic sets the actor's [PanicPolicy]. Default: [PanicRestart]. The policy of a service
// is a field of [rpc.Service].
func OnPanic(p PanicPolicy) ActorOption { return func(o *actorOptions) { o.onPanic = p } }

// On has a handler take the messages with that topic, and no others: see [To]. It is for [WithMessages], [Node.Messages],
// [WithHandler] and [Node.RegisterHandler]. A handler without On takes the messages without a topic.
func On(topic string) ActorOption {
	return func(o *actorOptions) { o.topic, o.err = topic, cmp.Or(o.err, protocol.CheckTopic(topic)) }
}

// AtOnce bounds how many streams [WithStreams] and [Node.RegisterStreams] handle at once, 1 to 100,000.
// Default: 1,000. When there is one more, the newest stream of the source that has most is reset, and the
// context of its function ends. While twice as many functions run, new streams are reset.
func AtOnce(streams int) ActorOption {
	return func(o *actorOptions) {
		if o.atOnce = streams; streams < 1 || streams > maxAtOnce {
			o.err = fmt.Errorf("gamelan: AtOnce: %d streams are not between 1 and %d", streams, maxAtOnce)
		}
	}
}

const maxAtOnce = 100_000

// actorSettings returns the options of an actor.
func actorSettings(opts []ActorOption) (o actorOptions, err error) {
	for _, opt := range opts {
		opt(&o)
	}
	return o, cmp.Or(o.err, o.onPanic.Validate())
}

// registration completes a registration, or returns an error if it is not possible.
func registration(m users.Register, new NewActor, opts []ActorOption) (users.Register, error) {
	if new == nil {
		return m, errNoActor
	}
	o, err := actorSettings(opts)
	if err == nil && o.topic != "" && (m.ID != "" || m.Type != nil || m.Actor != "") {
		err = errors.New("gamelan: On is for handlers of messages; leave it out")
	}
	if err == nil && o.atOnce != 0 {
		err = errors.New("gamelan: AtOnce is for WithStreams and RegisterStreams; leave it out")
	}
	m.OnPanic, m.Topic = o.onPanic, cmp.Or(o.topic, m.Topic)
	return m, err
}

// NewSystem returns an actor system for [WithSystem] that logs only warnings and errors,
// to l. A system made by [actor.NewActorSystem] works as well, but uses about 10 MB more
// memory in the long run.
func NewSystem(l *slog.Logger) *actor.ActorSystem { return assemble.NewSystem(l) }
