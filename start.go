package gamelan

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	rpcpart "github.com/gamelan-p2p/gamelan/actors/rpc"
	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/datadir"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/nodeview"
	"github.com/gamelan-p2p/gamelan/internal/openfiles"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/address"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/connpool"
	"github.com/gamelan-p2p/gamelan/transport/socks"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

// Start builds and starts a node. It returns when the node is ready, or an error that says
// why the node cannot start. ctx bounds the start, not the life of the node. If ctx ends
// first, Start returns within a second or two, and the error names the actors that have not
// finished handling Started; one of yours may block there.
func Start(ctx context.Context, cfg Config, opts ...Option) (*Node, error) {
	var o options
	for _, opt := range opts {
		if err := opt(&o); err != nil {
			return nil, err
		}
	}
	s, err := cfg.Settle()
	if err != nil {
		return nil, err
	}
	b := builder{Settled: s, options: o}
	n, err := b.build(ctx)
	if err != nil {
		b.undo()
		return nil, err
	}
	return n, nil
}

// builder builds a node. It holds the resources to release if the start fails.
type builder struct {
	*config.Settled
	options
	now   func() time.Time
	db    kv.DB
	store *peerstore.Store
	dedup *dht.Dedup // nil without the DHT
	bound []*actors.Bound
	trunk actors.Node

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

func (b *builder) build(ctx context.Context) (*Node, error) {
	if err := b.fill(); err != nil {
		return nil, err
	}
	if err := b.openStore(); err != nil {
		return nil, err
	}
	if err := b.openDHT(); err != nil {
		return nil, err
	}
	if err := b.openOnion(); err != nil {
		return nil, err
	}
	if err := b.bind(ctx); err != nil {
		return nil, err
	}
	n := &Node{
		db: b.db, listen: b.bound, public: len(b.Advertised) > 0, events: newEvents(), now: b.now,
		up: make(chan struct{}), closing: make(chan struct{}), closed: make(chan struct{}), closings: newClosings(),
		stops: stops{list: b.stops, ended: make(chan struct{})},
	}
	begun, files := b.now(), nodeview.FewFiles(filesNeeded(b.Settled), openfiles.Most())
	for _, w := range files {
		b.logger.Warn("too few files", "err", w.String())
	}
	b.trunk = actors.NewNode(b.settings())
	n.trunk = b.trunk
	if err := errors.Join(b.addParts(n), b.addUsersParts(n)); err != nil {
		return nil, err
	}
	n.view = &nodeview.View{
		Trunk: n.trunk, Parts: n.parts, Version: Version, Start: begun, Files: files,
		Tree: n.tree, Status: n.Status, OnlyDials: n.onlyDials, Stopping: n.stopping, Ended: n.ended, Pools: n.discovery.Pools,
	}
	if err := actors.CheckParts(n.parts, nodeview.Names); err != nil {
		return nil, err
	}
	if err := b.announce(n); err != nil {
		return nil, err
	}
	if err := b.openMessages(n); err != nil {
		return nil, err
	}
	if err := b.preregister(n); err != nil {
		return nil, err
	}
	if b.Wire.Pattern == protocol.IX {
		b.logger.Warn("the wire profile sends this node's key unencrypted when it dials", "profile", b.Wire.Name)
	}
	root, err := supervisor.Start(n.trunk.System(), n.trunk.Root(), n.trunk.Tree(n.parts, b.bound), supervisor.Options{
		Runtime: b.runtime, Logger: b.logger, Phases: actors.Phases(n.parts), StopTimeout: closeTimeout,
		Contained: n.trunk.Contained, Panicked: n.trunk.Panicked, Published: n.publish, Fault: b.fault, DontWait: true,
	})
	if err != nil {
		return nil, err
	}
	n.root = root
	close(n.up)
	err = b.inspect(n)
	go n.wait(b.logger)
	if err == nil {
		err = b.ready(ctx, n)
	}
	if err != nil {
		b.db = nil // the node closes it
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), startGrace)
		defer cancel()
		return nil, errors.Join(err, n.Close(stop))
	}
	return n, nil
}

// startGrace is how long the node may take to stop after its start has failed or taken too
// long. It is short because the node has not accepted any work yet.
const startGrace = time.Second

