package product

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// credit is the default credit for one peer in one direction; a message costs
// its length and overhead.
const (
	credit   = 1 << 20
	overhead = 256
)

// stream is a sending actor: it keeps window messages of its body under way to
// one peer, for ever. It is the handler of its own node.
type stream struct {
	node   *gamelan.Node
	to     identity.NodeID
	body   []byte
	window int
	sent   uint64
	failed func(error)
	proven *atomic.Uint64
}

type begin struct{}

func (s *stream) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case begin:
		for range s.window {
			s.send(c)
		}
	case actors.Sent:
		if m.Outcome.Kind != protocol.Confirmed {
			s.failed(fmt.Errorf("message %d: got %v, want confirmed", m.ID, m.Outcome))
			return
		}
		s.proven.Add(1)
		s.send(c)
	}
}

func (s *stream) send(c actor.Context) {
	s.sent++
	s.node.SendFrom(c, s.sent, s.to, s.body)
}

// count is a handler that counts what it hears.
func count(received *atomic.Uint64) gamelan.Option {
	return handle(func(c actor.Context) {
		if _, ok := c.Message().(actors.Received); ok {
			received.Add(1)
		}
	})
}

// OneWay is gamelan/oneway-N: an actor of one node sends messages of n bytes,
// as many at a time as three quarters of its credit allow, to the handler of
// the other. The clocks start when the first was proven to have arrived.
func OneWay(n int) harness.Case {
	return harness.Case{Name: "gamelan/oneway-" + size(n), Run: func(m *harness.Meter) error { return oneWay(m, n, nil) }}
}

// oneWay sends messages of n bytes from one node to another. looked is called for each node's
// configuration before it starts; it is nil for nodes that nobody looks at.
func oneWay(m *harness.Meter, n int, looked func(*nodes) (gamelan.Config, []gamelan.Option, error)) (err error) {
	s := &nodes{ctx: m.Context()}
	defer func() { err = errors.Join(err, s.close()) }()
	start := func(o gamelan.Option) (*gamelan.Node, error) {
		if looked == nil {
			return s.start(gamelan.Config{}, o)
		}
		cfg, opts, err := looked(s)
		if err != nil {
			return nil, err
		}
		return s.start(cfg, append(opts, o)...)
	}
	var received, proven atomic.Uint64
	var failure atomic.Pointer[error]
	to, err := start(count(&received))
	if err != nil {
		return err
	}
	from, err := start(gamelan.WithHandler(func(node *gamelan.Node) actor.Actor {
		return &stream{
			node: node, to: to.ID(), body: payload(n), window: credit * 3 / 4 / (n + overhead),
			failed: func(err error) { failure.CompareAndSwap(nil, &err) }, proven: &proven,
		}
	}))
	if err != nil {
		return err
	}
	if err := errors.Join(connect(s.ctx, from, to), tell(from, begin{})); err != nil {
		return err
	}
	if err := until(m, func() bool { return proven.Load() > 0 || failure.Load() != nil }); err != nil {
		return err
	}
	m.SetBytes(n)
	err = m.Flow(received.Load)
	if failed := failure.Load(); failed != nil {
		err = errors.Join(err, *failed)
	}
	return err
}

// until waits for something that comes soon.
func until(m *harness.Meter, ok func() bool) error {
	for !ok() {
		select {
		case <-time.After(time.Millisecond):
		case <-m.Context().Done():
			return m.Context().Err()
		}
	}
	return nil
}

// callers is how many goroutines call Node.Send: what the credit of one peer
// admits, so that more would only wait for credit.
func callers(n int) int { return credit / (n + overhead) }

