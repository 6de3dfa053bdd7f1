// Package outlast sends and listens on while a peer or the node is away.
package outlast

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/useragent"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Answers are the functions that handle the node's answers.
type Answers[T any] struct {
	Each func(v T, more bool) error             // called with the result of one message; more: another follows at once
	End  func() error                           // called after the last answer
	Rest func(read uint64, because error) error // called if the node ended after it had read so many messages
}

// Send calls send, which streams the messages of in, with on.Each, and then the other functions
// of on.
func Send[T any](send func(each func(T, bool) error) error, in *client.Input, on Answers[T]) error {
	err := send(on.Each)
	if err == nil {
		return on.End()
	}
	e, ok := errors.AsType[*client.Error](err)
	if ok && e.Code == client.CodeGone && in.Err() != nil { // the request has ended for it
		err = unreadable(in.Err())
	}
	if ok && e.Begun {
		return errors.Join(err, on.Rest(in.Begun(), err))
	}
	return err
}

// unreadable is the failure of an input that has ended with err.
func unreadable(err error) *failure.Error {
	return failure.New("file", "", "the input cannot be read: %s", failure.Reason(err))
}

// Sending are messages for a peer, and what becomes of those in doubt.
type Sending struct {
	client.Sending
	NoResend bool // no message in doubt is sent again, not even to a node of this library
}

// Away are the functions that are called while a peer cannot be reached.
type Away struct {
	Begin func(last models.Outcome) // the peer cannot be reached; called once for each absence
	Over  func()                    // a message has come through again
	// Limit is called when the peer was away, or a message had no outcome, for Sending.Timeout.
	// last is why the peer could not be reached, or else the message's outcome; rest tells
	// that messages of the input were not sent.
	Limit func(last models.Outcome, rest bool)
}

// The first and the longest pause between two tries to reach a peer that is away. Each pause
// is twice as long as the one before. A connection that broke is tried again without a pause first.
const (
	firstPause   = time.Second
	longestPause = 10 * time.Second
)

// lastTry is the least time of a try: within it the node says what it knows of the peer.
const lastTry = 500 * time.Millisecond

// sendAhead bounds the messages that were given to the node and have no outcome, in bytes.
// It has room for one message of the greatest length.
const sendAhead = 16 << 20

// Retry sends as client.SendAll does. While the peer cannot be reached, it reads no further input and
// sends the messages that have failed for that reason again, in their order. So it does with
// those in doubt because a connection broke, if s.Resend is set, or if the peer is a node of
// this library and s.NoResend is not set; they may arrive twice. With s.Timeout it ends when the peer was away for that long, or when a message had no outcome
// for that long.
func Retry(ctx context.Context, c *client.Client, s Sending, in *client.Input, on Answers[models.Sent], away Away) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &retrier{client: c, send: s, in: in, on: on, away: away, source: make(chan message), room: credit.NewBudget(sendAhead).Account(sendAhead)}
	go r.read(ctx) // a read of standard input cannot be interrupted, so nobody waits for its end
	err := r.run(ctx)
	if err == nil {
		return on.End()
	}
	if because := cause(ctx, err); because != nil && r.began {
		return errors.Join(because, r.failHeld(), on.Rest(r.taken, because))
	}
	return err
}

// cause returns why no further message can be given to the node; nil if that is not why a
// send has ended.
func cause(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*client.Error](err); ok && e.Begun {
		return e
	}
	if ctx.Err() != nil {
		return interrupted()
	}
	if f, ok := errors.AsType[*failure.Error](err); ok {
		return f
	}
	if client.CodeOf(err) != "" {
		return err
	}
	return nil
}

func interrupted() *failure.Error {
	return failure.New("interrupted", "messages that have failed were not sent", "interrupted")
}

// message is one message of the input, with its last outcome if it was tried.
type message struct {
	n     uint64 // counted from 1
	body  []byte
	last  models.Outcome
	doubt bool // a try has ended in doubt: it may have arrived
}

// outcome is that of the message when a try has ended with o.
func (m *message) outcome(o models.Outcome) models.Outcome {
	m.doubt = m.doubt || o.Outcome == models.OutcomeInDoubt
	if m.doubt && o.Outcome == models.OutcomeFailed {
		o.Outcome = models.OutcomeInDoubt
	}
	return o
}

// retrier sends messages in rounds, of one request each. A round ends when the input ends or
// when a message shows that the peer is away.
type retrier struct {
	client *client.Client
	send   Sending
	in     *client.Input
	on     Answers[models.Sent]
	away   Away
	source chan message    // closed at the end of the input
	room   *credit.Account // for messages under way

	unsettled []message      // read and without a final outcome, in order; between two rounds all of these have failed
	taken     uint64         // messages taken from source
	began     bool           // the node has accepted a request, so that messages may be under way
	expired   bool           // a message had no outcome for too long
	late      models.Outcome // of that message
	failed    error          // of reading the input; valid when source is closed
	ours      *bool          // the peer is a node of this library; nil: not known
}