func (b *builder) fill() (err error) {
	if b.inspector && b.DataDir == "" {
		return errNoDataDir
	}
	if b.logger == nil {
		b.logger = slog.Default()
	}
	if b.runtime == nil {
		b.runtime = supervisor.Real()
	}
	b.now = b.runtime.Now
	if b.system == nil {
		b.system = NewSystem(b.logger)
	}
	if err := b.openTransports(); err != nil {
		return err
	}
	if b.Profile == nil && slices.ContainsFunc(b.transports, func(t transport.Transport) bool { return t.Name() == "memory" }) {
		b.Wire.TestAddresses = true // otherwise the node could advertise none of its addresses (spec: V 3)
	}
	if b.Secret == nil {
		b.Secret, err = identity.NewSecret(rand.Reader)
	}
	return err
}

func (b *builder) openStore() (err error) {
	if b.DataDir == "" {
		b.db = kv.Memory()
	} else {
		if err := checkDataDir(b.Dir().Make()); err != nil {
			return err
		}
		if b.db, err = kv.OpenPebble(filepath.Join(b.DataDir, kv.StoreDir)); err != nil {
			return fmt.Errorf("gamelan: peer store: %w", err)
		}
	}
	b.store, err = peerstore.Open(b.db, peerstore.Options{
		Self: b.Secret.NodeID(), MaxPeers: b.MaxPeers, TestAddresses: b.Wire.TestAddresses,
		Connected: b.connected, Now: b.runtime.Wall(),
	})
	if err != nil {
		return fmt.Errorf("gamelan: peer store: %w", err)
	}
	if n := b.store.Damaged(); n > 0 {
		b.logger.Warn("records of the peer store cannot be read; they are left as they are", "n", n)
	}
	return nil
}

// checkDataDir returns an error if other users can change the data directory, its files or
// its store.
func checkDataDir(d *datadir.Dir, err error) error {
	if err == nil {
		defer d.Close()
		err = d.CheckDir(kv.StoreDir)
	}
	if err != nil {
		return datadir.Error(err)
	}
	return nil
}

// connected reports whether a peer is connected. The store must not forget such peers.
func (b *builder) connected(id identity.NodeID) bool {
	if b.trunk == (actors.Node{}) {
		return false // the store is still being opened
	}
	_, ok := b.trunk.Connections().Get(id)
	return ok
}

// bind opens the listening sockets. It runs before the actors start, so that Start can
// return an error for a bad address.
func (b *builder) bind(ctx context.Context) error {
	b.listenBeyond(ctx)
	for _, addr := range b.ListenOn {
		t := b.transportFor(addr)
		if t == nil && addr[0].Code() == ma.P_IP6ZONE {
			return fmt.Errorf("gamelan: %w", &transport.ListenError{Addr: addr, Err: tcp.ErrNoZone})
		}
		if t == nil {
			return badConfig("Listen", fmt.Errorf("no transport of this node handles %s; use another kind of address, or add its transport", addr))
		}
		listen := t.Listen
		if b.AnyPort && b.DataDir != "" {
			listen = func(ctx context.Context, addr ma.Multiaddr) (transport.Listener, error) {
				return b.listenWhereBefore(ctx, t, addr)
			}
		}
		socket, err := listen(ctx, addr)
		if err != nil {
			return fmt.Errorf("gamelan: %w", err)
		}
		b.bound = append(b.bound, &actors.Bound{Transport: t, Addr: socket.Multiaddr(), First: supervisor.Hand(socket, nil)})
	}
	return nil
}

func (b *builder) transportFor(a ma.Multiaddr) transport.Transport {
	for _, t := range b.transports {
		if t.Handles(a) {
			return t
		}
	}
	return nil
}

