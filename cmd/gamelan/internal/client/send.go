package client

import (
	"context"
	"errors"
	"io"
	"net/url"
	"strconv"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Input holds the messages to send: one a line, or one in all.
type Input struct {
	R     io.Reader
	Whole bool
}

// Answers are the functions that handle the node's answers.
type Answers[T any] struct {
	Each func(v T, more bool) error        // called with the result of one message; more: another follows at once
	End  func() error                      // called after the last answer
	Rest func(read uint64, w string) error // called if the node ended, for the reason w, after it had read so many messages
}

// Send streams messages for a peer to the node and their outcomes to on. With resend the
// node sends a message again when it is in doubt because a connection broke.
func (c *Client) Send(ctx context.Context, peer string, resend bool, in Input, on Answers[models.Sent]) error {
	q := url.Values{"peer": {peer}}
	if resend {
		q.Set("resend", "true")
	}
	return transmit(ctx, c, "/v1/messages?"+q.Encode(), in, on)
}

// SendDHT streams messages over the DHT to the node and their reports to on.
func (c *Client) SendDHT(ctx context.Context, r inspect.DHTRequest, in Input, on Answers[models.SentReport]) error {
	q := url.Values{}
	for name, text := range map[string]string{"to": r.To, "strategy": r.Strategy} {
		if text != "" {
			q.Set(name, text)
		}
	}
	for name, is := range map[string]bool{"encrypt": r.Encrypt, "sign": r.Sign, "store": r.Store} {
		if is {
			q.Set(name, "true")
		}
	}
	if r.Type != nil {
		q.Set("type", strconv.Itoa(int(*r.Type)))
	}
	return transmit(ctx, c, "/v1/dht/messages?"+q.Encode(), in, on)
}

// transmit streams messages to the node and the answer to on.
func transmit[T any](ctx context.Context, c *Client, path string, in Input, on Answers[T]) error {
	kind := "text/plain"
	if in.Whole {
		kind = "application/octet-stream"
	}
	lines := &lineCounter{r: in.R, whole: in.Whole}
	res, err := c.do(ctx, "POST", path, kind, lines)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	err = readObjects(res.Body, func(v T, more bool) error {
		if err := on.Each(v, more); err != nil {
			return &ownError{err}
		}
		return nil
	})
	if err == nil {
		return on.End()
	}
	if own, ok := errors.AsType[*ownError](err); ok {
		return own.error
	}
	const hint = "messages without an outcome may or may not have arrived"
	gone := failure.Unreachable("node_gone", hint, "the node went away").Because(err)
	if ctx.Err() != nil {
		gone = failure.New("interrupted", hint, "interrupted")
	}
	return errors.Join(gone, on.Rest(lines.read(), gone.Message))
}

// lineCounter counts the messages in the bytes read from r.
type lineCounter struct {
	r       io.Reader
	whole   bool
	lines   atomic.Uint64
	partial atomic.Bool // bytes were read after the last line feed
}

func (l *lineCounter) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	for _, c := range p[:n] {
		if c == '\n' {
			l.lines.Add(1)
		}
	}
	if n > 0 {
		l.partial.Store(p[n-1] != '\n')
	}
	return n, err
}

// read returns how many messages have been read, including one that has begun.
func (l *lineCounter) read() uint64 {
	n := l.lines.Load()
	switch {
	case l.whole:
		return 1
	case l.partial.Load():
		return n + 1
	}
	return n
}
