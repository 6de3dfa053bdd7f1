package gamelantest

import (
	"context"
	"crypto/sha512"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// Network is a network of nodes in memory. It is empty at first, delivers at once and
// loses nothing. The methods SetLink, HealAll, Seed and Conns of [memory.Network] apply
// to all its nodes.
type Network struct {
	*memory.Network
	// System is the actor system that all nodes of the network share.
	System *actor.ActorSystem
	// Quiet makes nodes that are started from now on ask for stored messages only on request,
	// so that a connection carries only what the test sends. It is true at first.
	Quiet bool

	t      testing.TB
	logger *slog.Logger
	nodes  []*Node
	disks  disks
	addrs  map[string]ma.Multiaddr // of the nodes by their data directory
}

// Node is a node of a [Network].
type Node struct {
	*gamelan.Node
	// Number counts the nodes of the network from 1. It determines the node's
	// identity and its address, /memory/<Number>.
	Number int
	// Addr is the node's address.
	Addr ma.Multiaddr
	// Transport is the node's transport on the network.
	Transport *memory.Transport
	// Clock is the node's clock, unless it was started with another runtime.
	Clock *Clock

	dataDir string
	killed  atomic.Bool
}

// killable is the runtime of a node that can be killed.
type killable struct {
	*Clock
	disks *disks
}

// logs are those of a node, until it is killed.
type logs struct {
	slog.Handler
	node *Node
}

func (l logs) Enabled(ctx context.Context, level slog.Level) bool {
	return !l.node.killed.Load() && l.Handler.Enabled(ctx, level)
}
func (l logs) WithAttrs(a []slog.Attr) slog.Handler { return logs{l.Handler.WithAttrs(a), l.node} }
func (l logs) WithGroup(name string) slog.Handler   { return logs{l.Handler.WithGroup(name), l.node} }

// NewNetwork returns a network whose nodes log warnings to t and are closed at
// the end of the test.
func NewNetwork(t testing.TB) *Network {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	return &Network{Network: memory.NewNetwork(), System: gamelan.NewSystem(logger), Quiet: true, addrs: make(map[string]ma.Multiaddr), t: t, logger: logger}
}

// Start starts the next node. Its number determines identity and address, unless cfg sets
// others. Unless cfg has a Floor, the node dials only peers that the test asks for. Start ends
// the test if the node does not start.
func (n *Network) Start(cfg gamelan.Config, opts ...gamelan.Option) *Node {
	n.t.Helper()
	node := &Node{Number: len(n.nodes) + 1, Transport: n.Transport(), Clock: NewClock(), dataDir: cfg.DataDir}
	n.nodes = append(n.nodes, node)
	node.Addr = ma.StringCast(fmt.Sprintf("/memory/%d", node.Number))
	if cfg.Secret == nil && cfg.DataDir == "" {
		cfg.Secret = Secret(node.Number)
	}
	if before, ok := n.addrs[cfg.DataDir]; ok && cfg.DataDir != "" && cfg.Listen == nil {
		node.Addr = before // as a node keeps its port in its directory
	} else if cfg.DataDir != "" {
		n.addrs[cfg.DataDir] = node.Addr
	}
	if cfg.Listen == nil {
		cfg.Listen = []string{node.Addr.String()}
	}
	if cfg.Floor == 0 {
		cfg.Floor = gamelan.NoFloor
	}
	if n.Quiet {
		cfg.StoreForward.NoRequests = true
	}
	ours := []gamelan.Option{
		gamelan.WithSystem(n.System), gamelan.WithTransport(node.Transport), gamelan.WithLogger(slog.New(logs{n.logger.Handler(), node})), gamelan.WithRuntime(killable{node.Clock, &n.disks}),
	}
	var err error
	if node.Node, err = gamelan.Start(context.Background(), cfg, append(ours, opts...)...); err != nil {
		n.t.Fatalf("start node %d: %v", node.Number, err)
	}
	n.t.Cleanup(func() {
		if err := node.Close(context.Background()); err != nil && !node.killed.Load() {
			n.t.Errorf("close node %d: %v", node.Number, err)
		}
	})
	return node
}

// secrets holds the keys that Secret has made, by number: a test may ask for one very often.
var secrets sync.Map // of *identity.Secret

// Secret returns the secret key of the node with that number, always the same.
func Secret(number int) *identity.Secret {
	if s, ok := secrets.Load(number); ok {
		return s.(*identity.Secret)
	}
	s, err := identity.NewSecret(&seed{number})
	if err != nil {
		panic(err) // the reader does not fail
	}
	made, _ := secrets.LoadOrStore(number, s)
	return made.(*identity.Secret)
}

// seed reads the 64 bytes of a hash for ever.
type seed struct{ number int }

func (s *seed) Read(b []byte) (int, error) {
	sum := sha512.Sum512(fmt.Appendf(nil, "gamelantest node %d", s.number))
	return copy(b, sum[:]), nil
}

// Profile returns the wire profile of a network of nodes, for Config.Profile. Unlike the
// networks in gamelan.Config.Network it permits addresses in memory and on loopback, so that
// a test can have nodes of several networks.
func Profile(n protocol.Network) *protocol.Profile {
	p := protocol.Tari(n)
	p.TestAddresses = true
	return &p
}

// Introduce adds b to the peers of a, so that a can dial it.
func (n *Network) Introduce(a, b *Node) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), connectLimit)
	defer cancel()
	if _, err := a.Peers().AddSeed(ctx, b.Seed()); err != nil {
		n.t.Fatalf("introduce node %d to node %d: %v", b.Number, a.Number, err)
	}
}

// connectLimit is more than any dial may take.
const connectLimit = 2 * time.Minute

// Connect makes a dial b, and returns when both are connected. It ends the test if they
// do not connect.
func (n *Network) Connect(a, b *Node) {
	n.t.Helper()
	n.Introduce(a, b)
	ctx, cancel := context.WithTimeout(context.Background(), connectLimit)
	defer cancel()
	if _, ok := a.Connection(b.ID()); !ok { // b sees the end of an earlier connection a moment after a
		for range 1000 {
			if _, ok := b.Connection(a.ID()); !ok {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	if _, err := a.Dial(ctx, b.ID()); err != nil {
		n.t.Fatalf("connect node %d to node %d: %v", a.Number, b.Number, err)
	}
	for { // a is connected a moment before b
		if _, ok := b.Connection(a.ID()); ok {
			return
		}
		select {
		case <-ctx.Done():
			n.t.Fatalf("connect node %d to node %d: the other side has no connection", a.Number, b.Number)
		case <-time.After(time.Millisecond):
		}
	}
}

// Partition separates a and b until [Network.Heal]: bytes from one do not reach the
// other, and no connection ends because of it.
func (n *Network) Partition(a, b *Node) { a.Transport.Partition(b.Transport) }

// Heal undoes Partition. The bytes held back arrive.
func (n *Network) Heal(a, b *Node) { a.Transport.Heal(b.Transport) }

// Cut resets every connection between a and b and returns their number.
func (n *Network) Cut(a, b *Node) int { return n.Network.Cut(a.Addr, b.Addr) }

// SetLinkBetween sets the link between a and b, for bytes sent from now on.
func (n *Network) SetLinkBetween(a, b *Node, l memory.Link) {
	n.Network.SetLinkBetween(a.Addr, b.Addr, l)
}
