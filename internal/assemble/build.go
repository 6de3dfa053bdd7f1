package assemble

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/admitpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/connectivity"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/actors/rpcpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/storypart"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/nodeview"
	"github.com/gamelan-p2p/gamelan/internal/openfiles"
	"github.com/gamelan-p2p/gamelan/internal/slept"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
)

// Start builds and starts the node. It returns when the node is ready, or an error that says why the
// node cannot start.
func (n *Node) Start(ctx context.Context, s *config.Settled, o *Options) error {
	b := builder{Settled: s, Options: o}
	err := b.build(ctx, n)
	if err != nil {
		b.undo()
	}
	return err
}

// builder builds a node. It holds the resources to release if the start fails.
type builder struct {
	*config.Settled
	*Options
	db    kv.DB
	store *peerstore.Store
	dedup *dht.Dedup // nil without the DHT
	bound []*connections.Bound
	trunk trunk.Node

	admission *admitpart.Admission

	onion      *onion           // nil without TransportTor
	proxyOfTor *socks.Transport // nil unless Tor says where the proxy is
}

func (b *builder) undo() {
	for _, l := range b.bound {
		l.First.Discard()
	}
	if b.db != nil {
		b.db.Close()
	}
}

func (b *builder) build(ctx context.Context, n *Node) error {
	if err := b.fill(); err != nil {
		return err
	}
	if err := b.openStore(); err != nil {
		return err
	}
	if err := b.openAdmission(n); err != nil {
		return err
	}
	if err := b.openDHT(); err != nil {
		return err
	}
	if err := b.openOnion(); err != nil {
		return err
	}
	if err := b.bind(ctx); err != nil {
		return err
	}
	n.DB, n.bound, n.public, n.Now, n.hooks = b.db, b.bound, len(b.Advertised) > 0, b.Runtime.Now, &b.Hooks
	begun, files := n.Now(), nodeview.FewFiles(filesNeeded(b.Settled), openfiles.Most())
	for _, w := range files {
		b.Logger.Warn("too few files", "err", w.String())
	}
	b.trunk = trunk.NewNode(b.settings())
	n.Trunk = b.trunk
	n.Record = b.openRecord()
	if err := b.addParts(n); err != nil {
		return err
	}
	if err := b.addUsersParts(n); err != nil {
		return err
	}
	n.View = &nodeview.View{
		Trunk: n.Trunk, Parts: n.Parts, Version: b.Version, Start: begun, Files: files, Health: b.Settled.Health,
		Tree: n.Tree, Actors: n.actors, Status: n.Status, Dials: n.Dials, OnlyDials: n.OnlyDials, Stopping: n.Stopping, Ended: n.Ended, Pools: n.Discovery.Pools,
	}
	if err := trunk.CheckParts(n.Parts, nodeview.Names); err != nil {
		return err
	}
	if err := b.announce(n); err != nil {
		return err
	}
	if err := b.preregister(n); err != nil {
		return err
	}
	if b.Wire.Pattern == protocol.IX {
		b.Logger.Warn("the wire profile sends this node's key unencrypted when it dials", "profile", b.Wire.Name)
	}
	root, err := supervisor.Start(n.Trunk.System(), n.Trunk.Root(), n.Trunk.Tree(n.Parts, b.bound), supervisor.Options{
		Runtime: b.Runtime, Logger: b.Logger, Phases: trunk.Phases(n.Parts), StopTimeout: closeTimeout,
		Contained: n.contained, Panicked: n.panicked, Failed: n.failed, ByHand: n.byHand, Published: n.published(b.Publish), Fault: b.Fault, DontWait: true,
	})
	if err != nil {
		return err
	}
	n.Root = root
	close(n.Up)
	if b.Inspector != nil {
		n.inspector, err = b.Inspector(b.DataDir, n.Inspect(), b.Logger)
	}
	go n.wait(b.Logger)
	if err == nil {
		err = b.ready(ctx, n)
	}
	if err != nil {
		b.db = nil // the node closes it
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), startGrace)
		defer cancel()
		return errors.Join(err, n.Close(stop))
	}
	return nil
}

// openRecord opens the record of what happens. A disk on which it cannot be read or written is no
// reason not to start.
func (b *builder) openRecord() *storypart.Record {
	r, err := storypart.OpenRecord(b.disk())
	if err != nil {
		b.Logger.Warn("events of earlier starts cannot be read", "err", err)
	}
	return r
}

// failed, panicked and contained note that an actor has failed.
func (n *Node) failed(path string, err *supervisor.PanicError) {
	n.Trunk.Failed(path, err)
	n.tellFailed(path, err)
}

