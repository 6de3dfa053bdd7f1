package gamelan

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
)

// ErrNoDHT reports the use of the DHT on a node without one.
var ErrNoDHT = actors.ErrNoDHT

// Send sends a message over the DHT and waits for its end: the report has an
// outcome for each peer that it was sent to. It waits for credit first when too
// much is on its way. An error means that the message was not accepted; after
// that the report says all. A deadline of ctx that comes before the message's
// limit takes its place; when ctx is cancelled, Send returns what is known by
// then, and the message goes on within its limit.
//
// Confirmed says that a peer's multiplexer has read the message, never that an
// application has, nor that anybody has passed it on.
func (n *Node) Send(ctx context.Context, m dht.Message) (dht.Report, error) {
	var limit func() time.Duration
	end, bounded := ctx.Deadline()
	if bounded {
		limit = func() time.Duration { return max(time.Millisecond, min(m.For(), time.Until(end))) }
	}
	s, err := n.submit(ctx, m, limit)
	if err != nil {
		return dht.Report{}, err
	}
	if bounded { // the message ends by itself then, with an outcome for each peer
		return s.wait(ctx, endGrace, s.entry.Ended), nil
	}
	return s.Wait(ctx), nil
}

// Submit is Send without waiting for the end: it returns as soon as the message
// is accepted.
func (n *Node) Submit(ctx context.Context, m dht.Message) (*Sending, error) {
	return n.submit(ctx, m, nil)
}

// submit is Submit for a message whose limit depends on when it is accepted,
// unless limit is nil.
func (n *Node) submit(ctx context.Context, m dht.Message, limit func() time.Duration) (*Sending, error) {
	var err error
	switch {
	case n.env.DHT == nil:
		return nil, ErrNoDHT
	case n.stopping():
		return nil, ErrClosed
	case m.Type == dht.TypePing:
		return nil, fmt.Errorf("gamelan: message not accepted: %w", actors.ErrPingType)
	}
	s := &Sending{n: n, changed: make(chan struct{})}
	if s.entry, err = n.env.SendMessage(ctx, m, limit, s.change); err != nil {
		return nil, fmt.Errorf("gamelan: message not accepted: %w", err)
	}
	return s, nil
}

// Sending is a message that was accepted by [Node.Submit]. Its methods may be
// called from any goroutine.
type Sending struct {
	n     *Node
	entry *dht.Entry

	mu      sync.Mutex
	changed chan struct{} // closed at the next change
}

// change lets those who wait look again.
func (s *Sending) change() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// SubmitFrom sends a message over the DHT on behalf of an actor, for use inside
// Receive: it never waits, and the actor hears [actors.MessageSent] with m.ID when
// the message has ended. Without credit that is at once, as overloaded; without
// the DHT it is never, and what cannot be sent at all has failed at once.
func (n *Node) SubmitFrom(c actor.Context, m actors.SendMessage) {
	if n.env.DHT != nil {
		c.Request(n.env.Outbound, m)
	}
}

// Report returns what is known by now.
func (s *Sending) Report() dht.Report { return s.entry.Report() }

// Wait waits until every copy has its outcome, or ctx ends, and returns what is
// known then. The message itself ends within its limit in any case.
func (s *Sending) Wait(ctx context.Context) dht.Report {
	return s.wait(ctx, 0, s.entry.Ended)
}

// WaitFirst waits only until one copy has its outcome: for messages to one peer,
// and for those of which any answer will do.
func (s *Sending) WaitFirst(ctx context.Context) dht.Report {
	return s.wait(ctx, 0, func() bool {
		t := s.entry.Tally()
		return t.Ended || t.Confirmed+t.InDoubt+t.Failed > 0
	})
}

// WaitConfirmed waits only until so many copies are confirmed. Fewer are when
// the message ends, or ctx does, before.
func (s *Sending) WaitConfirmed(ctx context.Context, n int) dht.Report {
	return s.wait(ctx, 0, func() bool {
		t := s.entry.Tally()
		return t.Ended || t.Copies > 0 && t.Confirmed >= n
	})
}

// WaitFraction waits only until this part of the copies, from 0 to 1, is
// confirmed. Less is when the message ends, or ctx does, before.
func (s *Sending) WaitFraction(ctx context.Context, part float64) dht.Report {
	return s.wait(ctx, 0, func() bool {
		t := s.entry.Tally()
		return t.Ended || t.Copies > 0 && float64(t.Confirmed) >= part*float64(t.Copies)
	})
}

// endGrace is how much longer than ctx Send waits for the end of a message whose
// limit is ctx's.
const endGrace = 500 * time.Millisecond

func (s *Sending) wait(ctx context.Context, grace time.Duration, enough func() bool) dht.Report {
	done := ctx.Done()
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if enough() {
			break
		}
		select {
		case <-changed:
			continue
		case <-s.n.closed:
		case <-done:
			if grace > 0 {
				more, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
				defer cancel()
				done, grace = more.Done(), 0
				continue
			}
		}
		break
	}
	return s.entry.Report()
}

// Sends returns the messages sent over the DHT: those under way, and the last
// [dht.LedgerKept] that ended, oldest first. It is empty without the DHT.
func (n *Node) Sends() []dht.Report {
	if n.env.DHT == nil {
		return nil
	}
	return n.env.Ledger.All()
}

// SendsByTag is [Node.Sends] of one tag.
func (n *Node) SendsByTag(tag uint64) []dht.Report {
	if n.env.DHT == nil {
		return nil
	}
	return n.env.Ledger.ByTag(tag)
}
