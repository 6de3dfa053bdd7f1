// Package demo is a demonstration of gamelan with three nodes in one process.
package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Run sends messages, kills a connection actor halfway, has a handler panic, has a node go
// away and come back, and prints the result.
func Run(ctx context.Context, out *render.Output, messages int) error {
	logger := slog.New(withoutBug{slog.NewTextHandler(out.Err, &slog.HandlerOptions{Level: slog.LevelError})})
	d, err := startDemo(ctx, logger)
	if err != nil {
		return err
	}
	defer d.close()
	named := *out
	named.Names = d.names
	show := &demoPrinter{&named}
	show.nodes(d)
	stop := show.progress(uint64(messages), d.done.Load)
	r, err := d.run(ctx, messages)
	stop()
	if err == nil {
		r.Bug, err = d.crash(ctx)
	}
	if err == nil {
		err = d.measure(ctx, r)
	}
	if err == nil {
		r.Away, err = d.away(ctx)
	}
	if err != nil {
		return err
	}
	return show.result(r)
}

// demo has three nodes on loopback TCP. The first sends to the other two; halfway its
// connection actor for the second is killed. Then the second sends the first a message on
// which its handler panics. In the end the third goes away and comes back.
type demo struct {
	nodes  [3]demoNode
	done   atomic.Uint64 // messages that have their outcome
	logger *slog.Logger
}

type demoNode struct {
	name   string
	secret *identity.Secret
	node   *gamelan.Node
	record *record
}

// demoNames are the names of the nodes, for people.
var demoNames = [3]string{"ann", "ben", "cleo"}

// startDemo starts the nodes and connects the first with the others.
func startDemo(ctx context.Context, logger *slog.Logger) (*demo, error) {
	d := &demo{logger: logger}
	for i, name := range demoNames {
		secret, err := identity.NewSecret(rand.Reader)
		if err == nil {
			d.nodes[i] = demoNode{name: name, secret: secret, record: &record{}}
			d.nodes[i].node, err = d.start(ctx, &d.nodes[i], nil)
		}
		if err != nil {
			d.close()
			return nil, err
		}
	}
	for _, other := range d.nodes[1:] {
		id, err := d.nodes[0].node.Peers().AddSeed(ctx, other.node.Seed())
		if err == nil {
			_, err = d.nodes[0].node.Dial(ctx, id)
		}
		if err != nil {
			d.close()
			return nil, fmt.Errorf("connect to %s: %w", other.name, err)
		}
	}
	return d, nil
}

// names returns the names of the nodes.
func (d *demo) names() render.NamesOf {
	all := render.NamesOf{}
	for _, n := range d.nodes {
		all[n.secret.NodeID().String()] = n.name
	}
	return all
}

// start starts a node with the identity and the record of who, which knows the seeds.
func (d *demo) start(ctx context.Context, who *demoNode, seeds []string, opts ...gamelan.Option) (*gamelan.Node, error) {
	opts = append(opts, gamelan.WithLogger(d.logger), gamelan.WithHandler(func(*gamelan.Node) actor.Actor { return &demoHandler{who.record} }))
	n, err := gamelan.Start(ctx, gamelan.Config{Secret: who.secret, Seeds: seeds}, opts...)
	if err != nil {
		return nil, failure.Start(err)
	}
	return n, nil
}

func (d *demo) close() {
	for _, n := range d.nodes {
		if n.node != nil {
			n.node.Close(context.Background())
		}
	}
}

// demoResult is the result of the demonstration.
type demoResult struct {
	Sender     string        `json:"sender"`
	Peers      []demoPeer    `json:"peers"`
	Crash      demoCrash     `json:"crash"`
	Took       time.Duration `json:"took_ns"`
	Bug        demoBug       `json:"bug"`
	Median     time.Duration `json:"outcome_p50_ns"`
	Burst      demoBurst     `json:"burst"`
	Handshake  time.Duration `json:"handshake_ns"`
	Heap       uint64        `json:"heap_bytes"`
	Goroutines int           `json:"goroutines"`
	Tree       inspect.Tree  `json:"tree"`
	Away       demoAway      `json:"away"`
}

// demoPeer counts the outcomes of the messages to one peer. Missing counts confirmed
// messages that were not received, and Unexpected failed ones that were: both must be 0.
type demoPeer struct {
	Name       string `json:"name"`
	Sent       int    `json:"sent"`
	Confirmed  int    `json:"confirmed"`
	InDoubt    int    `json:"in_doubt"`
	Failed     int    `json:"failed"`
	Received   int    `json:"received"`
	Twice      int    `json:"received_twice"`
	Disordered int    `json:"out_of_order"`
	Missing    int    `json:"confirmed_but_missing"`
	Unexpected int    `json:"failed_but_received"`
}

// demoCrash names the killed connection actor and its successor.
type demoCrash struct {
	Killed string        `json:"killed"`
	New    string        `json:"new"`
	After  time.Duration `json:"after_ns"`
}

// demoBurst measures sending to one peer at full speed.
type demoBurst struct {
	Messages int           `json:"messages"`
	Took     time.Duration `json:"took_ns"`
}

// The messages of the demonstration are spread over demoTime, in steps, so that a person
// can watch them and the crash happens in the middle.
const (
	demoTime  = 2 * time.Second
	demoSteps = 200
)

