package outlast

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Sink receives the messages of a listening client. They are acknowledged when they are
// taken.
type Sink interface {
	Write(m *models.Message) error
	Flush() error
	// Written returns how many bytes all messages had, also those that are not flushed.
	Written() int64
	// Taken returns how many of these bytes the reader has taken, and whether it is gone. Any
	// goroutine may call it.
	Taken() (n int64, gone bool)
	// End says that nothing more will be written, and that nothing failed.
	End()
}

// NodeAway are the functions that are called while the node of a listening or following client is away.
// Over may be called from another goroutine.
type NodeAway struct {
	Begin func() // the node went away; called once for each absence
	Over  func() // it is back
}

// Listen writes messages to out and acknowledges those that its reader takes: o.Most of them,
// or, if that is 0, until ctx ends. With o.All it copies all messages and acknowledges none.
// When the node goes away later, Listen waits for it and goes on: what was written, but not
// acknowledged, is then acknowledged and not written again.
// The error is syscall.EPIPE if the reader has ended. The node has then the messages back
// that the reader has not taken.
func Listen(ctx context.Context, c *client.Client, o inspect.Listening, out Sink, away NodeAway) error {
	l := &listener{client: c, count: o.Most, all: o.All, topic: o.Topic, out: out, open: newWritten(), back: func() {}}
	answer, err := l.request(ctx)
	for isAway := false; err == nil; {
		back := newReturn(isAway, away.Over)
		l.back = back.say
		err = l.copy(ctx, answer)
		isAway = back.stop()
		if !l.lost(ctx, err) {
			return err
		}
		if !isAway {
			away.Begin()
			isAway = true
		}
		answer, err = l.await(ctx)
	}
	return err
}

// backAfter is how long a connection to a node that was away must last until the node counts
// as back: one that stops still answers.
const backAfter = time.Second

// nodeAgain is the pause between two tries to connect to a node that is away.
const nodeAgain = 200 * time.Millisecond

// nodeReturn tells once that a node is back.
type nodeReturn struct {
	say   func()
	said  atomic.Bool
	timer *time.Timer
}

// newReturn calls over after backAfter, or at the first call of say, if the node was away.
func newReturn(isAway bool, over func()) *nodeReturn {
	r := &nodeReturn{say: func() {}}
	if isAway {
		r.say = sync.OnceFunc(func() { over(); r.said.Store(true) })
		r.timer = time.AfterFunc(backAfter, r.say)
	}
	return r
}

// stop reports whether the node is still away. Nothing is told afterwards.
func (r *nodeReturn) stop() (isAway bool) {
	if r.timer == nil {
		return false
	}
	if !r.timer.Stop() {
		r.say() // waits for the timer's call
	}
	return !r.said.Load()
}

// listener writes the messages of one node after another, of the same data directory.
type listener struct {
	client *client.Client
	count  int
	all    bool
	topic  string
	out    Sink
	open   *written
	back   func() // a message has come

	n      int       // messages written
	copied uint64    // with all: number of the last one
	at     time.Time // with all: arrival of the last one
	name   string    // of the listener, of one request
}

// request asks for the messages that are left of the count.
func (l *listener) request(ctx context.Context) (*client.Hearing, error) {
	l.name = rand.Text()
	most := 0
	if l.count > 0 && (!l.all || l.n == 0) { // messages without an acknowledgement come again
		most = l.count - l.n + l.open.len()
	}
	return l.client.Hear(ctx, inspect.Listening{All: l.all, Topic: l.topic, Most: most, Name: l.name})
}

// await returns the answer of a node that was away, once it is back.
func (l *listener) await(ctx context.Context) (*client.Hearing, error) {
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(nodeAgain):
		}
		if answer, err := l.request(ctx); err == nil || !isGone(err) {
			return answer, err
		}
	}
}

// isGone reports whether a request has failed because there is no node, or none that answers.
func isGone(err error) bool {
	switch client.CodeOf(err) {
	case client.CodeNotRunning, client.CodeSilent, client.CodeGone, inspect.CodeStopping:
		return true
	}
	return false
}

// lost reports whether the rest of the messages is to come from the node when it is back.
func (l *listener) lost(ctx context.Context, err error) bool {
	return ctx.Err() == nil && isGone(err) && (l.count == 0 || l.n < l.count)
}

// copy writes the messages of an answer and acknowledges them.
func (l *listener) copy(ctx context.Context, answer *client.Hearing) error {
	defer answer.Close()
	var acks *acknowledger
	if !l.all {
		acks = newAcknowledger(ctx, l.client, l.out, l.open, func() { answer.Close() })
	}
	broken, err := l.copyMessages(ctx, answer, acks)
	if acks == nil {
		return err
	}
	if err == nil {
		l.out.End()
	}
	_, refused := errors.AsType[*inspect.Error](err)
	gone := err != nil && !refused && ctx.Err() == nil
	left := acks.end(ctx, broken || gone) // also for messages written before an error
	if err != nil || left != nil {
		answer.Close()
		_ = l.client.HandBack(context.WithoutCancel(ctx), l.name) // the end of the connection does the same
	}
	if left != nil && !broken && !refused { // the connection may have ended for this
		return left
	}
	return err
}

// copyMessages writes the messages of an answer, and passes those that are flushed to acks, which
// may be nil. broken says that the output has failed.
func (l *listener) copyMessages(ctx context.Context, answer *client.Hearing, acks *acknowledger) (broken bool, err error) {
	unflushed := 0
	err = answer.Each(ctx, func(m *models.Message, more bool) error {
		l.back()
		if !l.again(m) {
			l.n++
			if err := l.out.Write(m); err != nil {
				broken = true
				return err
			}
			l.copied, l.at = m.Seq, m.At
		}
		last := l.n == l.count
		if acks != nil {
			acks.add(m.Seq, m.At, l.out.Written())
		}
		if unflushed++; last || !more || unflushed == ackEvery {
			if err := l.out.Flush(); err != nil {
				broken = true
				return err
			}
			unflushed = 0
			if acks != nil {
				acks.flushed()
			}
		}
		if last {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return broken, err
}

// again reports whether a message was written already, and has come from the node again after
// that was away.
func (l *listener) again(m *models.Message) bool {
	if l.all {
		return m.Seq <= l.copied && !m.At.After(l.at)
	}
	return l.open.has(m.Seq, m.At)
}

// errEnough ends reading when enough messages have come.
var errEnough = errors.New("gamelan: enough")
