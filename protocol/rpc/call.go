package rpc

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"google.golang.org/protobuf/proto"
)

// Invoker makes calls to one service of one peer. Invoke calls a method with the
// payload that encode appends. It calls got with the payload of the answer, or of
// each item; an error of got ends the call, and Invoke returns it. The payload is
// valid until got returns.
type Invoker interface {
	Invoke(ctx context.Context, method uint32, stream bool, encode func([]byte) ([]byte, error), got func([]byte) error) error
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

// Call makes a unary call and returns the answer. ctx bounds the call; without a
// deadline the server has [DefaultDeadline] to answer. An error of the service is an
// [*Error] and matches its [Status]. When the deadline has passed, the error matches
// [Timeout] and context.DeadlineExceeded, no matter which side noticed it first.
func Call[Req, Resp any, PReq Message[Req], PResp Message[Resp]](ctx context.Context, c Invoker, method uint32, req PReq, opts ...CallOption) (PResp, error) {
	resp := PResp(new(Resp))
	err := c.Invoke(ctx, method, false, encoder(req), func(payload []byte) error {
		return answer(payload, resp, options(opts))
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// Items makes a call whose answer is a stream of items. It sends nothing before the
// iteration begins, and each iteration is a separate call. Leaving the loop early
// tells the server to stop. An error ends the iteration. ctx bounds the whole stream;
// without a deadline the server has [DefaultDeadline] for each item.
func Items[Req, Resp any, PReq Message[Req], PResp Message[Resp]](ctx context.Context, c Invoker, method uint32, req PReq, opts ...CallOption) iter.Seq2[PResp, error] {
	return func(yield func(PResp, error) bool) {
		err := c.Invoke(ctx, method, true, encoder(req), func(payload []byte) error {
			item := PResp(new(Resp))
			if err := answer(payload, item, options(opts)); err != nil {
				return err
			}
			if !yield(item, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}
}

// errEnough reports that the caller has left the loop.
var errEnough = errors.New("rpc: no more items wanted")

func encoder(m proto.Message) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) { return proto.MarshalOptions{}.MarshalAppend(b, m) }
}

func answer(payload []byte, m proto.Message, o callOptions) error {
	if err := decode(payload, m, o.elements); err != nil {
		return fmt.Errorf("%w: %w", ErrBadAnswer, err)
	}
	return nil
}
