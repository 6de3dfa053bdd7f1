package rpc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// ErrBadAnswer reports an answer that does not decode.
var ErrBadAnswer = fmt.Errorf("%w: answer", ErrProtocol)

// CallOption is an option of one call.
type CallOption func(*callOptions)

type callOptions struct {
	elements int
	name     string
}

// Elements allows the answer, or each item, to hold n messages and repeated
// elements. The default is [MaxElements].
func Elements(n int) CallOption { return func(o *callOptions) { o.elements = n } }

// Name names the method of the call, for interceptors and errors. The wire has numbers only.
func Name(name string) CallOption { return func(o *callOptions) { o.name = name } }

func options(list []CallOption) callOptions {
	o := callOptions{elements: MaxElements}
	for _, f := range list {
		f(&o)
	}
	return o
}

// of returns a call of a method.
func (o callOptions) of(method uint32) Invocation { return Invocation{Method: method, Name: o.name} }

// Call makes a unary call and returns the answer. Req and Resp are generated protobuf
// messages, or plain Go types for a client whose encoding is [JSON]. ctx bounds the call;
// without a deadline the server has [DefaultDeadline] to answer. An error of the service is
// an [*Error] and matches its [Status]. When the deadline has passed, the error matches
// [Timeout] and context.DeadlineExceeded, no matter which side noticed it first. The error
// matches [ErrType] if the service says that the request is of another type than it wants,
// and if the answer is no Resp: see [Encoding] for what can be told apart.
func Call[Req, Resp any](ctx context.Context, c *Client, method uint32, req *Req, opts ...CallOption) (*Resp, error) {
	out, in, err := codecs[Req, Resp](c.settings.encoding)
	if err != nil {
		return nil, err
	}
	resp := new(Resp)
	o := options(opts)
	call := o.of(method)
	err = c.invoke(ctx, call, req, encoder(out, req), func(w *watching, payload []byte) error { return answer(in, w, payload, resp, o) })
	if err != nil {
		return nil, refused(err, call, typeName[Req])
	}
	return resp, nil
}

// Items makes a call whose answer is a stream of items. It sends nothing before the
// iteration begins, and each iteration is a separate call. Leaving the loop early
// tells the server to stop. An error ends the iteration. ctx bounds the whole stream;
// without a deadline the server has [DefaultDeadline] for each item. All else is as for
// [Call].
func Items[Req, Resp any](ctx context.Context, c *Client, method uint32, req *Req, opts ...CallOption) iter.Seq2[*Resp, error] {
	return func(yield func(*Resp, error) bool) {
		out, in, err := codecs[Req, Resp](c.settings.encoding)
		if err != nil {
			yield(nil, err)
			return
		}
		o := options(opts)
		items(ctx, c, o.of(method), req, encoder(out, req), typeName[Req], func(w *watching, payload []byte) (*Resp, error) {
			item := new(Resp)
			return item, answer(in, w, payload, item, o)
		})(yield)
	}
}

// items makes a call whose answer is a stream, and decodes each item. sent names the type of
// the request.
func items[T any](ctx context.Context, c *Client, call Invocation, req any, encode func([]byte) ([]byte, error), sent func() string, decode func(*watching, []byte) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		call.Stream = true
		left := false
		err := c.invoke(ctx, call, req, encode, func(w *watching, payload []byte) error {
			item, err := decode(w, payload)
			if err != nil {
				return err
			}
			if left = !yield(item, nil); left {
				return errEnough
			}
			return nil
		})
		if err != nil && !left {
			var none T
			yield(none, refused(err, call, sent))
		}
	}
}

// errEnough reports that the caller has left the loop.
var errEnough = fmt.Errorf("rpc: no more items wanted: %w", context.Canceled)

func encoder[Req any](c codec, m *Req) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) { return c.append(b, m) }
}

func answer[Resp any](c codec, w *watching, payload []byte, m *Resp, o callOptions) error {
	if err := c.decode(payload, m, o.elements); err != nil {
		return fmt.Errorf("%w: %w: not a %s: %s", ErrBadAnswer, ErrType, typeName[Resp](), plain(err))
	}
	return w.answer(m)
}

// refused adds the type of the request to the error of a service that wants another one.
func refused(err error, call Invocation, sent func() string) error {
	var e *Error
	if !errors.As(err, &e) || e.Status != BadRequest || !strings.HasPrefix(e.Details, notA) {
		return err
	}
	return &typeError{err, fmt.Sprintf("%v; method %s was sent a %s", err, methodText(call.Method, call.Name), sent())}
}

// typeError is an error of the service that also matches [ErrType].
type typeError struct {
	err  error
	text string
}

func (e *typeError) Error() string   { return e.text }
func (e *typeError) Unwrap() []error { return []error{e.err, ErrType} }
