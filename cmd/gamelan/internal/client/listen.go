package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/inspect"
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

// NodeAway are the functions that are called while the node of a listening client is away.
// Over may be called from another goroutine.
type NodeAway struct {
	Begin func() // the node went away; called once for each absence
	Over  func() // it is back
}

// Listen writes messages to out and acknowledges those that its reader takes: count of them,
// or, if count is 0, until ctx ends. With all it copies all messages and acknowledges none.
// When the node goes away later, Listen waits for it and goes on: what was written, but not
// acknowledged, is then acknowledged and not written again.
// The error is syscall.EPIPE if the reader has ended. The node has then the messages back
// that the reader has not taken.
func (c *Client) Listen(ctx context.Context, count int, all bool, out Sink, away NodeAway) error {
	l := &listener{client: c, count: count, all: all, out: out, open: newWritten(), back: func() {}}
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
	client *Client
	count  int
	all    bool
	out    Sink
	open   *written
	back   func() // a message has come

	n      int       // messages written
	copied uint64    // with all: number of the last one
	at     time.Time // with all: arrival of the last one
	name   string    // of the listener, of one request
}

// request asks for the messages that are left of the count, and returns the body of the answer.
func (l *listener) request(ctx context.Context) (io.ReadCloser, error) {
	l.name = rand.Text()
	most := 0
	if l.count > 0 && (!l.all || l.n == 0) { // messages without an acknowledgement come again
		most = l.count - l.n + l.open.len()
	}
	q := url.Values{"count": {strconv.Itoa(most)}, "all": {strconv.FormatBool(l.all)}, "name": {l.name}}
	res, err := l.client.get(ctx, "/v1/messages?"+q.Encode())
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// await returns the answer of a node that was away, once it is back.
func (l *listener) await(ctx context.Context) (io.ReadCloser, error) {
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
	f, ok := errors.AsType[*failure.Error](err)
	if ok && f.Kind == unacknowledged {
		return isGone(f.Unwrap())
	}
	return ok && (f.Code == failure.ExitUnreachable && f.Kind != notPermitted || f.Kind == inspect.CodeStopping)
}

// lost reports whether the rest of the messages is to come from the node when it is back.
func (l *listener) lost(ctx context.Context, err error) bool {
	return ctx.Err() == nil && isGone(err) && (l.count == 0 || l.n < l.count)
}

// copy writes the messages of an answer and acknowledges them.
func (l *listener) copy(ctx context.Context, answer io.ReadCloser) error {
	defer answer.Close()
	var acks *acknowledger
	if !l.all {
		acks = newAcknowledger(ctx, l.client, l.out, l.open, func() { answer.Close() })
	}
	err := l.copyMessages(answer, acks)
	if acks != nil { // also for messages written before an error
		if err == nil {
			l.out.End()
		}
		_, broken := errors.AsType[*ownError](err)
		_, refused := errors.AsType[*failure.Error](err)
		gone := err != nil && !refused && ctx.Err() == nil
		if err = errors.Join(err, acks.end(ctx, broken || gone)); err != nil {
			answer.Close()
			l.client.handBack(ctx, l.name)
		}
	}
	return l.client.streamed(ctx, err, true)
}

// streamed returns the failure of a stream that ended with err. ended says that its last
// line has come.
func (c *Client) streamed(ctx context.Context, err error, ended bool) error {
	if err == nil && ended {
		return nil
	}
	if own, ok := errors.AsType[*ownError](err); ok {
		return own.error
	}
	if f, ok := errors.AsType[*failure.Error](err); ok {
		return f
	}
	return c.gone(ctx, err)
}

// handBackTimeout is how long the node may take to end a listener.
const handBackTimeout = 2 * time.Second

// handBack returns the messages that the node has given to the listener of this name, so
// that the next listener begins with them. An error does not matter: the end of the
// connection does the same a moment later.
func (c *Client) handBack(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handBackTimeout)
	defer cancel()
	body, err := json.Marshal(map[string]string{"name": name})
	if err != nil {
		return
	}
	if res, err := c.do(ctx, "POST", "/v1/messages:back", "application/json", bytes.NewReader(body)); err == nil {
		res.Body.Close()
	}
}

// copyMessages writes the messages of r, and passes those that are flushed to acks, which may
// be nil.
func (l *listener) copyMessages(r io.Reader, acks *acknowledger) error {
	unflushed := 0
	err := readObjects(r, func(m heardMessage, more bool) error {
		if m.err != nil {
			return failureOf(m.err)
		}
		l.back()
		if !l.again(&m.Message) {
			l.n++
			if err := l.out.Write(&m.Message); err != nil {
				return &ownError{err}
			}
			l.copied, l.at = m.Seq, m.At
		}
		last := l.n == l.count
		if acks != nil {
			acks.add(m.Seq, m.At, l.out.Written())
		}
		if unflushed++; last || !more || unflushed == ackEvery {
			if err := l.out.Flush(); err != nil {
				return &ownError{err}
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
	switch {
	case errors.Is(err, errEnough):
		return nil
	case err == nil: // the node never ends this by itself
		return io.ErrUnexpectedEOF
	}
	return err
}

// again reports whether a message was written already, and has come from the node again after
// that was away.
func (l *listener) again(m *models.Message) bool {
	if l.all {
		return m.Seq <= l.copied && !m.At.After(l.at)
	}
	return l.open.has(m.Seq, m.At)
}

// unacknowledged is the kind of the failure of notAcknowledged.
const unacknowledged = "not_acknowledged"

// notAcknowledged returns the failure for written messages that could not be
// acknowledged.
func notAcknowledged(err error) error {
	return failure.New(unacknowledged, "they come again with the next gamelan listen", "the last messages were written, but not acknowledged").Because(err)
}

// heardMessage is a line of the answer: a message, or the error that ends the stream.
type heardMessage struct {
	models.Message
	err *inspect.Error
}

func (m *heardMessage) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`{"error":`)) {
		var e struct{ Error *inspect.Error }
		err := json.Unmarshal(b, &e)
		m.err = e.Error
		return err
	}
	return m.Message.UnmarshalJSON(b)
}

// errEnough ends reading when enough messages have come.
var errEnough = errors.New("gamelan: enough")

// ownError is an error of the caller's output, not of the node.
type ownError struct{ error }
