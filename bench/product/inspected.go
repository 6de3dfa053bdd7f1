package product

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Inspected is gamelan/oneway-N-inspected: [OneWay] between nodes that can be inspected, and nobody looks.
func Inspected(n int) harness.Case {
	return harness.Case{Name: "gamelan/oneway-" + size(n) + "-inspected", Run: func(m *harness.Meter) error { return inspected(m, n, nil) }}
}

// Watched is gamelan/oneway-N-watched: [Inspected] with somebody who looks at all actors of both nodes once
// a second, as gamelan top does.
func Watched(n int) harness.Case {
	return harness.Case{Name: "gamelan/oneway-" + size(n) + "-watched", Run: func(m *harness.Meter) error { return inspected(m, n, lookAtActors) }}
}

// Paged is gamelan/oneway-N-paged: [Inspected] with the page of both nodes open in a browser, at the tree.
func Paged(n int) harness.Case {
	return harness.Case{Name: "gamelan/oneway-" + size(n) + "-paged", Run: func(m *harness.Meter) error { return inspected(m, n, lookAsPage) }}
}

func lookAtActors(ctx context.Context, c *client.Client) { _, _ = c.Actors(ctx) }

// paged is what the page asks each second.
var paged = []string{
	"/v1/node", "/v1/traffic", "/healthz", "/v1/actors?sort=depth&limit=50",
	"/v1/tree?depth=2", "/v1/actors?limit=200&state=stuck", "/v1/actors?limit=200&state=failed", "/v1/actors?limit=200&state=backing_off",
}

func lookAsPage(ctx context.Context, c *client.Client) {
	t, base := c.Transport()
	for _, path := range paged {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
		if err != nil {
			return
		}
		answer, err := t.RoundTrip(r)
		if err != nil {
			return // before the start of the node, or after its end
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
}

// inspected measures nodes with an inspector. They are looked at once a second; nil: never.
func inspected(m *harness.Meter, n int, look func(context.Context, *client.Client)) (err error) {
	ctx, cancel := context.WithCancel(m.Context())
	defer cancel()
	var dirs []string
	defer func() {
		for _, dir := range dirs {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	return oneWay(m, n, func(*nodes) (gamelan.Config, []gamelan.Option, error) {
		dir, err := os.MkdirTemp("", "gamelan-bench-")
		if err != nil {
			return gamelan.Config{}, nil, err
		}
		dirs = append(dirs, dir)
		if look != nil {
			go watch(ctx, dir, look)
		}
		return gamelan.Config{DataDir: dir}, []gamelan.Option{gamelan.WithInspector()}, nil
	})
}

// watch looks at a node until ctx ends. Before its start and after its end there is nothing to see.
func watch(ctx context.Context, dir string, look func(context.Context, *client.Client)) {
	c := client.New(dir, client.Options{})
	for tick := time.NewTicker(time.Second); ; {
		select {
		case <-tick.C:
			look(ctx, c)
		case <-ctx.Done():
			return
		}
	}
}

// crowd is how many actors the cases of the tree have beside those of the node.
const crowd = 10_000

// Snapshot is gamelan/snapshot-10000: what is known of all actors of a node.
func Snapshot() harness.Case {
	return crowdLooked("gamelan/snapshot-10000", func(_ context.Context, n *gamelan.Node) int { return len(n.Inspection().Tree().Snapshot()) })
}

// Look is gamelan/tree-10000: all actors of a node, as the inspector shows them, without asking them.
func Look() harness.Case {
	return crowdLooked("gamelan/tree-10000", func(ctx context.Context, n *gamelan.Node) int { return n.Inspection().Look(ctx).Actors })
}

// crowdLooked is the case of a look at 10,000 actors. look returns how many it has seen.
func crowdLooked(name string, look func(context.Context, *gamelan.Node) int) harness.Case {
	return harness.Case{Name: name, Run: func(m *harness.Meter) (err error) {
		s := &nodes{ctx: m.Context()}
		defer func() { err = errors.Join(err, s.close()) }()
		n, err := crowded(s, gamelan.Config{})
		if err != nil {
			return err
		}
		return m.Loop(3, func() error {
			if got := look(s.ctx, n); got < crowd {
				return fmt.Errorf("got %d actors", got)
			}
			return nil
		})
	}}
}

// CrowdMemory is gamelan/actors-memory: what each of 10,000 idle actors costs; inspected, with an inspector.
func CrowdMemory(inspected bool) harness.Case {
	name := "gamelan/actors-memory"
	if inspected {
		name += "-inspected"
	}
	return harness.Case{Name: name, Fresh: true, Rounds: 2, Run: func(m *harness.Meter) error {
		dir, err := os.MkdirTemp("", "gamelan-bench-")
		if err != nil {
			return err
		}
		var opts []gamelan.Option
		if inspected {
			opts = append(opts, gamelan.WithInspector())
		}
		s := &nodes{ctx: m.Context()}
		err = m.Memory(crowd, 3*time.Second, func() (func(), error) {
			_, err := crowded(s, gamelan.Config{DataDir: dir}, opts...)
			return func() { _ = s.close() }, err
		})
		return errors.Join(err, os.RemoveAll(dir))
	}}
}

// crowded starts a node with 10,000 more actors that do nothing.
func crowded(s *nodes, cfg gamelan.Config, opts ...gamelan.Option) (*gamelan.Node, error) {
	cfg.Listen = []string{gamelan.ListenNowhere}
	full := make(chan struct{})
	n, err := s.start(cfg, append(opts, handle(func(c actor.Context) {
		if _, ok := c.Message().(begin); ok {
			for i := range crowd {
				supervisor.Spawn(c, supervisor.Spec{Name: fmt.Sprintf("idle-%d", i), Kind: "idle", New: func() actor.Actor { return receive(func(actor.Context) {}) }})
			}
			close(full)
		}
	}))...)
	if err != nil {
		return nil, err
	}
	if err := tell(n, begin{}); err != nil {
		return nil, err
	}
	select {
	case <-full:
		return n, nil
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}
