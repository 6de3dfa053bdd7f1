package assemble

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/dhtpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/discoverypart"
	"github.com/gamelan-p2p/gamelan/internal/actors/diskpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/doctorpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/inboxpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/kadpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/lostpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/morepart"
	"github.com/gamelan-p2p/gamelan/internal/actors/outcomepart"
	"github.com/gamelan-p2p/gamelan/internal/actors/reachpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/rpcpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/safpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/storypart"
	"github.com/gamelan-p2p/gamelan/internal/actors/torpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/tracepart"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/actors/whypart"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/kad/comms"
	"github.com/gamelan-p2p/gamelan/internal/kad/keep"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/nodeview"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/transport"
)

// addParts adds the parts of the node. The error is one of the settings, or of the store on the disk.
func (b *builder) addParts(n *Node) error {
	t := b.trunk.Trunk
	n.Admission.Bind(t)
	n.Parts = append(n.Parts, n.Admission.Part())
	if s, ok := b.reachSettings(n); ok {
		n.Reach = reachpart.New(t, s)
		n.Parts = append(n.Parts, n.Reach.Part())
	} else {
		n.Parts = append(n.Parts, reachpart.Off(t, s))
	}
	n.Parts = append(n.Parts, b.diskPart())
	if err := b.openInbox(n); err != nil {
		return err
	}
	var settings outcomepart.Settings
	if n.Inbox != nil {
		settings.Inbox = n.Inbox
	}
	n.Outcomes = outcomepart.New(t, settings)
	n.Parts = append(n.Parts, n.Outcomes.Part(), morepart.Part(t))
	if err := b.addDHT(n); err != nil {
		return err
	}
	n.Kad = kadpart.New(t, b.kadSettings(n))
	n.Parts = append(n.Parts, n.Kad.Part())
	n.Calls = rpcpart.New(t, rpcpart.Settings{
		Sessions: b.RPC.MaxSessions, SessionsPerPeer: b.RPC.MaxPeerSessions,
		Calls: b.RPC.MaxCalls, CallsPerPeer: b.RPC.MaxPeerCalls,
		Clients: b.RPC.ClientSessions, Idle: b.RPC.Idle, CloseWhenIdle: []protocol.ID{discoverypart.ServiceID},
	})
	n.Parts = append(n.Parts, n.Calls.Part())
	n.Parts = append(n.Parts, lostpart.New(t, lostpart.Settings{After: b.Settled.Health.OfflineAfter, Seed: b.namedSeed}).Part())
	n.Story = storypart.New(t, storypart.Settings{
		Heartbeat: b.Settled.Health.Heartbeat,
		Node:      func(ctx context.Context) models.Node { return nodeview.Section[models.Node](ctx, n.View, "node") },
		Record:    n.Record,
		Version:   b.Version,
		Wrong:     func(ctx context.Context) (models.Notices, bool) { return n.View.All(ctx) },
	})
	n.Parts = append(n.Parts, n.Story.Part())
	doctor := doctorpart.Settings{
		Host: b.Host, Listening: n.Listening, Direct: b.Transport != config.TransportTor && b.Transport != config.TransportSOCKS, Admits: n.Admission.Admit,
		Node:   func(ctx context.Context) models.Node { return nodeview.Section[models.Node](ctx, n.View, "node") },
		Health: func(ctx context.Context) models.Health { return n.View.Whole(ctx) },
	}
	shares := b.Inspect.ShareWhy == config.ShareAlways || b.Inspect.ShareWhy == config.SharePrivate && b.Private != nil
	n.Why = whypart.New(t, shares)
	if shares {
		doctor.Ask = n.Why.Ask
	}
	n.Parts = append(n.Parts, n.Why.Part())
	n.Trace = tracepart.New(t, n.Tree)
	n.Parts = append(n.Parts, n.Trace.Part())
	n.Doctor = doctorpart.New(t, doctor)
	n.Parts = append(n.Parts, n.Doctor.Part())
	if b.onion == nil {
		n.Parts = append(n.Parts, torpart.Off(t))
		return nil
	}
	s, err := b.torSettings()
	if err != nil {
		return err
	}
	n.Tor = torpart.New(t, s)
	if b.proxyOfTor != nil {
		b.proxyOfTor.OnStuck(n.Tor.Stuck)
	}
	n.Parts = append(n.Parts, n.Tor.Part())
	return nil
}

