package rpc

import (
	"context"
	"iter"
	"slices"
)

// Bytes are an item of a method that answers with bytes: see [StreamBytes].
type Bytes []byte

// Append appends the bytes.
func (b Bytes) Append(dst []byte) []byte { return append(dst, b...) }

// Appender is a message that encodes itself.
type Appender interface {
	Append(dst []byte) []byte // appends the encoded message
}

// UnaryBytes is [Unary] for bytes, whatever the encoding of the service. The request is
// valid until fn returns. fn refuses a request that it cannot use with [BadRequest].
func UnaryBytes(number uint32, fn func(ctx context.Context, request []byte) ([]byte, error)) Method {
	return Method{number: number, bind: func(Encoding) (serve, error) {
		return func(ctx context.Context, w *watching, payload []byte, _ Receive, send Send) error {
			if err := w.request(payload); err != nil {
				return err
			}
			resp, err := fn(ctx, payload)
			if err == nil {
				err = w.answer(resp)
			}
			if err != nil {
				return err
			}
			return send(Bytes(resp).encode)
		}, nil
	}}
}

// StreamBytes is [Stream] for messages that are not generated protobuf messages: fn gets
// the bytes of the request, and the items encode themselves into the response; [Bytes] are
// an item. The request is valid until the iteration ends. fn decodes it, within a budget of
// its own, and refuses what does not decode with [BadRequest].
func StreamBytes[Item Appender](number uint32, fn func(ctx context.Context, request []byte) iter.Seq2[Item, error]) Method {
	return Method{number: number, stream: true, bind: func(Encoding) (serve, error) {
		return func(ctx context.Context, w *watching, payload []byte, _ Receive, send Send) error {
			if err := w.request(payload); err != nil {
				return err
			}
			for item, err := range fn(ctx, payload) {
				if err == nil {
					err = w.answer(item)
				}
				if err == nil {
					err = send(func(b []byte) ([]byte, error) { return item.Append(b), nil })
				}
				if err != nil {
					return err
				}
			}
			return nil
		}, nil
	}}
}

// CallBytes is [Call] for bytes, whatever the encoding of the client. The answer is the
// caller's.
func CallBytes(ctx context.Context, c *Client, method uint32, request []byte, opts ...CallOption) (answer []byte, err error) {
	call := options(opts).of(method)
	err = c.invoke(ctx, call, request, Bytes(request).encode, func(w *watching, payload []byte) error {
		answer = slices.Clone(payload)
		return w.answer(answer)
	})
	if err != nil {
		return nil, refused(err, call, bytesName)
	}
	return answer, nil
}

// ItemsBytes is [Items] for bytes. Each item is the caller's.
func ItemsBytes(ctx context.Context, c *Client, method uint32, request []byte, opts ...CallOption) iter.Seq2[[]byte, error] {
	return items(ctx, c, options(opts).of(method), request, Bytes(request).encode, bytesName, func(w *watching, payload []byte) ([]byte, error) {
		item := slices.Clone(payload)
		return item, w.answer(item)
	})
}

func (b Bytes) encode(dst []byte) ([]byte, error) { return b.Append(dst), nil }

func bytesName() string { return "[]byte" }
