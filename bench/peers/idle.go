package peers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
)

const (
	// crowd is how many nodes connect to the one that is measured, early how
	// many of them before it is measured first: what the first connections touch
	// is no cost of the others.
	crowd, early = 450, 50
	// rest is how long all are left alone before memory is read.
	rest = 5 * time.Second
)

// Names of the metrics of memory.
const (
	// RSS is what a process's resident memory grew by for each connection.
	RSS = "rss/connection"
	// RSSCollected is the same after a garbage collection that gave back to the
	// system what it could. A program in Rust has nothing to collect.
	RSSCollected = "rss collected/connection"
)

// Idle is KIND/idle-connections: the resident memory of a process with one node
// of the kind to which 400 more nodes have connected. Those are nodes of Gamelan
// in another process, whatever the kind.
func Idle(k Kind) harness.Case {
	return harness.Case{Name: string(k) + "/idle-rss", Fresh: true, Rounds: 2, Limit: 3 * time.Minute, Run: func(m *harness.Meter) (err error) {
		p, err := k.start(m.Context())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.close()) }()
		log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
		c := &callers{ctx: m.Context(), system: gamelan.NewSystem(log), log: log}
		defer func() { err = errors.Join(err, c.close()) }()

		if err := c.call(p, early); err != nil {
			return err
		}
		before, err := atRest(m, k, p)
		if err != nil {
			return err
		}
		if err := c.call(p, crowd-early); err != nil {
			return err
		}
		after, err := atRest(m, k, p)
		if err != nil {
			return err
		}
		if err := c.online(); err != nil {
			return err
		}
		for metric, bytes := range after {
			m.Report(metric, float64(bytes-before[metric])/(crowd-early))
		}
		return m.Reported()
	}}
}

// atRest is the resident memory of a process that has been left alone.
func atRest(m *harness.Meter, k Kind, p *process) (map[string]int64, error) {
	if err := sleep(m, rest); err != nil {
		return nil, err
	}
	resident, err := p.resident()
	if err != nil {
		return nil, err
	}
	if k == Gamelan {
		if err := p.ask("collect", nil, nil); err != nil {
			return nil, err
		}
	}
	collected, err := p.resident()
	return map[string]int64{RSS: resident, RSSCollected: collected}, err
}

// resident is the resident memory in bytes.
func (p *process) resident() (int64, error) {
	path := fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("resident memory is known on Linux only: %w", err)
	}
	var total, resident int64
	if _, err := fmt.Sscan(string(text), &total, &resident); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return resident * int64(os.Getpagesize()), nil
}

// callers are nodes that each have one connection.
type callers struct {
	ctx    context.Context
	system *actor.ActorSystem
	log    *slog.Logger
	all    []*gamelan.Node
}

// call starts n more nodes and connects them to p.
func (c *callers) call(p *process, n int) error {
	for range n {
		node, err := gamelan.Start(c.ctx, gamelan.Config{NoDHT: true}, gamelan.WithLogger(c.log), gamelan.WithSystem(c.system))
		if err != nil {
			return err
		}
		c.all = append(c.all, node)
		id, err := node.Peers().AddSeed(c.ctx, p.key+"::"+p.addr)
		if err == nil {
			_, err = node.Dial(c.ctx, id)
		}
		if err != nil {
			return fmt.Errorf("connection %d: %w", len(c.all), err)
		}
	}
	return nil
}

// online says if each still has its connection.
func (c *callers) online() error {
	for i, n := range c.all {
		if got := len(n.Connections()); got != 1 {
			return fmt.Errorf("node %d has %d connections in the end, want one", i+1, got)
		}
	}
	return nil
}

func (c *callers) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	errs := make([]error, len(c.all))
	var wg sync.WaitGroup
	for i, n := range c.all {
		wg.Go(func() { errs[i] = n.Close(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