// diskPart returns the part that watches the disk, which does nothing without a data directory.
func (b *builder) diskPart() actors.Part {
	s := diskpart.Settings{Path: b.DataDir, Need: b.Settled.Health.DiskFree}
	if disk, ok := b.db.(kv.Space); ok && b.DataDir != "" {
		s.Free = disk.Free
	}
	return diskpart.New(s).Part()
}

// addDHT adds the parts of the DHT.
func (b *builder) addDHT(n *Node) (err error) {
	t := b.trunk.Trunk
	if b.DHT == nil {
		n.Parts = append(n.Parts, dhtpart.Off(), discoverypart.Off(t), safpart.Off())
		return nil
	}
	s := b.dhtSettings()
	s.NoStore = func(peer identity.NodeID) bool { return n.Saf.Silent(peer) }
	s.NoRoom = func() uint64 { return n.Inbox.Status().Dropped }
	n.DHT = dhtpart.New(t, s)
	n.Discovery = discoverypart.New(t, b.discoverySettings(n))
	if n.Saf, err = safpart.New(t, b.storeForwardSettings(n)); err != nil {
		return fmt.Errorf("gamelan: %w", err)
	}
	n.Parts = append(n.Parts, n.DHT.Part(), n.Discovery.Part(), n.Saf.Part())
	return nil
}

// kadSettings returns what clients of the key-value DHT use unless their settings say
// otherwise.
func (b *builder) kadSettings(n *Node) kadpart.Settings {
	return kadpart.Settings{
		AllowPrivate: b.Wire.TestAddresses, Host: b.Host,
		Networks: func(c *kad.Config) ([]kad.Network, error) {
			if c.Overlay != kad.Native {
				return nil, kad.ErrNoGateway
			}
			tor := b.Transport == config.TransportTor || b.Transport == config.TransportSOCKS && b.SOCKS.Tor
			n, err := comms.New(b.trunk.Trunk, c.Network, tor)
			if err != nil {
				return nil, err
			}
			return []kad.Network{n}, nil
		},
		Keeper: func(c *kad.Config) (kad.Keeper, error) { return keep.New(b.db, c.Name, c.Overlay), nil },
	}
}

// dhtSettings returns the settings of the DHT.
func (b *builder) dhtSettings() dhtpart.Settings {
	c := b.DHT
	return dhtpart.Settings{
		DB:     b.disk(),
		Shards: c.Shards, Occurrences: c.Occurrences, SendPace: c.SendPace, FloodLimit: c.FloodLimit, RelayBytes: c.RelayBytes,
		Broadcast: c.Broadcast, Propagation: c.Propagation, Neighbours: c.Neighbours, NoForwarding: c.NoForwarding,
		Dedup: b.dedup, Unreached: dht.NewUnreached(), Layers: b.Layers, SendLayers: b.SendLayers,
	}
}

// discoverySettings returns the settings of the part discovery.
func (b *builder) discoverySettings(n *Node) discoverypart.Settings {
	c := &b.Discovery
	return discoverypart.Settings{
		Automatic: b.Floor > 0, AutoJoin: !c.NoJoin, Sync: !c.NoSync,
		Floor: max(b.Floor, 0), Neighbours: b.DHT.Neighbours, Random: c.Random, Minimise: c.Minimise,
		Update: c.Update, Refresh: c.Refresh, Cooldown: c.OfflineCooldown, JoinCooldown: c.JoinCooldown, Search: c.SearchLimit,
		MinPeers: c.MinPeers, SyncPeers: c.SyncPeers, RoundPeers: c.PeersPerRound, IdleRounds: c.IdleAfterRounds,
		Idle: c.Idle, FailurePause: c.FailurePause, SyncDelay: c.SyncDelay, ServeWithin: c.ServeWithin,
		Seeds: b.SeedPeers, SeedNames: c.SeedNames, Resolver: b.resolver(),
		Client: func(peer identity.NodeID) *rpc.Client { return b.Options.Client(peer, discoverypart.ServiceID) },
		Host:   b.Host,
	}
}

// resolver returns the first transport that looks up DNS names directly, or nil: names are
// never looked up on the way to a proxy.
func (b *builder) resolver() discoverypart.Resolver {
	for _, t := range b.Transports {
		if r, ok := t.(discoverypart.Resolver); ok {
			return r
		}
	}
	return nil
}

// storeForwardSettings returns the settings of the part saf.
func (b *builder) storeForwardSettings(n *Node) safpart.Settings {
	c := &b.StoreForward
	s := safpart.Settings{
		NoStore: c.NoStore, NoRequests: c.NoRequests, SinceLast: c.SinceLast, Limits: saf.Limits(c.Limits),
		Neighbours: b.DHT.Neighbours, DB: b.db, Dedup: b.dedup, Host: b.Host,
	}
	if b.Discovery.Minimise {
		s.Minimise = b.DHT.Neighbours + b.Discovery.Random
	}
	return s
}

