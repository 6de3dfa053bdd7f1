package product

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/identity"
)

// logger says warnings and errors.
var logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))

// nodes is what a case runs, closed together, last first.
type nodes struct {
	ctx    context.Context
	system *actor.ActorSystem // of all; nil: each node has its own
	all    []*gamelan.Node
}

func (s *nodes) start(cfg gamelan.Config, opts ...gamelan.Option) (*gamelan.Node, error) {
	opts = append([]gamelan.Option{gamelan.WithLogger(logger)}, opts...)
	if s.system != nil {
		opts = append(opts, gamelan.WithSystem(s.system))
	}
	cfg.NoDHT = cfg.DHT == nil // what has no DHT is measured without
	n, err := gamelan.Start(s.ctx, cfg, opts...)
	if err == nil {
		s.all = append(s.all, n)
	}
	return n, err
}

// close closes all nodes at the same time.
func (s *nodes) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	errs := make([]error, len(s.all))
	var wg sync.WaitGroup
	for i, n := range s.all {
		wg.Go(func() { errs[i] = n.Close(ctx) })
	}
	wg.Wait()
	s.all = nil
	return errors.Join(errs...)
}

// shared is nodes in one actor system.
func shared(ctx context.Context) *nodes { return &nodes{ctx: ctx, system: gamelan.NewSystem(logger)} }

// introduce tells from how to dial to.
func introduce(ctx context.Context, from, to *gamelan.Node) error {
	_, err := from.Peers().AddSeed(ctx, to.Seed())
	return err
}

// connect introduces and dials.
func connect(ctx context.Context, from, to *gamelan.Node) error {
	if err := introduce(ctx, from, to); err != nil {
		return err
	}
	_, err := from.Dial(ctx, to.ID())
	return err
}

// receive is a user's actor made of a function.
type receive func(c actor.Context)

func (f receive) Receive(c actor.Context) { f(c) }

// handle makes a fresh node's handler of plain messages of a function.
func handle(f receive) gamelan.Option {
	return gamelan.WithHandler(func(*gamelan.Node) actor.Actor { return f })
}

// tell sends a message to a node's own handler of plain messages.
func tell(n *gamelan.Node, msg any) error {
	pid, ok := n.Actor("handler")
	if !ok {
		return errors.New("the node has no handler")
	}
	n.System().Root.Send(pid, msg)
	return nil
}

// payload is n random bytes.
func payload(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

// size names a size as the anchors do.
func size(n int) string {
	if n >= 1024 && n%1024 == 0 {
		return fmt.Sprintf("%dKiB", n/1024)
	}
	return fmt.Sprint(n)
}

// grid is listening nodes and dialling ones in one actor system.
type grid struct {
	*nodes
	listeners, dialers []*gamelan.Node
}

func newGrid(ctx context.Context, listeners, dialers int, cfg gamelan.Config, opts ...gamelan.Option) (*grid, error) {
	g := &grid{nodes: shared(ctx)}
	for i := range listeners + dialers {
		cfg := cfg
		if i >= listeners {
			cfg.Listen = []string{gamelan.ListenNowhere}
		}
		n, err := g.start(cfg, opts...)
		if err != nil {
			return nil, errors.Join(err, g.close())
		}
		if i < listeners {
			g.listeners = append(g.listeners, n)
		} else {
			g.dialers = append(g.dialers, n)
		}
	}
	return g, nil
}

// connectAll connects every dialer to every listener, and returns when both
// ends of each connection are in use.
func (g *grid) connectAll() error {
	for _, from := range g.dialers {
		for _, to := range g.listeners {
			if err := connect(g.ctx, from, to); err != nil {
				return err
			}
		}
	}
	for _, l := range g.listeners {
		if err := l.WaitOnline(g.ctx, len(g.dialers)); err != nil {
			return err
		}
	}
	return nil
}

// pairs calls f for both directions of each connection, for some at a time.
func (g *grid) pairs(f func(from *gamelan.Node, to identity.NodeID) error) error {
	const atATime = 50
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs error
	places := make(chan struct{}, atATime)
	run := func(from, to *gamelan.Node) {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			if err := f(from, to.ID()); err != nil {
				mu.Lock()
				errs = errors.Join(errs, err)
				mu.Unlock()
			}
		})
	}
	for _, d := range g.dialers {
		for _, l := range g.listeners {
			run(d, l)
			run(l, d)
		}
	}
	wg.Wait()
	return errs
}
