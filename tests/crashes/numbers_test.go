package crashes

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// sender is who sends a message: a caller of the API, or an actor.
type sender byte

const (
	byCaller sender = iota
	byActor
)

func (s sender) String() string { return [...]string{"a caller's", "an actor's"}[s] }

// serial names a message: each sender counts from 1.
type serial struct {
	by sender
	n  uint64
}

func (s serial) String() string { return fmt.Sprintf("%v message %d", s.by, s.n) }

func (s serial) body(size int) []byte {
	b := make([]byte, max(size, 9))
	b[0] = byte(s.by)
	binary.BigEndian.PutUint64(b[1:], s.n)
	return b
}

// ears remember the numbers that a node heard, in order.
type ears struct {
	mu    sync.Mutex
	heard []serial
}

// New makes a handler.
func (e *ears) New(*gamelan.Node) actor.Actor { return listening{e} }

type listening struct{ *ears }

// Receive remembers a number.
func (e listening) Receive(c actor.Context) {
	if m, ok := c.Message().(actors.Received); ok && m.Body[0] <= byte(byActor) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.heard = append(e.heard, serial{sender(m.Body[0]), binary.BigEndian.Uint64(m.Body[1:])})
	}
}

// take returns what was heard and forgets it.
func (e *ears) take() []serial {
	e.mu.Lock()
	defer e.mu.Unlock()
	heard := e.heard
	e.heard = nil
	return heard
}

// numbers sends numbered messages from one node to another and keeps every
// outcome that it is told.
type numbers struct {
	from, to *gamelantest.Node
	system   *actor.ActorSystem
	actor    *actor.PID

	mu       sync.Mutex
	sent     [2]uint64 // by sender
	outcomes map[serial][]protocol.Outcome
	waiting  sync.WaitGroup
	total    tally
}

// tally counts what became of messages.
type tally struct{ sent, confirmed, lost, inDoubt, failed, heard int }

func (c *tally) add(d tally) {
	c.sent += d.sent
	c.confirmed += d.confirmed
	c.lost += d.lost
	c.inDoubt += d.inDoubt
	c.failed += d.failed
	c.heard += d.heard
}

func (c tally) String() string {
	return fmt.Sprintf("%d sent, %d confirmed (%d of them lost in the hands of a killed actor), %d in doubt, %d failed, %d heard",
		c.sent, c.confirmed, c.lost, c.inDoubt, c.failed, c.heard)
}

func newNumbers(net *gamelantest.Network, from, to *gamelantest.Node) *numbers {
	n := &numbers{from: from, to: to, system: net.System, outcomes: make(map[serial][]protocol.Outcome)}
	n.actor = net.System.Root.Spawn(actor.PropsFromFunc(n.receive))
	return n
}

// send asks an actor of the test's own, which belongs to no node, to send a
// number.
type send struct{ size int }

func (n *numbers) receive(c actor.Context) {
	switch m := c.Message().(type) {
	case send:
		s := n.next(byActor)
		n.from.SendFrom(c, s.n, n.to.ID(), s.body(m.size))
	case actors.Sent:
		n.settle(serial{byActor, m.ID}, m.Outcome)
	}
}

func (n *numbers) next(by sender) serial {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent[by]++
	return serial{by, n.sent[by]}
}

func (n *numbers) settle(s serial, out protocol.Outcome) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.outcomes[s] = append(n.outcomes[s], out)
}

// call sends a number as a caller does, who is the only one.
func (n *numbers) call(size int) {
	s := n.next(byCaller)
	p, err := n.from.Submit(context.Background(), n.to.ID(), s.body(size))
	if err != nil { // not accepted is an outcome as well
		n.settle(s, protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Closed, Err: err})
		return
	}
	n.waiting.Go(func() { n.settle(s, p.Wait(context.Background())) })
}

// run sends small and large messages of both kinds until ctx ends, and returns
// when the calls have their outcomes.
func (n *numbers) run(ctx context.Context, r *rand.Rand) {
	for ctx.Err() == nil {
		for range 1 + r.IntN(3) {
			size := r.IntN(200)
			if r.IntN(20) == 0 {
				size = r.IntN(100_000)
			}
			n.call(size)
			n.system.Root.Send(n.actor, send{r.IntN(200)})
		}
		select {
		case <-time.After(time.Duration(r.Int64N(int64(500 * time.Millisecond)))):
		case <-ctx.Done():
		}
	}
	n.waiting.Wait()
}

// check compares the outcomes with what was heard, adds them up and forgets them. When the receiver is well it heard what was confirmed.
func (n *numbers) check(t *testing.T, heard []serial, well bool) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	times, last := make(map[serial]int), [2]uint64{}
	for _, s := range heard {
		times[s]++
		if s.n <= last[s.by] {
			t.Errorf("node %d to node %d: %v was heard after %d", n.from.Number, n.to.Number, s, last[s.by])
		}
		last[s.by] = s.n
	}
	counts := tally{heard: len(heard)}
	for by, sent := range n.sent {
		for k := range sent {
			s := serial{sender(by), k + 1}
			outs, got := n.outcomes[s], times[s]
			if len(outs) != 1 {
				t.Errorf("node %d to node %d: %v: got outcomes %v, want one", n.from.Number, n.to.Number, s, outs)
				continue
			}
			out := outs[0]
			counts.sent++
			switch out.Kind {
			case protocol.Confirmed:
				counts.confirmed++
			case protocol.InDoubt:
				counts.inDoubt++
			case protocol.Failed:
				counts.failed++
			}
			switch {
			case got > 1:
				t.Errorf("node %d to node %d: %v was heard %d times, want at most once", n.from.Number, n.to.Number, s, got)
			case out.Kind == protocol.Failed && got != 0:
				t.Errorf("node %d to node %d: %v: %v, but it was heard", n.from.Number, n.to.Number, s, out)
			case out.Kind == protocol.Confirmed && got == 0 && well:
				t.Errorf("node %d to node %d: %v: %v, but it was not heard", n.from.Number, n.to.Number, s, out)
			case out.Kind == protocol.Confirmed && got == 0:
				counts.lost++
			}
		}
	}
	clear(n.outcomes)
	n.sent = [2]uint64{}
	n.total.add(counts)
}