func (b *builder) settings() actors.Settings {
	features := identity.FeatureNode
	if b.Client {
		features = identity.FeatureNone
	}
	return actors.Settings{
		System: b.system, Root: rootName(b.Secret.PublicKey()), Profile: b.Wire, Secret: b.Secret,
		Features: features, UserAgent: b.UserAgent, Transports: b.transports, Listen: b.ListenOn,
		Store: b.store, Mux: b.Mux, Now: b.now, Wall: b.runtime.Wall, Logger: b.logger, KeepAlive: b.KeepAlive,
		NodeCredit: b.NodeCredit, PeerCredit: b.PeerCredit,
		Gate: connpool.GateLimits{
			Setups: b.MaxSetups, SetupsPerSource: b.MaxSetupsPerSource, SetupsPerSubnet: b.MaxSetupsPerSubnet,
			Conns: b.MaxInbound, ConnsPerSource: b.MaxInboundPerSource, ConnsPerSubnet: b.MaxInboundPerSubnet,
			SetupRate: b.MaxSetupRatePerSource, OffencesPerSource: b.MaxOffencesPerSource,
		},
		Exempt: b.Exempt, MaxDials: b.MaxDials, DialRate: b.DialRate, Excluded: b.Excluded, Own: b.own(),
		MinConnected: b.MinConnected, Floor: max(b.Floor, 0), KeepClosest: b.KeepClosest, Allow: b.Allowed,
		Liveness: actors.LivenessSettings{Allow: b.MayAsk, Slots: b.LivenessSlots},
		DHT:      b.DHT != nil, PlainID: protocol.ID(b.PlainID),
	}
}

// own returns the addresses that lead to this node: those that it listens on, and those
// that it advertises.
func (b *builder) own() []ma.Multiaddr {
	own := slices.Clone(b.Advertised)
	if b.onion != nil {
		own = append(own, b.onion.addr)
	}
	for _, l := range b.bound {
		own = append(own, l.Addr)
		if expanded, err := transport.Expand(l.Addr); err == nil {
			own = append(own, expanded...)
		}
	}
	return own
}

// rootName returns the name of a node's topmost actor, which is the first part of the paths
// of its actors.
func rootName(key identity.PublicKey) string { return "gamelan-" + key.String()[:16] }

// announce signs the node's identity message and publishes it to the node's actors.
func (b *builder) announce(n *Node) error {
	addrs, policy := b.Advertised, n.policy()
	switch {
	case len(addrs) > 0:
		policy.Given = true
	case b.Transport == TransportTor:
		return nil // the part tor announces the onion address
	default:
		if addrs, policy = b.present(policy); len(addrs) == 0 {
			return badConfig("PublicAddresses", b.noAddress())
		}
	}
	if err := policy.Check(addrs); err != nil {
		return badConfig("PublicAddresses", err)
	}
	m, err := n.trunk.NewIdentity(addrs, rand.Reader)
	if err != nil {
		return err
	}
	n.trunk.Announce(m)
	return nil
}

// noAddress returns the error of a node that has no address to show to its peers. It wraps
// [ErrNoNetwork] if a later start may find one.
func (b *builder) noAddress() error {
	if len(b.bound) == 0 {
		return fmt.Errorf("%w: a node that only dials shows its peers one address, too, and this machine has neither a public nor a private one (RFC 1918) now; "+
			"if its network is up, set one, such as /ip4/10.0.0.1/tcp/18189: nobody has to reach it", ErrNoNetwork)
	}
	for _, l := range b.bound {
		if ip, ok := transport.IP(l.Where()); ok && ip.IsUnspecified() {
			kind := "IPv4"
			if ip.Is6() {
				kind = "IPv6"
			}
			return fmt.Errorf("%w: the node listens on all %s addresses of this machine, and others can reach none of them now; if its network is up, set one, or listen on ListenNowhere", ErrNoNetwork, kind)
		}
	}
	return errors.New("no address listened on can be reached by others; set one that can, or listen on ListenNowhere")
}

func (n *Node) policy() address.Policy {
	return address.Policy{TestAddresses: n.trunk.Profile().TestAddresses, OutboundOnly: len(n.listen) == 0, Max: n.trunk.Profile().Limits.Addresses}
}

// present returns the addresses that the node may tell others now, and the policy by which. There
// are none without a network.
func (b *builder) present(policy address.Policy) ([]ma.Multiaddr, address.Policy) {
	addrs := b.reachable(policy)
	if len(addrs) == 0 && !b.onlyLoopback() { // nobody can reach it, so it only dials (spec: V 40)
		policy.OutboundOnly = true
		addrs = b.privateAddress(policy)
	}
	return addrs, policy
}

