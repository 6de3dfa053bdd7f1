package kad

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Host is where clients run. It embeds a [Registry]. This library alone implements it, and may add
// methods. A node of package gamelan has one, and so has a [Standalone].
type Host interface {
	System() *actor.ActorSystem
	// Group is the supervisor that clients are attached to.
	Group() *actor.PID
	Now() time.Time
	Wall() time.Time
	// PublicKey is the key that ids of native clients follow from.
	PublicKey() identity.PublicKey
	// Networks returns the networks of a client that names none, or an error.
	Networks(c *Config) ([]Network, error)
	// Keeper opens what keeps the state of a client on the disk; nil: nothing does.
	Keeper(c *Config) (Keeper, error)

	// Banned reports whether a contact may not be in a routing table.
	Banned(Contact) bool
	// AllowsPrivate is what a client's AllowPrivate is at least.
	AllowsPrivate() bool

	registry() *Registry // of an embedded Registry
}

// isolateRetry is the pause before a client or a gateway that has used up its restarts is
// started again (spec: kad B13).
const isolateRetry = 30 * time.Second

// policy is that of the group kad and of the gateways of a client.
var policy = supervisor.Policy{Action: supervisor.Isolate, Retry: isolateRetry}

// GroupSpec returns the spec of the supervisor of all clients of a host.
func GroupSpec() supervisor.Spec {
	return supervisor.Spec{Name: "kad", Kind: "group", New: supervisor.Group(), Children: policy}
}

// StandaloneOptions are the options of a [Standalone]. The zero value works.
type StandaloneOptions struct {
	// System is the actor system; nil: one of its own.
	System *actor.ActorSystem
	// Name is the name of the tree; "": kad-standalone. Two trees of one system need two names.
	Name string
	// PublicKey is the key of native clients that have none of their own. Zero: that of a
	// random identity.
	PublicKey identity.PublicKey
	// OpenKeeper opens what keeps the state of a client on the disk; nil: nothing does.
	OpenKeeper func(c *Config) (Keeper, error)

	Runtime supervisor.Runtime // nil: supervisor.Real()
	Logger  *slog.Logger       // nil: slog.Default()
	// Fault is for tests: see [supervisor.Options].
	Fault func(path, point string)
}

// Standalone is a host of clients without a node: a supervised tree of its own.
type Standalone struct {
	Registry
	o     StandaloneOptions
	root  *supervisor.Root
	group *actor.PID
}

var _ Host = (*Standalone)(nil)

// NewStandalone starts an empty tree for clients. It ends with [Standalone.Close], which
// closes the clients.
func NewStandalone(o StandaloneOptions) (*Standalone, error) {
	if o.Runtime == nil {
		o.Runtime = supervisor.Real()
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Name == "" {
		o.Name = "kad-standalone"
	}
	if o.System == nil {
		quiet := slog.New(slog.DiscardHandler)
		o.System = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
		supervisor.Compact(o.System)
	}
	if o.PublicKey == (identity.PublicKey{}) {
		secret, err := identity.NewSecret(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("kad: make an identity: %w", err)
		}
		o.PublicKey = secret.PublicKey()
	}
	s := &Standalone{o: o}
	// The group has a parent that restarts it, as in a node: its failure does not end the tree.
	tree := supervisor.Spec{Name: "host", Kind: "group", New: supervisor.Group(GroupSpec())}
	root, err := supervisor.Start(o.System, o.Name, tree, supervisor.Options{
		Runtime: o.Runtime, Logger: o.Logger, Fault: o.Fault, Contained: s.contained,
	})
	if err != nil {
		return nil, err
	}
	s.root, s.group = root, o.System.NewLocalPID(root.PID().Id+"/"+GroupSpec().Name)
	return s, nil
}

// contained logs a panic on a message of a peer.
func (s *Standalone) contained(source supervisor.Source, path string, err *supervisor.PanicError) {
	s.o.Logger.Warn("panic on a message of a peer; the message is dropped and the actor goes on", "actor", path,
		"peer", source, "message", err.Msg, "panic", err.Value, "at", err.Where(), "stack_id", err.StackID(), "stack", string(err.Stack))
}

// System returns the actor system.
func (s *Standalone) System() *actor.ActorSystem { return s.o.System }

// Group returns the supervisor of the clients.
func (s *Standalone) Group() *actor.PID { return s.group }

// Root returns the tree of actors.
func (s *Standalone) Root() *supervisor.Root { return s.root }

// Now returns the time of the clock that never steps.
func (s *Standalone) Now() time.Time { return s.o.Runtime.Now() }

// Wall returns the time of the system's clock.
func (s *Standalone) Wall() time.Time { return s.o.Runtime.Wall() }

// PublicKey returns the key of the options, or the random one.
func (s *Standalone) PublicKey() identity.PublicKey { return s.o.PublicKey }

// Networks fails with [ErrNoGateway]: a client of a standalone tree names its networks.
func (s *Standalone) Networks(*Config) ([]Network, error) { return nil, ErrNoGateway }

// Keeper returns what the options open.
func (s *Standalone) Keeper(c *Config) (Keeper, error) {
	if s.o.OpenKeeper == nil {
		return nil, nil
	}
	return s.o.OpenKeeper(c)
}

// Banned returns false: only a node bans.
func (s *Standalone) Banned(Contact) bool { return false }

// AllowsPrivate returns false: each client says so itself.
func (s *Standalone) AllowsPrivate() bool { return false }

// Close closes all clients and ends the tree. It is idempotent. The error names what did
// not end before ctx.
func (s *Standalone) Close(ctx context.Context) error {
	var errs []error
	for _, c := range s.Clients() {
		errs = append(errs, c.Close(ctx))
	}
	return errors.Join(append(errs, s.root.Stop(ctx, nil))...)
}
