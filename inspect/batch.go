package inspect

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"
)

// bodyKind returns the media type of the body: text/plain is one message a line,
// application/octet-stream one message in all.
func (q *query) bodyKind(r *http.Request) string {
	if r.Header.Get("Content-Type") == "" {
		return "text/plain"
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || (kind != "text/plain" && kind != "application/octet-stream") {
		q.refuse("this kind of body is not supported", "send text/plain for one message a line, application/octet-stream for one message in all")
	}
	return kind
}

// batch handles the messages of one request in three steps: read gives them to the node,
// wait waits for the end O of each in order, stream writes these as lines L. The channels
// between the steps are bounded: while a client does not read its lines, the handler does
// not read its messages.
type batch[O, L any] struct {
	send     func(ctx context.Context, body []byte) (wait func(context.Context) O, err error)
	line     func(n uint64, end O, took time.Duration) L
	refused  func(reason, detail string) O
	accepted chan accepted[O]
	lines    chan L
}

// accepted is a message whose end is still to come, or known if wait is nil.
type accepted[O any] struct {
	n    uint64
	at   time.Time
	wait func(context.Context) O
	end  O
}

func newBatch[O, L any](
	send func(context.Context, []byte) (func(context.Context) O, error),
	line func(uint64, O, time.Duration) L,
	refused func(reason, detail string) O,
) *batch[O, L] {
	return &batch[O, L]{send, line, refused, make(chan accepted[O], sendWindow), make(chan L, sendWindow/16)}
}

// transmit sends the messages of a request's body and streams their ends.
func transmit[O, L any](w http.ResponseWriter, r *http.Request, kind string, b *batch[O, L]) (any, error) {
	rc := http.NewResponseController(w)
	if err := rc.EnableFullDuplex(); err != nil {
		return nil, &Error{Code: CodeInternal, Message: "this connection cannot send and receive at once", Hint: "use HTTP/1.1"}
	}
	out := newStream(w, 0)
	if r.Context().Err() != nil { // the client has gone before: its messages are in the body all the same
		return done, nil
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	lines := newLineReader(r.Body, DefaultMaxBody)
	next := lines.next
	if kind == "application/octet-stream" {
		next = once(lines.whole)
	}
	var work sync.WaitGroup
	work.Go(func() { b.read(ctx, cancel, next) })
	work.Go(func() { b.wait(ctx) })
	if b.stream(out) != nil { // the client has gone
		cancel()
		_ = rc.SetReadDeadline(time.Now()) // ends a read that waits
		for range b.lines {                // drop the other lines
		}
	}
	work.Wait()
	return done, nil
}

// once returns a source with a single message.
func once(whole func() ([]byte, error)) func() ([]byte, error) {
	done := false
	return func() ([]byte, error) {
		if done {
			return nil, io.EOF
		}
		done = true
		return whole()
	}
}

// read sends the messages that next returns, until next returns an error. An error other
// than the end of the body means that the client has gone: read calls cancel, which
// withdraws the messages that are not written yet.
func (b *batch[O, L]) read(ctx context.Context, cancel func(), next func() ([]byte, error)) {
	defer close(b.accepted)
	for n := uint64(1); ; n++ {
		body, err := next()
		m := accepted[O]{n: n, at: time.Now()}
		switch {
		case err == io.EOF:
			return
		case errors.Is(err, errLong):
			m.end = b.refused("too long", "a message may have at most 8 MiB; send it in parts")
		case errors.Is(err, errLongLine):
			m.end = b.refused("too long", "a message may have at most 8 MiB; the rest of the line was skipped")
		case err != nil:
			cancel()
			return
		default:
			if m.wait, err = b.send(ctx, body); err != nil {
				m.wait, m.end = nil, b.refused("not accepted", err.Error())
			}
		}
		b.accepted <- m
	}
}

// wait waits for the end of each accepted message and turns it into a line.
func (b *batch[O, L]) wait(ctx context.Context) {
	defer close(b.lines)
	for m := range b.accepted {
		if m.wait != nil {
			m.end = m.wait(ctx)
		}
		b.lines <- b.line(m.n, m.end, time.Since(m.at))
	}
}

// stream writes lines as they come and flushes whenever none is waiting. While none
// comes, it writes an empty line from time to time, to notice that the client has gone:
// nothing else would notice it while send waits for credit.
func (b *batch[O, L]) stream(s *stream) error {
	pulse := time.NewTicker(pulseEvery)
	defer pulse.Stop()
	for {
		select {
		case l, ok := <-b.lines:
			if !ok {
				return nil
			}
			err := s.write(l)
			if err == nil && len(b.lines) == 0 {
				err = s.flush()
			}
			if err != nil {
				return err
			}
		case <-pulse.C:
			if err := s.pulse(); err != nil {
				return err
			}
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
