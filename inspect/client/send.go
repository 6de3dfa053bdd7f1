package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Sending says to whom messages go, and how.
type Sending struct {
	Peer    string        // as a person writes it
	Outcome string        // what confirmed means: inspect.OutcomeKept or inspect.OutcomeHandled; empty: inspect.OutcomeRead
	Topic   string        // of the messages; empty: they have none
	Until   time.Duration // how long the node has a message wait for a peer that is away; 0: not at all
	Resend  bool          // the node sends a message again that is in doubt because a connection broke
	Timeout time.Duration // after which a message without an outcome is withdrawn, and a search for the peer ends; 0: none
	AtOnce  bool          // all messages are there at the start: their time begins with the request
}

func (s Sending) path() string {
	q := url.Values{"peer": {s.Peer}}
	if s.Resend {
		q.Set("resend", "true")
	}
	if s.Outcome != "" {
		q.Set("outcome", s.Outcome)
	}
	if s.Topic != "" {
		q.Set("topic", s.Topic)
	}
	if s.Until > 0 {
		q.Set("until", s.Until.String())
	}
	if s.Timeout > 0 {
		q.Set("timeout", s.Timeout.String())
		if s.AtOnce {
			q.Set("at_once", "true")
		}
	}
	return "/v1/messages?" + q.Encode()
}

// Send sends one message to a peer and returns its outcome. The body has at most
// inspect.DefaultMaxBody bytes. If the node refuses the message before it takes it, the outcome is
// failed, with the reason.
func (c *Client) Send(ctx context.Context, s Sending, body []byte) (sent models.Sent, err error) {
	err = c.SendAll(ctx, s, NewInput(bytes.NewReader(body), true), func(v models.Sent, _ bool) error {
		sent = v
		return nil
	})
	return sent, err
}

// SendAll sends messages to a peer, in their order, and calls each with their outcomes, in the same
// order. more says that another outcome follows at once. An error of each ends it. If the node or ctx
// ends when messages may be under way, the error is an [*Error] with Begun.
func (c *Client) SendAll(ctx context.Context, s Sending, in *Input, each func(v models.Sent, more bool) error) error {
	return transmit(ctx, c, s.path(), in, each)
}

// SendDHT is SendAll for messages over the DHT, with a report of each.
func (c *Client) SendDHT(ctx context.Context, r inspect.DHTRequest, in *Input, each func(v models.SentReport, more bool) error) error {
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
	if r.Timeout > 0 {
		q.Set("timeout", r.Timeout.String())
	}
	if r.Type != nil {
		q.Set("type", strconv.Itoa(int(*r.Type)))
	}
	if r.Tag != 0 {
		q.Set("tag", strconv.FormatUint(r.Tag, 16))
	}
	return transmit(ctx, c, "/v1/dht/messages?"+q.Encode(), in, each)
}

// transmit streams messages to the node and the answer to each.
func transmit[T any](ctx context.Context, c *Client, path string, in *Input, each func(v T, more bool) error) error {
	body, end := in.until(ctx)
	defer end()
	res, err := c.do(ctx, "POST", path, in.mediaType(), body)
	if e, ok := errors.AsType[*Error](err); ok && e.Asked {
		e.Asked, e.Begun = false, e.Code == CodeInterrupted && in.given()
	}
	if err != nil {
		return err
	}
	defer res.Body.Close()
	err = readObjects(res.Body, each)
	if err == nil {
		return nil
	}
	if own, ok := errors.AsType[*callerError](err); ok {
		return own.error
	}
	e := c.fail(CodeGone, err)
	if ctx.Err() != nil {
		e = c.fail(CodeInterrupted, ctx.Err())
	}
	e.Begun = in.given()
	return e
}

// Input holds the messages to send: one a line, or one in all. It counts what was read of
// them.
type Input struct {
	r       io.Reader
	whole   bool
	lines   atomic.Uint64
	partial atomic.Bool // bytes were read after the last line feed
	ended   atomic.Bool
	failed  atomic.Pointer[error]
}

// NewInput returns the messages in r: each line is one, or, with whole, all of it.
func NewInput(r io.Reader, whole bool) *Input { return &Input{r: r, whole: whole} }

// Read reads from what holds the messages.
func (in *Input) Read(p []byte) (int, error) {
	n, err := in.r.Read(p)
	in.count(p[:n], err)
	return n, err
}

// count counts what a read has given.
func (in *Input) count(p []byte, err error) {
	for _, c := range p {
		if c == '\n' {
			in.lines.Add(1)
		}
	}
	if n := len(p); n > 0 {
		in.partial.Store(p[n-1] != '\n')
	}
	switch err {
	case nil:
	case io.EOF:
		in.ended.Store(true)
	default:
		in.failed.Store(&err)
	}
}

// until returns a body with the messages. When ctx ends, it ends with ctx's error, although a read of what holds the
// messages may go on; a request without an answer waits for its body. end releases it. What was read of the body is counted.
func (in *Input) until(ctx context.Context) (body io.Reader, end func()) {
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, struct{ io.Reader }{in.r})
		w.CloseWithError(err)
	}()
	stop := context.AfterFunc(ctx, func() { r.CloseWithError(ctx.Err()) })
	return counted{r, in}, func() {
		stop()
		r.Close()
	}
}

// counted is a body whose messages are counted.
type counted struct {
	*io.PipeReader
	in *Input
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.PipeReader.Read(p)
	if err != io.ErrClosedPipe { // the request has ended
		c.in.count(p[:n], err)
	}
	return n, err
}

// given reports whether a message was read to its end.
func (in *Input) given() bool {
	if in.whole {
		return in.ended.Load()
	}
	return in.lines.Load() > 0 || in.partial.Load() && in.ended.Load()
}

// Err returns the error that has ended reading, nil if there is none. It may be called as Begun.
func (in *Input) Err() error {
	if err := in.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Whole reports whether all of it is one message.
func (in *Input) Whole() bool { return in.whole }

// Begun returns how many messages have been read, including a line that has begun. It may be
// called while another goroutine reads.
func (in *Input) Begun() uint64 {
	n := in.lines.Load()
	switch {
	case in.whole && !in.ended.Load():
		return 0
	case in.whole:
		return 1
	case in.partial.Load():
		return n + 1
	}
	return n
}

// mediaType tells the node how the messages are separated.
func (in *Input) mediaType() string {
	if in.whole {
		return "application/octet-stream"
	}
	return "text/plain"
}