func (n *Node) panicked(p supervisor.Panic) {
	n.Trunk.Panicked(p)
	n.tellFailed(p.Path, p.Err)
}

// byHand notes that an actor was restarted or stopped by hand.
func (n *Node) byHand(path string, stopped bool) {
	event := models.ActorRestarted
	if stopped {
		event = models.ActorStopped
	}
	n.Story.ByHand(event, strings.TrimPrefix(path, n.Trunk.Root()+"/node/"))
}

// published returns the function that is called for each event: it shows the event to those who trace a
// peer, and calls the program's side.
func (n *Node) published(publish func(any)) func(any) {
	return func(event any) {
		n.Trace.Published(event)
		publish(event)
	}
}

func (n *Node) contained(source supervisor.Source, path string, err *supervisor.PanicError) {
	n.Trunk.Contained(source, path, err)
	n.tellFailed(path, err)
}

func (n *Node) tellFailed(path string, err *supervisor.PanicError) {
	n.Story.Failed(strings.TrimPrefix(path, n.Trunk.Root()+"/"), base.Beginning(err.Value))
}

// sleeps returns what says how long the machine has slept.
func sleeps(r supervisor.Runtime) func() time.Duration {
	if s, ok := r.(supervisor.Sleeper); ok {
		return s.Slept
	}
	return slept.Now
}

// Inspect returns the node's data for [inspect.Handler].
func (n *Node) Inspect() inspect.Options {
	return inspect.Options{
		Source: inspect.FromRoot(n.Tree(), n.Trunk.System()), Sections: n.View.Sections(),
		ExportPeers: func(_ context.Context, w io.Writer) error {
			_, err := n.hooks.Export(w)
			return err
		},
		Events: n.Record,
		Health: n.View.Unhealthy, Ready: n.View.Unhealthy, Degraded: n.View.Degraded, Warnings: n.View.Warnings, Metrics: n.View.Metrics,
		Listens: func() bool { return !n.OnlyDials() },
	}
}

// startGrace is how long the node may take to stop after its start has failed or taken too
// long. It is short because the node has not accepted any work yet.
const startGrace = time.Second

func (b *builder) fill() (err error) {
	if b.Inspector != nil && b.DataDir == "" {
		return errNoDataDir
	}
	if b.Logger == nil {
		b.Logger = slog.New(warnings{slog.Default().Handler()})
	}
	if b.Runtime == nil {
		b.Runtime = supervisor.Real()
	}
	if b.System == nil {
		b.System = NewSystem(b.Logger)
	}
	if err := b.openTransports(); err != nil {
		return err
	}
	if b.Profile == nil && slices.ContainsFunc(b.Transports, func(t transport.Transport) bool { return t.Name() == "memory" }) {
		b.Wire.TestAddresses = true // otherwise the node could advertise none of its addresses (spec: V 3)
	}
	if b.Secret == nil {
		b.Secret, err = identity.NewSecret(rand.Reader)
	}
	return err
}

func (b *builder) settings() trunk.Settings {
	features := identity.FeatureNode
	if b.Settled.Client {
		features = identity.FeatureNone
	}
	return trunk.Settings{
		Base:  base.Settings{System: b.System, Root: rootName(b.Secret.PublicKey()), Profile: b.Wire, Secret: b.Secret, Features: features, Now: b.Runtime.Now, Wall: b.Runtime.Wall, Slept: sleeps(b.Runtime), Logger: b.Logger},
		Store: b.store,
		Allow: b.Allowed,
		Connections: connections.Settings{Mux: mux.Config(b.Mux), KeepAlive: b.KeepAlive, Gate: connpool.GateLimits{
			Setups: b.MaxSetups, SetupsPerSource: b.MaxSetupsPerSource, SetupsPerSubnet: b.MaxSetupsPerSubnet,
			Conns: b.MaxInbound, ConnsPerSource: b.MaxInboundPerSource, ConnsPerSubnet: b.MaxInboundPerSubnet,
			SetupRate: b.MaxSetupRatePerSource, OffencesPerSource: b.MaxOffencesPerSource,
		}, Listed: b.admission.Listed, Admit: b.admission.Admit, Exempt: b.Exempt, Liveness: connections.LivenessSettings{Allow: b.MayAsk, Slots: b.LivenessSlots}},
		Dialling:     dialling.Settings{Transports: b.Transports, MaxDials: b.MaxDials, DialRate: b.DialRate, Excluded: b.Excluded, Own: b.own(), Listed: b.admission.Listed, Admit: b.admission.Admit},
		Connectivity: connectivity.Settings{MinConnected: b.MinConnected, Floor: max(b.Floor, 0), KeepClosest: b.KeepClosest, SeedNames: b.DHT != nil && len(b.Discovery.SeedNames) > 0},
		Messages:     messengers.Settings{NodeCredit: b.NodeCredit, PeerCredit: b.PeerCredit, DHT: b.DHT != nil, PlainID: protocol.ID(b.PlainID)},
		Users:        users.Settings{UserAgent: b.UserAgent},
	}
}

