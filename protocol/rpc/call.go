package rpc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// Invoker makes calls to one service of one peer. Invoke calls a method with the
// payload that encode appends. It calls got with the payload of the answer, or of
// each item; an error of got ends the call, and Invoke returns it. The payload is
// valid until got returns.
type Invoker interface {
	Invoke(ctx context.Context, method uint32, stream bool, encode func([]byte) ([]byte, error), got func([]byte) error) error
}

// Encoder is an [Invoker] with an encoding other than [Protobuf].
type Encoder interface {
	Invoker
	Encoding() Encoding // of requests and answers
}

func encodingOf(c Invoker) Encoding {
	if e, ok := c.(Encoder); ok {
		return e.Encoding()
	}
	return Protobuf
}

// ErrBadAnswer reports an answer that does not decode.
var ErrBadAnswer = fmt.Errorf("%w: answer", ErrProtocol)

// CallOption is an option of one call.
type CallOption func(*callOptions)

type callOptions struct{ elements int }

// Elements allows the answer, or each item, to hold n messages and repeated
// elements. The default is [MaxElements].
func Elements(n int) CallOption { return func(o *callOptions) { o.elements = n } }

func options(list []CallOption) callOptions {
	o := callOptions{elements: MaxElements}
	for _, f := range list {
		f(&o)
	}
	return o
}

// Call makes a unary call and returns the answer. Req and Resp are generated protobuf
// messages, or plain Go types for a client whose encoding is [JSON]. ctx bounds the call;
// without a deadline the server has [DefaultDeadline] to answer. An error of the service is
// an [*Error] and matches its [Status]. When the deadline has passed, the error matches
// [Timeout] and context.DeadlineExceeded, no matter which side noticed it first. The error
// matches [ErrType] if the service says that the request is of another type than it wants,
// and if the answer is no Resp: see [Encoding] for what can be told apart.
func Call[Req, Resp any](ctx context.Context, c Invoker, method uint32, req *Req, opts ...CallOption) (*Resp, error) {
	out, in, err := codecs[Req, Resp](encodingOf(c))
	if err != nil {
		return nil, err
	}
	resp := new(Resp)
	err = c.Invoke(ctx, method, false, encoder(out, req), func(payload []byte) error {
		return answer(in, payload, resp, options(opts))
	})
	if err != nil {
		return nil, refused(err, method, typeName[Req])
	}
	return resp, nil
}

// Items makes a call whose answer is a stream of items. It sends nothing before the
// iteration begins, and each iteration is a separate call. Leaving the loop early
// tells the server to stop. An error ends the iteration. ctx bounds the whole stream;
// without a deadline the server has [DefaultDeadline] for each item. All else is as for
// [Call].
func Items[Req, Resp any](ctx context.Context, c Invoker, method uint32, req *Req, opts ...CallOption) iter.Seq2[*Resp, error] {
	return func(yield func(*Resp, error) bool) {
		out, in, err := codecs[Req, Resp](encodingOf(c))
		if err != nil {
			yield(nil, err)
			return
		}
		items(ctx, c, method, encoder(out, req), typeName[Req], func(payload []byte) (*Resp, error) {
			item := new(Resp)
			return item, answer(in, payload, item, options(opts))
		})(yield)
	}
}

// items makes a call whose answer is a stream, and decodes each item. sent names the type of
// the request.
func items[T any](ctx context.Context, c Invoker, method uint32, encode func([]byte) ([]byte, error), sent func() string, decode func([]byte) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		left := false
		err := c.Invoke(ctx, method, true, encode, func(payload []byte) error {
			item, err := decode(payload)
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
			yield(none, refused(err, method, sent))
		}
	}
}

// errEnough reports that the caller has left the loop.
var errEnough = errors.New("rpc: no more items wanted")

func encoder[Req any](c codec, m *Req) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) { return c.append(b, m) }
}

func answer[Resp any](c codec, payload []byte, m *Resp, o callOptions) error {
	if err := c.decode(payload, m, o.elements); err != nil {
		return fmt.Errorf("%w: %w: not a %s: %s", ErrBadAnswer, ErrType, typeName[Resp](), plain(err))
	}
	return nil
}

// refused adds the type of the request to the error of a service that wants another one.
func refused(err error, method uint32, sent func() string) error {
	var e *Error
	if !errors.As(err, &e) || e.Status != BadRequest || !strings.HasPrefix(e.Details, notA) {
		return err
	}
	return &typeError{err, fmt.Sprintf("%v; method %d was sent a %s", err, method, sent())}
}

// typeError is an error of the service that also matches [ErrType].
type typeError struct {
	err  error
	text string
}

func (e *typeError) Error() string   { return e.text }
func (e *typeError) Unwrap() []error { return []error{e.err, ErrType} }