// read reads the messages of the input until it ends, or ctx does.
func (r *retrier) read(ctx context.Context) {
	defer close(r.source)
	in := bufio.NewReaderSize(r.in, 64<<10)
	for n := uint64(1); ; n++ {
		body, err := nextMessage(in, r.in.Whole())
		if err != nil {
			if err != io.EOF {
				r.failed = unreadable(err)
			}
			return
		}
		select {
		case r.source <- message{n: n, body: body}:
		case <-ctx.Done():
			r.failed = ctx.Err()
			return
		}
		if r.in.Whole() {
			return
		}
	}
}

// nextMessage reads a line, without its line feed, or all of in. Of a message above the
// limit it keeps one byte more than the limit: the node refuses it.
func nextMessage(in *bufio.Reader, whole bool) ([]byte, error) {
	const most = inspect.DefaultMaxBody + 1
	if whole {
		return io.ReadAll(io.LimitReader(in, most))
	}
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		ended := err == nil
		if ended {
			part = part[:len(part)-1]
		}
		line = append(line, part[:min(len(part), most-len(line))]...)
		switch {
		case ended, err == io.EOF && len(line) > 0:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

func (r *retrier) run(ctx context.Context) error {
	for first := true; ; first = false {
		if (!first || r.in.Whole()) && len(r.unsettled) == 0 { // a message in all is read before it is begun
			select {
			case m, ok := <-r.source:
				if !ok {
					return r.failed
				}
				r.taken = m.n
				r.unsettled = append(r.unsettled, m)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := r.round(ctx, r.send.Timeout, len(r.unsettled), true); err != nil {
			return err
		}
		switch {
		case r.expired:
			return r.giveUp(r.late)
		case len(r.unsettled) == 0:
			return r.failed
		}
		if over, err := r.outlast(ctx); err != nil || !over {
			return err
		}
	}
}

// outlast tries the first unsettled message until it has a final outcome. It returns false when
// the peer was away for too long.
func (r *retrier) outlast(ctx context.Context) (bool, error) {
	last := r.unsettled[0].last
	r.away.Begin(last)
	start := time.Now()
	pause, first := firstPause, r.unsettled[0].n
	if last.Reason == protocol.ConnectionLost.String() {
		pause = 0
	}
	for ; len(r.unsettled) > 0 && r.unsettled[0].n == first; pause = min(max(2*pause, firstPause), longestPause) {
		left := time.Duration(0)
		if r.send.Timeout > 0 {
			if left = r.send.Timeout - time.Since(start); left <= 0 {
				return false, r.giveUp(last)
			}
			pause = min(pause, left)
		}
		select {
		case <-ctx.Done():
			return false, interrupted()
		case <-time.After(pause):
		}
		if left > 0 {
			left = max(left-pause, lastTry)
		}
		if err := r.round(ctx, left, 1, false); err != nil {
			return false, err
		}
		if len(r.unsettled) > 0 && r.unsettled[0].n == first {
			last = r.unsettled[0].last
		}
		if r.expired {
			return false, r.giveUp(last)
		}
	}
	r.away.Over()
	return true, nil
}

// giveUp reports the unsettled messages as failed.
func (r *retrier) giveUp(last models.Outcome) error {
	r.away.Limit(last, r.rest())
	return r.failHeld()
}

// endSeen is how long the end of an input may take to show.
const endSeen = 100 * time.Millisecond

// rest reports whether there are messages that the node was not given, or an input that has
// not ended.
func (r *retrier) rest() bool {
	for _, m := range r.unsettled {
		if m.last.Outcome == "" {
			return true
		}
	}
	select {
	case _, more := <-r.source:
		return more
	case <-time.After(endSeen):
		return true
	}
}

func (r *retrier) failHeld() error {
	for i, m := range r.unsettled {
		if m.last.Outcome == "" { // given to the node, without an answer
			continue
		}
		if err := r.on.Each(models.Sent{N: m.n, Peer: r.send.Peer, Outcome: m.last}, i+1 < len(r.unsettled)); err != nil {
			return err
		}
	}
	r.unsettled = nil
	return nil
}

// isAway reports whether a try has ended because the peer id cannot be reached, so that the
// same message may be sent again.
func (r *retrier) isAway(ctx context.Context, o models.Outcome, id string) bool {
	inDoubt := o.Outcome == models.OutcomeInDoubt
	switch o.Reason {
	case protocol.DialFailed.String(), protocol.NoPeer.String():
		return !inDoubt || r.resends(ctx, id)
	case protocol.ConnectionLost.String():
		return inDoubt && r.resends(ctx, id)
	}
	return false
}

// resends reports whether messages in doubt are sent again to the peer id. The node tells the
// peer's user agent; while it does not, they are not.
func (r *retrier) resends(ctx context.Context, id string) bool {
	if r.send.Resend || r.send.NoResend {
		return r.send.Resend
	}
	if r.ours == nil {
		ctx, cancel := context.WithTimeout(ctx, client.Patience)
		defer cancel()
		p, err := r.client.Peer(ctx, id)
		if err != nil {
			return false
		}
		r.ours = new(useragent.Ours(p.UserAgent))
	}
	return *r.ours
}
