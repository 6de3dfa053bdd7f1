package rpc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Message is a pointer to a generated protobuf message.
type Message[T any] interface {
	*T
	proto.Message
}

// Service is a set of methods that a node offers under one protocol id.
type Service struct {
	Protocol protocol.ID
	Methods  []Method
	// MaxResponse is the largest frame of a response, up to [MaxFrame]. The default
	// is [DefaultSend], which peers of every release read.
	MaxResponse int
	// OnPanic says what a panic in a method does. In every case the caller gets
	// [General] and the peer is not blamed. With PanicRestart, the default, and with
	// PanicContain the session goes on: a method has no state to restart. With
	// PanicStop the service stops: it is no longer offered, and running calls and all
	// its sessions end. It can be registered again.
	OnPanic protocol.PanicPolicy
}

// ErrBadService reports a service that cannot be offered.
var ErrBadService = errors.New("rpc: bad service")

// Validate reports whether the service can be offered. The error is
// [ErrBadService] and says what to change.
func (s Service) Validate() error {
	if err := s.Protocol.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrBadService, err)
	}
	if len(s.Methods) == 0 {
		return fmt.Errorf("%w %s: it has no method; add one with Unary or Stream", ErrBadService, s.Protocol)
	}
	if s.MaxResponse < 0 || s.MaxResponse > MaxFrame {
		return fmt.Errorf("%w %s: MaxResponse is %d; it may be at most %d", ErrBadService, s.Protocol, s.MaxResponse, MaxFrame)
	}
	if err := s.OnPanic.Validate(); err != nil {
		return fmt.Errorf("%w %s: %w", ErrBadService, s.Protocol, err)
	}
	seen := make(map[uint32]bool, len(s.Methods))
	for _, m := range s.Methods {
		if m.serve == nil {
			return fmt.Errorf("%w %s: a method without function; make it with Unary or Stream", ErrBadService, s.Protocol)
		}
		if seen[m.number] {
			return fmt.Errorf("%w %s: two methods have number %d; change one", ErrBadService, s.Protocol, m.number)
		}
		seen[m.number] = true
	}
	return nil
}

// Send sends one message of an answer: the bytes that encode appends. After an error
// the method must return.
type Send func(encode func([]byte) ([]byte, error)) error

// Method is one method of a service: see [Unary] and [Stream].
type Method struct {
	number uint32
	stream bool
	serve  func(ctx context.Context, payload []byte, send Send) error
}

// Number is the method's number in requests.
func (m Method) Number() uint32 { return m.number }

// Streams reports whether the answer is a stream.
func (m Method) Streams() bool { return m.stream }

// Serve runs the method on the payload of a request and sends its answer. It keeps no
// part of payload. A unary method sends exactly once unless it fails.
func (m Method) Serve(ctx context.Context, payload []byte, send Send) error {
	return m.serve(ctx, payload, send)
}

// Unary returns a method with one answer. fn runs on a goroutine of the session. Its
// ctx ends at the deadline, when the client gives up, and when the session ends;
// [CallerOf] returns the caller. The client receives an error made with [Errorf]; it
// receives any other error as [General] without its text.
func Unary[Req, Resp any, PReq Message[Req], PResp Message[Resp]](number uint32, fn func(context.Context, PReq) (PResp, error)) Method {
	return Method{number: number, serve: func(ctx context.Context, payload []byte, send Send) error {
		req, err := request[Req, PReq](payload)
		if err != nil {
			return err
		}
		resp, err := fn(ctx, req)
		if err != nil {
			return err
		}
		return send(func(b []byte) ([]byte, error) { return proto.MarshalOptions{}.MarshalAppend(b, resp) })
	}}
}

// Stream returns a method that answers with a stream of items. fn returns an iterator
// over the items, which runs on a goroutine of the session. Each item has the whole
// deadline of the request. An error ends the stream. When the client stops the call,
// ctx ends and yield returns false.
func Stream[Req, Resp any, PReq Message[Req], PResp Message[Resp]](number uint32, fn func(context.Context, PReq) iter.Seq2[PResp, error]) Method {
	return Method{number: number, stream: true, serve: func(ctx context.Context, payload []byte, send Send) error {
		req, err := request[Req, PReq](payload)
		if err != nil {
			return err
		}
		for item, err := range fn(ctx, req) {
			if err != nil {
				return err
			}
			err = send(func(b []byte) ([]byte, error) { return proto.MarshalOptions{}.MarshalAppend(b, item) })
			if err != nil {
				return err
			}
		}
		return nil
	}}
}

// Appender is a message that encodes itself.
type Appender interface {
	Append(dst []byte) []byte // appends the encoded message
}

// StreamBytes is [Stream] for messages that are not generated protobuf messages: fn gets
// the bytes of the request, and the items encode themselves into the response. The
// payload is valid until the iteration ends. fn decodes it, within a budget of its own, and
// refuses what does not decode with [BadRequest].
func StreamBytes[Item Appender](number uint32, fn func(ctx context.Context, payload []byte) iter.Seq2[Item, error]) Method {
	return Method{number: number, stream: true, serve: func(ctx context.Context, payload []byte, send Send) error {
		for item, err := range fn(ctx, payload) {
			if err != nil {
				return err
			}
			if err = send(func(b []byte) ([]byte, error) { return item.Append(b), nil }); err != nil {
				return err
			}
		}
		return nil
	}}
}

func request[Req any, PReq Message[Req]](payload []byte) (PReq, error) {
	req := PReq(new(Req))
	if err := decode(payload, req, MaxElements); err != nil {
		return nil, &Error{BadRequest, "the request does not decode"}
	}
	return req, nil
}

// Caller describes the client of a call.
type Caller struct {
	Peer     identity.NodeID
	Key      identity.PublicKey
	Deadline time.Time // for the answer; zero for a stream, whose items each have the whole time
}

type callerKey struct{}

// WithCaller returns a context for a method, from which [CallerOf] returns c. Its
// deadline is c.Deadline; ctx must have none.
func WithCaller(ctx context.Context, c *Caller) context.Context { return &callContext{ctx, c} }

// callContext is one context with both the caller and the deadline, because one is
// made for every call.
type callContext struct {
	context.Context
	caller *Caller
}

// Deadline returns the deadline of the call.
func (c *callContext) Deadline() (time.Time, bool) {
	return c.caller.Deadline, !c.caller.Deadline.IsZero()
}

func (c *callContext) Value(key any) any {
	if _, ok := key.(callerKey); ok {
		return c.caller
	}
	return c.Context.Value(key)
}

// CallerOf returns the client of the call to which a method's context belongs.
func CallerOf(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(*Caller)
	if !ok {
		return Caller{}, false
	}
	return *c, true
}