// SendTo is gamelan/oneway-sendto-N: the same messages by Node.Send, which
// waits for the outcome, from as many goroutines as the credit admits.
func SendTo(n int) harness.Case {
	return harness.Case{Name: "gamelan/oneway-sendto-" + size(n), Run: func(m *harness.Meter) (err error) {
		s := &nodes{ctx: m.Context()}
		defer func() { err = errors.Join(err, s.close()) }()
		var received atomic.Uint64
		to, err := s.start(gamelan.Config{}, count(&received))
		if err != nil {
			return err
		}
		from, err := s.start(gamelan.Config{})
		if err != nil {
			return err
		}
		if err := connect(s.ctx, from, to); err != nil {
			return err
		}
		body := payload(n)
		send := func() error {
			out, err := from.Send(s.ctx, to.ID(), body)
			if err == nil && out.Kind != protocol.Confirmed {
				err = fmt.Errorf("got %v, want confirmed", out)
			}
			return err
		}
		if err := send(); err != nil {
			return err
		}
		var wg sync.WaitGroup
		var over atomic.Bool
		errs := make(chan error, callers(n))
		for range callers(n) {
			wg.Go(func() {
				for !over.Load() {
					if err := send(); err != nil {
						errs <- err
						return
					}
				}
			})
		}
		m.SetBytes(n)
		err = m.Flow(received.Load)
		over.Store(true)
		wg.Wait()
		close(errs)
		return errors.Join(err, <-errs)
	}}
}

// Request is gamelan/request-response-N: an actor sends a message of n bytes,
// the handler actor of the other node sends it back, one at a time. The latency
// is what the asking actor sees.
func Request(n int) harness.Case {
	return harness.Case{Name: "gamelan/request-response-" + size(n), Run: func(m *harness.Meter) (err error) {
		s := &nodes{ctx: m.Context()}
		defer func() { err = errors.Join(err, s.close()) }()
		to, err := s.start(gamelan.Config{}, gamelan.WithHandler(func(node *gamelan.Node) actor.Actor {
			return receive(func(c actor.Context) {
				if m, ok := c.Message().(actors.Received); ok {
					node.SendFrom(c, 0, m.Peer, m.Body)
				}
			})
		}))
		if err != nil {
			return err
		}
		results := make(chan asked, 1)
		from, err := s.start(gamelan.Config{}, gamelan.WithHandler(func(node *gamelan.Node) actor.Actor {
			return &asker{node: node, to: to.ID(), body: payload(n), done: results}
		}))
		if err != nil {
			return err
		}
		if err := connect(s.ctx, from, to); err != nil {
			return err
		}
		ask := func(d time.Duration) ([]time.Duration, error) {
			if err := tell(from, ask{d}); err != nil {
				return nil, err
			}
			select {
			case r := <-results:
				return r.latencies, r.err
			case <-m.Context().Done():
				return nil, m.Context().Err()
			}
		}
		// The first proof on a fresh substream takes a while, by design.
		if _, err := ask(0); err != nil {
			return err
		}
		time.Sleep(freshProof)
		if _, err := ask(m.Window() / 10); err != nil {
			return err
		}
		return m.Timed(ask)
	}}
}

// freshProof is how long the messages on a fresh substream are certain to be
// proven within.
const freshProof = 200 * time.Millisecond

type (
	ask   struct{ window time.Duration }
	asked struct {
		latencies []time.Duration
		err       error
	}
)

// asker sends one message, waits for its echo, and sends the next, until its
// window is over.
type asker struct {
	node      *gamelan.Node
	to        identity.NodeID
	body      []byte
	done      chan<- asked
	end       time.Time
	sent      time.Time
	latencies []time.Duration
}

func (a *asker) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case ask:
		a.latencies = make([]time.Duration, 0, 1<<16)
		a.sent = time.Now()
		a.end = a.sent.Add(m.window)
		a.send(c)
	case actors.Received:
		now := time.Now()
		a.latencies = append(a.latencies, now.Sub(a.sent))
		if !now.Before(a.end) {
			a.done <- asked{a.latencies, nil}
			return
		}
		a.sent = now
		a.send(c)
	case actors.Sent:
		if m.Outcome.Kind != protocol.Confirmed {
			select {
			case a.done <- asked{err: fmt.Errorf("got %v, want confirmed", m.Outcome)}:
			default: // nobody asks any more: the nodes are being closed
			}
		}
	}
}

func (a *asker) send(c actor.Context) {
	a.node.SendFrom(c, 0, a.to, a.body)
}