// reachSettings returns the settings of the part reach; ok is false for a node that does not follow
// the machine's addresses.
func (b *builder) reachSettings(n *Node) (s reachpart.Settings, ok bool) {
	s.Private = b.Wire.TestAddresses
	s.Claimed, s.Listening, s.Given = n.Trunk.Addresses, n.Listening, n.GivenAddresses
	s.LoopbackOnly = b.Transport == config.TransportTCP && len(b.Advertised) == 0 && b.onlyLoopback() && !b.AnyPort && b.seedElsewhere() != nil
	if b.Transport != config.TransportTCP && b.Transport != config.TransportTCPWithTor || !b.dialsTCP() {
		return s, false
	}
	s.Interfaces = transport.Interfaces
	s.Judge = !b.Reach.Off && !n.OnlyDials() && (!b.onlyLoopback() || b.AnyPort && b.seedElsewhere() != nil)
	s.Clock = s.Judge || !b.Reach.Off && n.OnlyDials()
	s.ClockOff = b.Settled.Health.ClockOff
	s.Most = b.Wire.Limits.Addresses
	if b.onion != nil {
		s.Most-- // for its address
	}
	s.DialBack = s.Judge && !b.Reach.NoDialBack
	s.Ports = b.ports
	s.Trusted = b.namedSeed
	if len(b.Advertised) == 0 {
		s.Own = func() []ma.Multiaddr {
			if n.Given.Load() {
				return nil
			}
			own, _ := b.present(n.Policy())
			return own
		}
	}
	if away := b.seedElsewhere(); b.AnyPort && away != nil {
		s.Home = func(ctx context.Context) (netip.Addr, error) { return transport.RouteTo(ctx, away) }
	}
	return s, true
}

// namedSeed reports whether the settings name a peer as a seed.
func (b *builder) namedSeed(peer identity.NodeID) bool {
	return slices.ContainsFunc(b.SeedPeers, func(p peerstore.Peer) bool { return p.ID == peer })
}

// openInbox opens the inbox if the options ask for one, and registers its actors for the
// messages that it keeps.
func (b *builder) openInbox(n *Node) error {
	if b.Inbox == nil {
		return nil
	}
	if b.handled() {
		return errors.New("gamelan: WithInbox and WithHandler were both given, and messages of connected peers go to one of them; leave one out")
	}
	c, err := b.Inbox.Settle(b.Wire.Limits.MessageBody)
	if err != nil {
		return err
	}
	in, err := inboxpart.Open(inboxpart.Options{
		Limits: inboxpart.Limits{Bytes: c.MaxBytes, Messages: c.MaxMessages, Attempts: max(0, c.MaxAttempts), DHT: len(c.Types) > 0},
		Disk:   b.db.Client(), Marks: b.db.Client(), Wall: b.Runtime.Wall, High: b.Settled.Health.InboxLevel,
	})
	if err != nil {
		return fmt.Errorf("gamelan: %w", err)
	}
	in.Bind(n.Trunk, n.pauseInbox)
	n.Inbox = in
	n.Parts = append(n.Parts, in.Part())
	b.Registered = append(b.Registered, users.Register{New: in.NewActor, All: true})
	for _, t := range c.Types {
		b.Registered = append(b.Registered, users.Register{Type: &t, New: in.NewTypeActor})
	}
	return nil
}

// inboxAgain is the pause before a question to the inbox is repeated.
const inboxAgain = 50 * time.Millisecond

func (n *Node) pauseInbox(ctx context.Context) error {
	select {
	case <-n.Closed:
		return inboxpart.ErrClosed
	case <-n.Closing:
		return inboxpart.ErrClosed
	case <-ctx.Done():
	case <-time.After(inboxAgain):
	}
	return nil
}

// addUsersParts adds the parts of the program.
func (b *builder) addUsersParts(n *Node) error {
	for _, make := range b.Options.Parts {
		p, err := make()
		if err != nil {
			return fmt.Errorf("gamelan: part %q: %w", p.Name, err)
		}
		n.Parts = append(n.Parts, nodeview.OfProgram(p))
	}
	if len(b.Sections)+len(b.Checks)+len(b.Notices) > 0 {
		n.Parts = append(n.Parts, nodeview.Program(b.Sections, b.Checks, b.Notices))
	}
	return nil
}
