package outlast

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// round is one request of a retrier.
type round struct {
	*retrier
	to      *io.PipeWriter
	again   []message // messages of earlier rounds, which go first
	further bool      // messages of the input follow
	away    chan struct{}
	stop    func() // closes away

	fed int // messages of again that were taken from it

	mu   sync.Mutex
	sent []message // without an answer, in order
}

// round sends the first count of the held messages, and then, if further is set, messages
// of the input until one shows that the peer is away. Afterwards the messages that have
// failed for that reason, and those that were not sent, are held. timeout is that of each
// message.
func (r *retrier) round(ctx context.Context, timeout time.Duration, count int, further bool) error {
	s := r.send.Sending
	s.Timeout = timeout
	body, to := io.Pipe()
	away := make(chan struct{})
	x := &round{retrier: r, to: to, again: r.unsettled[:count], further: further, away: away, stop: sync.OnceFunc(func() { close(away) })}
	later := r.unsettled[count:]
	feeding, end := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { to.CloseWithError(x.feed(feeding)) })
	var failed []message
	err := r.client.SendAll(ctx, s, client.NewInput(body, r.in.Whole()), func(v models.Sent, more bool) error {
		m := x.answered()
		r.began = true
		r.room.Return(len(m.body))
		v.Outcome = m.outcome(v.Outcome)
		if r.isAway(ctx, v.Outcome, v.Peer) {
			x.stop()
			m.last = v.Outcome
			failed = append(failed, m)
			return nil
		}
		if v.Reason == protocol.Expired.String() {
			r.expired, r.late = true, v.Outcome
			x.stop()
		}
		v.N = m.n
		return r.on.Each(v, more)
	})
	end()
	body.Close()
	work.Wait()
	if e, ok := errors.AsType[*client.Error](err); ok && e.Begun {
		r.began = true
	}
	r.unsettled = slices.Concat(failed, x.sent, x.again[x.fed:], later)
	return err
}

// feed writes the messages of the round to its request. An error says that there is no end in order.
func (x *round) feed(ctx context.Context) error {
	for _, m := range x.again {
		x.fed++
		if err := x.write(ctx, m); err != nil {
			return err
		}
	}
	for x.further {
		select {
		case <-x.away:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case m, ok := <-x.source:
			if !ok {
				return ctx.Err()
			}
			x.taken = m.n
			if err := x.write(ctx, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// write writes one message, when there is room for it.
func (x *round) write(ctx context.Context, m message) error {
	x.mu.Lock()
	x.sent = append(x.sent, m)
	x.mu.Unlock()
	if err := x.room.Take(ctx, len(m.body)); err != nil {
		return err
	}
	x.mu.Lock()
	x.sent[len(x.sent)-1].last = models.Outcome{} // from here on nobody knows
	x.mu.Unlock()
	text := m.body
	if !x.in.Whole() {
		text = append(slices.Clip(text), '\n')
	}
	_, err := x.to.Write(text)
	return err
}

// answered takes the first message without an answer: outcomes come in order.
func (x *round) answered() message {
	x.mu.Lock()
	defer x.mu.Unlock()
	m := x.sent[0]
	x.sent[0] = message{} // its body is not kept
	x.sent = x.sent[1:]
	return m
}