// rootName returns the name of a node's topmost actor, which is the first part of the paths
// of its actors.
func rootName(key identity.PublicKey) string { return "gamelan-" + key.String()[:16] }

// handled reports whether an actor is registered for messages of connected peers.
func (b *builder) handled() bool {
	return slices.ContainsFunc(b.Registered, func(r users.Register) bool { return r.Handles() })
}

// rank returns the place of an actor in the order of registration. The handler comes first, so
// that no other actor takes its protocol. Actors without a protocol come last, so that
// none takes a name that a protocol has.
func rank(r *users.Register) int {
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

func (b *builder) preregister(n *Node) error {
	for _, f := range b.Messages {
		m := f(n.Inbox)
		if m.Handles() && slices.ContainsFunc(b.Registered, func(r users.Register) bool { return r.Handles() && r.Topic == m.Topic }) {
			return errors.New("gamelan: WithMessages and WithHandler were both given, and messages of connected peers go to one of them; leave one out, or give it a topic with On")
		}
		b.Registered = append(b.Registered, m)
	}
	slices.SortStableFunc(b.Registered, func(x, y users.Register) int { return cmp.Compare(rank(&x), rank(&y)) })
	for _, r := range b.Registered {
		if err := n.Trunk.Preregister(r); err != nil {
			return err
		}
	}
	if len(b.Layers)+len(b.SendLayers) > 0 && b.DHT == nil {
		return actors.ErrNoDHT
	}
	for _, s := range b.Services {
		if err := n.Calls.Preregister(s); err != nil {
			return err
		}
	}
	if n.Discovery == nil {
		return nil
	}
	if s, ok := n.Discovery.Service(); ok {
		return n.Calls.Provide(s, ownService)
	}
	return nil
}

// ownService are the limits of the service that hands out peers. Nodes of every release
// make one or two calls on a session and then end it.
var ownService = rpcpart.Own{Sessions: 200, SessionsPerPeer: 3, Idle: 30 * time.Second, Deadline: 30 * time.Second}

// ready waits until the registered actors and services are offered, and lets connections be set up.
// It waits until the bans of allowed peers are lifted; then it adds the seeds.
func (b *builder) ready(ctx context.Context, n *Node) error {
	if err := n.Root.Ready(ctx); err != nil {
		return fmt.Errorf("gamelan: start: %w", err)
	}
	if _, err := Ask[users.Ready](ctx, n, n.Trunk.Extensions(), users.AwaitReady{}); err != nil {
		return fmt.Errorf("gamelan: start: %w", err)
	}
	for _, p := range n.Parts {
		if p.Ready == nil {
			continue
		}
		if err := n.Again(ctx, func() error { return p.Ready(ctx) }); err != nil {
			return fmt.Errorf("gamelan: start: part %s: %w", p.Name, err)
		}
	}
	if _, err := Ask[users.Offered](ctx, n, n.Trunk.Services(), users.AwaitOffered{}); err != nil {
		return fmt.Errorf("gamelan: start: %w", err)
	}
	n.Trunk.TakePart()
	for _, peer := range b.Allowed { // connectivity asks for their bans to be lifted; wait for that
		if _, _, banned := n.Trunk.Ban(peer); banned {
			if err := n.Pardon(ctx, peer); err != nil && !errors.Is(err, actors.ErrStoreFailed) && !errors.Is(err, actors.ErrNotDurable) {
				return fmt.Errorf("gamelan: start: lift the ban of %s: %w", peer, err)
			}
		}
	}
	for _, seed := range b.SeedPeers {
		if seed.ID == n.Trunk.Self() {
			continue
		}
		if err := b.AddSeed(ctx, seed); err != nil {
			return fmt.Errorf("gamelan: seed %s: %w", seed.ID, err)
		}
	}
	return nil
}

// Pardon lifts a ban. It returns when that is durable.
func (n *Node) Pardon(ctx context.Context, peer identity.NodeID) error {
	r, err := Ask[actors.PeerUnbanned](ctx, n, n.Trunk.Peers(), peerbook.UnbanPeer{Peer: peer})
	return cmp.Or(err, r.Err)
}