// run sends the messages, half to each peer, and collects the results.
func (d *demo) run(ctx context.Context, messages int) (*demoResult, error) {
	r := &demoResult{Sender: demoNames[0]}
	half := messages / 2
	conversations := []*conversation{
		newConversation(d, 1, messages-half), newConversation(d, 2, half),
	}
	crash := make(chan demoCrash, 1)
	conversations[0].halfway = func() { crash <- d.kill(ctx, d.nodes[1].node.ID()) }
	for _, c := range conversations {
		c.steps, c.pause = demoSteps, demoTime/demoSteps
	}
	start := time.Now()
	if err := runAll(ctx, conversations); err != nil {
		return nil, err
	}
	r.Took = time.Since(start)
	r.Crash = <-crash
	var times []time.Duration
	for _, c := range conversations {
		r.Peers = append(r.Peers, c.settle())
		times = append(times, c.times...)
	}
	slices.Sort(times)
	r.Median = times[len(times)/2]
	return r, nil
}

// measure sends one more portion at full speed, and reads the sender's figures.
func (d *demo) measure(ctx context.Context, r *demoResult) (err error) {
	last := r.Peers[1].Sent
	burst := newConversation(d, 2, 4*last)
	burst.first = last
	start := time.Now()
	if err := burst.run(ctx); err != nil {
		return err
	}
	r.Burst = demoBurst{len(burst.outcomes), time.Since(start)}
	n := d.nodes[0].node
	if ref, ok := n.Connection(d.nodes[1].node.ID()); ok {
		r.Handshake = ref.Timings.Wire + ref.Timings.Noise + ref.Timings.Identity
	}
	r.Goroutines = runtime.NumGoroutine()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.Heap = m.HeapAlloc
	r.Tree, err = inspect.Look(ctx, n.Inspection().Source, n.Inspection().Tree().PID().Id, -1)
	return err
}

// kill stops the connection actor of a peer without notice, like a crash, and waits for the
// next one.
func (d *demo) kill(ctx context.Context, peer identity.NodeID) demoCrash {
	n := d.nodes[0].node
	old, ok := n.Connection(peer)
	if !ok {
		return demoCrash{}
	}
	start := time.Now()
	n.System().Root.Stop(old.PID)
	for {
		if now, ok := n.Connection(peer); ok && now.ID != old.ID {
			return demoCrash{old.PID.Id, now.PID.Id, time.Since(start)}
		}
		select {
		case <-ctx.Done():
			return demoCrash{Killed: old.PID.Id}
		case <-time.After(time.Millisecond):
		}
	}
}

// conversation is the messages to one peer. The body of a message is its
// number, counted from first.
type conversation struct {
	demo     *demo
	to       demoNode
	first    int
	steps    int           // number of portions; 0: one
	pause    time.Duration // between portions
	outcomes []gamelan.Outcome
	times    []time.Duration
	halfway  func() // called on another goroutine when half of the messages have been accepted
}

func newConversation(d *demo, to, messages int) *conversation {
	return &conversation{demo: d, to: d.nodes[to], outcomes: make([]gamelan.Outcome, messages), times: make([]time.Duration, messages)}
}

// runAll runs all conversations at once.
func runAll(ctx context.Context, all []*conversation) error {
	var wg sync.WaitGroup
	errs := make([]error, len(all))
	for i, c := range all {
		wg.Go(func() { errs[i] = c.run(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// run sends all messages and waits for their outcomes, in order.
func (c *conversation) run(ctx context.Context) error {
	type sent struct {
		i  int
		at time.Time
		p  *gamelan.Pending[gamelan.Outcome]
	}
	accepted := make(chan sent, len(c.outcomes))
	var wg sync.WaitGroup
	wg.Go(func() {
		for s := range accepted {
			c.outcomes[s.i] = s.p.Wait(ctx)
			c.times[s.i] = time.Since(s.at)
			c.demo.done.Add(1)
		}
	})
	var err error
	for i := range c.outcomes {
		if i == len(c.outcomes)/2 && c.halfway != nil {
			wg.Go(c.halfway)
		}
		if portion := len(c.outcomes) / max(c.steps, 1); i > 0 && c.steps > 0 && i%max(portion, 1) == 0 {
			time.Sleep(c.pause)
		}
		s := sent{i: i, at: time.Now()}
		if s.p, err = c.demo.nodes[0].node.Submit(ctx, c.to.node.ID(), strconv.AppendInt(nil, int64(c.first+i), 10)); err != nil {
			err = fmt.Errorf("message %d to %s: %w", i, c.to.name, err)
			break
		}
		accepted <- s
	}
	close(accepted)
	wg.Wait()
	return err
}

// settleTimeout is how long confirmed messages may take from the peer's
// multiplexer to its handler.
const settleTimeout = 5 * time.Second

// settle compares outcomes with the received messages, after the handler has had time to
// read every confirmed one.
func (c *conversation) settle() demoPeer {
	for end := time.Now().Add(settleTimeout); ; time.Sleep(10 * time.Millisecond) {
		if p := c.compare(c.to.record.look()); p.Missing == 0 || time.Now().After(end) {
			return p
		}
	}
}

func (c *conversation) compare(h heard) demoPeer {
	p := demoPeer{Name: c.to.name, Sent: len(c.outcomes), Received: h.n, Twice: h.twice, Disordered: h.disordered}
	for i, o := range c.outcomes {
		arrived := h.which.Has(uint64(c.first + i))
		switch o.Kind {
		case protocol.Confirmed:
			p.Confirmed++
			if !arrived {
				p.Missing++
			}
		case protocol.InDoubt:
			p.InDoubt++
		default:
			p.Failed++
			if arrived {
				p.Unexpected++
			}
		}
	}
	return p
}

// right reports whether the guarantees of a plain send held.
func (p demoPeer) right() bool {
	return p.Missing == 0 && p.Unexpected == 0 && p.Twice == 0 && p.Disordered == 0 && p.Confirmed+p.InDoubt+p.Failed == p.Sent
}
