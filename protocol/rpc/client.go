package rpc

import (
	"context"
	"errors"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Client calls one service of one peer, through [Call], [Items], [Upload] and [Exchange]. It owns no resources and need not be closed.
// A Client may be used by any number of goroutines. A node makes one; [NewClient] makes one for a test.
type Client struct {
	via      Transport
	call     Invocation
	settings settings
}

// Transport makes the calls of a [Client]. A payload is valid until the function returns that gets it.
type Transport interface {
	// Invoke makes a call with one request, which encode appends. It calls got with the payload of the answer, or of each item; an error of
	// got ends the call, and Invoke returns it.
	Invoke(ctx context.Context, call Invocation, encode func([]byte) ([]byte, error), got func([]byte) error) error
	// Exchange makes a call with a stream of requests, which lasts until f returns. It returns the error of f.
	Exchange(ctx context.Context, call Invocation, f func(Channel) error) error
	// Ping measures how long the service takes to answer.
	Ping(ctx context.Context) (took time.Duration, err error)
	// Pause waits for half to all of most before a call is made again. It is false if ctx ends before, or will have ended by then.
	Pause(ctx context.Context, most time.Duration) bool
}

// Channel is the two directions of a call with a stream of requests. One goroutine may send while another one receives.
type Channel interface {
	// Send sends the request that encode appends, as soon as the service takes it. The error is io.EOF if the call is over: Receive says why.
	Send(encode func([]byte) ([]byte, error)) error
	// CloseSend says that there are no more requests. The error is io.EOF if the call is over, or that was said before.
	CloseSend() error
	// Receive waits for the next answer. The error is that of got or of the call, or io.EOF when the call has ended without one.
	Receive(got func([]byte) error) error
}

// ClientOption is a setting of a client: an [Encoding], an [Interceptor], or a [Retry].
type ClientOption interface{ set(*settings) }

type settings struct {
	encoding     Encoding
	interceptors []Interceptor // the first is outermost
	retry        *RetryPolicy  // nil: calls are made once
}

func (e Encoding) set(s *settings) { s.encoding = e }

func (i Interceptor) set(s *settings) { s.interceptors = append(s.interceptors, i) }

// NewClient returns a client whose calls via makes.
func NewClient(peer identity.NodeID, service protocol.ID, via Transport, opts ...ClientOption) *Client {
	c := &Client{via: via, call: Invocation{Peer: peer, Protocol: service}}
	for _, o := range opts {
		o.set(&c.settings)
	}
	return c
}

// Peer returns the peer that the client calls.
func (c *Client) Peer() identity.NodeID { return c.call.Peer }

// Service returns the service that the client calls.
func (c *Client) Service() protocol.ID { return c.call.Protocol }

// Encoding returns the encoding of requests and answers.
func (c *Client) Encoding() Encoding { return c.settings.encoding }

// Ping measures how long the peer takes to answer on a session with the service.
func (c *Client) Ping(ctx context.Context) (took time.Duration, err error) { return c.via.Ping(ctx) }

// Invoke makes a call without the copies and the budget of [CallBytes] and [ItemsBytes]: see [Transport].
func (c *Client) Invoke(ctx context.Context, method uint32, stream bool, encode func([]byte) ([]byte, error), got func([]byte) error) error {
	return c.invoke(ctx, Invocation{Method: method, Stream: stream}, nil, encode, func(_ *watching, payload []byte) error { return got(payload) })
}

// invoke makes a call with one request, through the interceptors. message is the request, for those that watch.
func (c *Client) invoke(ctx context.Context, call Invocation, message any, encode func([]byte) ([]byte, error), got func(*watching, []byte) error) error {
	return c.through(ctx, &call, func(ctx context.Context) error {
		if err := call.watching.request(message); err != nil {
			return err
		}
		for n := 1; ; n++ {
			err := c.via.Invoke(ctx, call, encode, func(payload []byte) error { return got(call.watching, payload) })
			if err == nil || call.Stream || c.settings.retry == nil {
				return err
			}
			if pause, again := c.settings.retry.again(n, err); !again || !c.via.Pause(ctx, pause) {
				return err
			}
		}
	})
}

// through makes a call through the interceptors. To them, a call whose caller has left the loop has ended without an error.
func (c *Client) through(ctx context.Context, call *Invocation, f func(context.Context) error) error {
	call.Peer, call.Protocol = c.call.Peer, c.call.Protocol
	list := c.settings.interceptors
	if len(list) == 0 {
		return f(ctx)
	}
	call.watching = new(watching)
	return intercepted(ctx, list, *call, !call.Stream && !call.Requests, func(ctx context.Context) error {
		err := f(ctx)
		if errors.Is(err, errEnough) {
			return nil
		}
		return err
	})
}