// reachable returns the listening addresses that may be advertised (V3), best first.
func (b *builder) reachable(policy address.Policy) (addrs []ma.Multiaddr) {
	for _, l := range b.bound {
		addrs = append(addrs, allowed(l.Where(), policy)...)
	}
	return address.Claimable(addrs, b.Wire.Limits.Addresses)
}

// privateAddress returns the one address of a node that only dials, although nobody is expected
// to reach it there: one that it listens on, or another one of the machine. There is none
// without a network.
func (b *builder) privateAddress(policy address.Policy) []ma.Multiaddr {
	own := b.reachable(policy)
	return address.Claimable(append(own, allowed(outboundOnly, policy)...), 1)
}

// allowed returns what a listening address stands for, as far as it may be advertised.
func allowed(a ma.Multiaddr, policy address.Policy) []ma.Multiaddr {
	expanded, err := transport.Expand(a)
	if err != nil { // the system does not tell its addresses
		return nil
	}
	return slices.DeleteFunc(expanded, func(e ma.Multiaddr) bool { return policy.Check([]ma.Multiaddr{e}) != nil })
}

// onlyLoopback reports whether the node listens where only its own machine can reach it.
func (b *builder) onlyLoopback() bool {
	return len(b.bound) > 0 && !slices.ContainsFunc(b.bound, func(l *actors.Bound) bool { return address.Beyond(l.Where()) })
}

// outboundOnly is expanded to the addresses of the interfaces of a node that listens
// nowhere.
var outboundOnly = ma.StringCast("/ip4/0.0.0.0/tcp/18189")

func (b *builder) preregister(n *Node) error {
	slices.SortStableFunc(b.registered, func(x, y registered) int { return cmp.Compare(x.rank(), y.rank()) })
	for _, r := range b.registered {
		r.New = func() actor.Actor { return r.new(n) }
		if err := n.trunk.Preregister(r.Register); err != nil {
			return err
		}
	}
	if len(b.layers)+len(b.sendLayers) > 0 && b.DHT == nil {
		return ErrNoDHT
	}
	for _, s := range b.services {
		if err := n.calls.Preregister(s); err != nil {
			return err
		}
	}
	if n.discovery == nil {
		return nil
	}
	if s, ok := n.discovery.Service(); ok {
		return n.calls.Provide(s, ownService)
	}
	return nil
}

// ownService are the limits of the service that hands out peers. Nodes of every release
// make one or two calls on a session and then end it.
var ownService = rpcpart.Own{Sessions: 200, SessionsPerPeer: 3, Idle: 30 * time.Second, Deadline: 30 * time.Second}

// ready waits until the registered actors and services are offered, and the bans of
// allowed peers are lifted; then it adds the seeds.
func (b *builder) ready(ctx context.Context, n *Node) error {
	if err := n.root.Ready(ctx); err != nil {
		return fmt.Errorf("gamelan: start: %w", err)
	}
	if _, err := ask[actors.Ready](ctx, n, n.trunk.Extensions(), actors.AwaitReady{}); err != nil {
		return fmt.Errorf("gamelan: start: %w", err)
	}
	for _, p := range n.parts {
		if p.Ready == nil {
			continue
		}
		if err := again(ctx, n, func() error { return p.Ready(ctx) }); err != nil {
			return fmt.Errorf("gamelan: start: %w", err)
		}
	}
	for _, peer := range b.Allowed { // connectivity asks for their bans to be lifted; wait for that
		if _, _, banned := n.trunk.Ban(peer); banned {
			if err := n.pardon(ctx, peer); err != nil && !errors.Is(err, actors.ErrStoreFailed) && !errors.Is(err, actors.ErrNotDurable) {
				return fmt.Errorf("gamelan: start: lift the ban of %s: %w", peer, err)
			}
		}
	}
	for _, seed := range b.SeedPeers {
		if seed.ID == n.trunk.Self() {
			continue
		}
		if err := n.Peers().Add(ctx, seed); err != nil {
			return fmt.Errorf("gamelan: seed %s: %w", seed.ID, err)
		}
	}
	return nil
}
