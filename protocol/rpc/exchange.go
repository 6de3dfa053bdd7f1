package rpc

import (
	"context"
	"errors"
	"io"
	"iter"
)

// ErrOneRequest reports a call with a stream of requests of a peer that takes one request for a call: it is no node of this library,
// or one of an older release.
var ErrOneRequest = errors.New("rpc: the peer takes one request for a call, not a stream of requests; call the method with rpc.Call or rpc.Items")

// Duplex is a call with a stream of requests: see [Exchange]. One goroutine may send while another one receives.
type Duplex[Req, Resp any] struct {
	via     Channel
	call    Invocation
	out, in codec
	options callOptions
}

// Send sends a request. It waits while the service does not take more. The error is io.EOF when the call is over: Receive says why.
func (d *Duplex[Req, Resp]) Send(m *Req) error {
	if err := d.call.watching.request(m); err != nil {
		return err
	}
	return d.via.Send(encoder(d.out, m))
}

// CloseSend says that there are no more requests. The error is io.EOF when the call is over, or when that was said before.
func (d *Duplex[Req, Resp]) CloseSend() error { return d.via.CloseSend() }

// Receive waits for the next item of the answer. The error is io.EOF behind the last one.
func (d *Duplex[Req, Resp]) Receive() (*Resp, error) {
	item := new(Resp)
	err := d.via.Receive(func(payload []byte) error { return answer(d.in, d.call.watching, payload, item, d.options) })
	if err != nil {
		return nil, refused(err, d.call, typeName[Req])
	}
	return item, nil
}

// Exchange calls a method with a stream of requests, usually a [BidiStream]. The call lasts until f returns, whose error Exchange
// returns; it is stopped if the service has not ended it by then. Only nodes of this library take such a call: see [ErrOneRequest].
// An error of Receive that matches [ErrNotRun] says that the service has not run the call; f is not called again.
// f must not let other goroutines use the Duplex after it has returned. ctx bounds the whole call; without a deadline the service has
// [DefaultDeadline] for each item. A call on which no message moves for [MaxDeadline] ends. All else is as for [Items].
func Exchange[Req, Resp any](ctx context.Context, c *Client, method uint32, f func(*Duplex[Req, Resp]) error, opts ...CallOption) error {
	return exchange(ctx, c, method, true, f, opts)
}

func exchange[Req, Resp any](ctx context.Context, c *Client, method uint32, stream bool, f func(*Duplex[Req, Resp]) error, opts []CallOption) error {
	d := &Duplex[Req, Resp]{options: options(opts)}
	var err error
	if d.out, d.in, err = codecs[Req, Resp](c.settings.encoding); err != nil {
		return err
	}
	d.call = d.options.of(method)
	d.call.Stream, d.call.Requests = stream, true
	return c.through(ctx, &d.call, func(ctx context.Context) error {
		return c.via.Exchange(ctx, d.call, func(via Channel) error {
			d.via = via
			return f(d)
		})
	})
}

// Upload calls a method with a stream of requests and returns its one answer: see [ClientStream]. An error of requests stops the
// call, and Upload returns it. When the service answers before the last request, no more are sent. All else is as for [Exchange].
func Upload[Req, Resp any](ctx context.Context, c *Client, method uint32, requests iter.Seq2[*Req, error], opts ...CallOption) (resp *Resp, err error) {
	err = exchange(ctx, c, method, false, func(d *Duplex[Req, Resp]) error {
		for m, err := range requests {
			if err != nil { // io.EOF as well: the requests are not complete
				return err
			}
			if err = d.Send(m); err == io.EOF { // Receive says why
				break
			}
			if err != nil {
				return err
			}
		}
		if err := d.CloseSend(); err != nil && err != io.EOF {
			return err
		}
		resp, err = d.Receive()
		if err == io.EOF {
			return errNoAnswer
		}
		return err
	}, opts)
	if err != nil {
		return nil, err
	}
	return resp, nil
}

var errNoAnswer = errors.New("rpc: the service has ended the call without an answer")
