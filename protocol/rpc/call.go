package rpc

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"google.golang.org/protobuf/proto"
)

// Invoker makes calls to one service of one peer. Invoke calls a method with the
// payload that encode appends, and gives got the payload of the answer, or of
// each item, until it returns an error: that ends the call and is returned. What
// got is given is good until it returns.
type Invoker interface {
	Invoke(ctx context.Context, method uint32, stream bool, encode func([]byte) ([]byte, error), got func([]byte) error) error
}

// ErrBadAnswer reports an answer that does not decode.
var ErrBadAnswer = fmt.Errorf("%w: answer", ErrProtocol)

// CallOption changes how one call is made.
type CallOption func(*callOptions)

type callOptions struct{ elements int }

// Elements allows the answer, or each item, to hold so many messages and
// repeated elements. Default [MaxElements].
func Elements(n int) CallOption { return func(o *callOptions) { o.elements = n } }

func options(list []CallOption) callOptions {
	o := callOptions{elements: MaxElements}
	for _, f := range list {
		f(&o)
	}
	return o
}

// Call makes a unary call. ctx bounds it; without a deadline the server has
// [DefaultDeadline] to answer. An error of the service is an [*Error] and
// matches its [Status]; one of a call whose deadline has passed matches [Timeout]
// and context.DeadlineExceeded, whichever side has noticed first.
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

// Items makes a call that is answered with a stream. Nothing is sent before the
// iteration begins, and each iteration is a call of its own. Leaving the loop
// early tells the server to stop. An error is the last thing that comes. ctx
// bounds the whole stream; without a deadline the server has [DefaultDeadline]
// for each item.
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

// errEnough is a loop that was left.
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
