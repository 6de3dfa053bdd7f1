package client

import (
	"context"
	"errors"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Answers are the functions that handle the node's answers.
type Answers[T any] struct {
	Each func(v T, more bool) error        // called with the result of one message; more: another follows at once
	End  func() error                      // called after the last answer
	Rest func(read uint64, w string) error // called if the node ended, for the reason w, after it had read so many messages
}

// Send are messages for a peer.
type Send struct {
	Peer     string        // as a person writes it
	Resend   bool          // the node sends a message again that is in doubt because a connection broke
	NoResend bool          // SendRetry sends no such message again, not even to a node of this library
	Timeout  time.Duration // after which a message without an outcome is withdrawn, and a search for the peer ends; 0: none
	AtOnce   bool          // all messages are there at the start: their time begins with the request
}

func (s Send) path() string {
	q := url.Values{"peer": {s.Peer}}
	if s.Resend {
		q.Set("resend", "true")
	}
	if s.Timeout > 0 {
		q.Set("timeout", s.Timeout.String())
		if s.AtOnce {
			q.Set("at_once", "true")
		}
	}
	return "/v1/messages?" + q.Encode()
}

// Send streams messages for a peer to the node and their outcomes to on.
func (c *Client) Send(ctx context.Context, s Send, in *Input, on Answers[models.Sent]) error {
	return transmit(ctx, c, s.path(), in, on)
}

// SendDHT streams messages over the DHT to the node and their reports to on.
func (c *Client) SendDHT(ctx context.Context, r inspect.DHTRequest, in *Input, on Answers[models.SentReport]) error {
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
	return transmit(ctx, c, "/v1/dht/messages?"+q.Encode(), in, on)
}

// transmit streams messages to the node and the answer to on.
func transmit[T any](ctx context.Context, c *Client, path string, in *Input, on Answers[T]) error {
	err := exchange(ctx, c, path, in.mediaType(), in, on.Each)
	if err == nil {
		return on.End()
	}
	if b, ok := errors.AsType[*brokenOff](err); ok {
		return errors.Join(b.because, on.Rest(in.Begun(), b.because.Message))
	}
	return err
}

// exchange streams a body to the node and its answer to each. The error is a [brokenOff] if
// the answer has begun and did not end.
func exchange[T any](ctx context.Context, c *Client, path, kind string, body io.Reader, each func(v T, more bool) error) error {
	res, err := c.do(ctx, "POST", path, kind, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	err = readObjects(res.Body, func(v T, more bool) error {
		if err := each(v, more); err != nil {
			return &ownError{err}
		}
		return nil
	})
	if err == nil {
		return nil
	}
	if own, ok := errors.AsType[*ownError](err); ok {
		return own.error
	}
	const hint = "messages without an outcome may or may not have arrived"
	if ctx.Err() != nil {
		return &brokenOff{failure.New("interrupted", hint, "interrupted")}
	}
	return &brokenOff{failure.Unreachable("node_gone", hint, "the node went away").Because(err)}
}

// brokenOff reports an answer that did not end, and why.
type brokenOff struct{ because *failure.Error }

func (b *brokenOff) Error() string { return b.because.Error() }
