// Package lab runs a network of many nodes in one process, and records how the network
// finds itself. A [Lab] starts a seed, nodes that know only the seed, and wallets that
// know one node each. Then it runs the phases: the nodes find their neighbours, a newcomer
// joins, the wallets join, wallets search for each other, news spreads, and a wallet gets the
// letters that were written while it was away. [Report] shows what came of it as text and as
// a page.
package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// Config says what network to run.
type Config struct {
	// Nodes is how many nodes there are besides the seed, and Wallets how many clients.
	Nodes, Wallets int
	// Random chooses the identities, and all else that is chosen at random. The same
	// number makes the same identities.
	Random uint64
	// TCP makes the nodes listen on loopback TCP instead of the memory transport.
	TCP bool
	// Joining is how many nodes may be on their way in at a time, so that one computer can
	// carry a large network; 0 starts all at once.
	Joining int
	// Limit is how long a phase may take. Default 30 s.
	Limit time.Duration
	// Change changes the settings of a member before it starts. It may be nil.
	Change func(Kind, *gamelan.Config)
	// Progress is called when a phase advances, and with done == of when it ends well.
	// It may be nil.
	Progress func(phase string, done, of int)
}

// Most is the largest number of nodes and of wallets.
const Most = 2000

func (c Config) check() error {
	if c.Nodes < 3 || c.Nodes > Most || c.Wallets < 0 || c.Wallets > Most {
		return fmt.Errorf("%d nodes and %d wallets: want 3 to %d nodes and at most %d wallets", c.Nodes, c.Wallets, Most, Most)
	}
	return nil
}

// Kind is the part that a member has in the network.
type Kind uint8

// The kinds of members.
const (
	Seed   Kind = iota // the node that all nodes know from the start
	Node               // knows only the seed
	Wallet             // a client; knows one node
)

// Member is a node of the network, started or not.
type Member struct {
	Name string // such as "node 7"
	Kind Kind
	ID   identity.NodeID
	Key  identity.PublicKey
	Node *gamelan.Node // nil until it is started

	secret *identity.Secret
}

// Lab is a network. Call Start and then the other phases, one after another, from one
// goroutine; Run calls them all. Close stops the network.
type Lab struct {
	config   Config
	random   *rand.Rand
	system   *actor.ActorSystem
	network  *memory.Network
	logger   *slog.Logger // of warnings
	log      *journal
	events   context.Context // ends the readers of events
	stop     context.CancelFunc
	readers  sync.WaitGroup
	Members  []*Member // the seed, the nodes, the wallets
	newcomer int       // index in Members of the node that joins last
	rounds   int       // of Away
}

// New returns a network of which nothing runs yet.
func New(c Config) (*Lab, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	c.Limit = cmp.Or(c.Limit, 30*time.Second)
	if c.Progress == nil {
		c.Progress = func(string, int, int) {}
	}
	var seed [32]byte
	for i := range 8 {
		seed[i] = byte(c.Random >> (8 * i))
	}
	source := rand.NewChaCha8(seed)
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	l := &Lab{
		config: c, random: rand.New(source), newcomer: c.Nodes,
		system: gamelan.NewSystem(logger), network: memory.NewNetwork(), logger: logger,
	}
	for i := range 1 + c.Nodes + c.Wallets {
		m := &Member{Kind: Node, Name: fmt.Sprintf("node %d", i)}
		switch {
		case i == 0:
			m.Kind, m.Name = Seed, "the seed"
		case i > c.Nodes:
			m.Kind, m.Name = Wallet, fmt.Sprintf("wallet %d", i-c.Nodes)
		}
		var err error
		if m.secret, err = identity.NewSecret(source); err != nil {
			return nil, err
		}
		m.Key = m.secret.PublicKey()
		m.ID = m.Key.NodeID()
		l.Members = append(l.Members, m)
	}
	l.log = newJournal(l.Members)
	l.events, l.stop = context.WithCancel(context.Background())
	return l, nil
}

// Close stops all nodes, side by side.
func (l *Lab) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	errs := make([]error, len(l.Members))
	var stopped sync.WaitGroup
	for i, m := range l.Members {
		if m.Node != nil {
			stopped.Go(func() { errs[i] = m.Node.Close(ctx) })
		}
	}
	stopped.Wait()
	l.stop()
	l.readers.Wait()
	return errors.Join(errs...)
}

// Newcomer returns the node that joins when the others have found each other.
func (l *Lab) Newcomer() *Member { return l.Members[l.newcomer] }

// nodes returns the running members that are no wallets.
func (l *Lab) nodes() []*Member {
	return slices.DeleteFunc(slices.Clone(l.Members), func(m *Member) bool { return m.Node == nil || m.Kind == Wallet })
}

// Wallets returns the members that are clients.
func (l *Lab) Wallets() []*Member { return l.Members[1+l.config.Nodes:] }

// start starts a member, which knows the given seeds.
func (l *Lab) start(ctx context.Context, i int, seeds ...string) error {
	m := l.Members[i]
	cfg := gamelan.Config{Secret: m.secret, Seeds: seeds, Client: m.Kind == Wallet}
	options := append(l.log.options(i), gamelan.WithSystem(l.system), gamelan.WithLogger(l.logger))
	if !l.config.TCP {
		cfg.Listen = []string{"/memory/0"}
		options = append(options, gamelan.WithTransport(l.network.Transport()))
	}
	if l.config.Change != nil {
		l.config.Change(m.Kind, &cfg)
	}
	node, err := gamelan.Start(ctx, cfg, options...)
	if err != nil {
		return fmt.Errorf("start %s: %w", m.Name, err)
	}
	m.Node = node
	l.readers.Go(func() {
		for e := range node.Events(l.events) {
			l.log.event(i, e.Value)
		}
	})
	return nil
}

// closest returns the n running nodes that are closest to a member, nearest first.
func (l *Lab) closest(to *Member, n int) []*Member {
	all := slices.DeleteFunc(l.nodes(), func(m *Member) bool { return m == to })
	slices.SortFunc(all, func(a, b *Member) int { return to.ID.Distance(a.ID).Cmp(to.ID.Distance(b.ID)) })
	return all[:min(n, len(all))]
}
