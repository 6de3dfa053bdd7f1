package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Service is a set of methods that a node offers under one protocol id.
type Service struct {
	Protocol protocol.ID
	Methods  []Method
	// Encoding is that of the requests and answers of all methods. The default is
	// [Protobuf].
	Encoding Encoding
	// Interceptors stand around every call of every method, the first outermost.
	Interceptors []Interceptor
	// Allow decides which peers may call the methods. Nil allows every peer. It is asked
	// within the interceptors and before the request is decoded.
	Allow Policy
	// AllowMethod decides for the methods with these numbers, in place of Allow.
	AllowMethod map[uint32]Policy
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
	_, err := s.Bind()
	return err
}

// Bind returns the methods as they serve calls: with the service's encoding, interceptors
// and policies. The error is that of [Service.Validate].
func (s Service) Bind() ([]Method, error) {
	if err := s.Protocol.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadService, err)
	}
	bad := func(format string, args ...any) ([]Method, error) {
		return nil, fmt.Errorf("%w %s: %w", ErrBadService, s.Protocol, fmt.Errorf(format, args...))
	}
	if len(s.Methods) == 0 {
		return bad("it has no method; add one with Unary or Stream")
	}
	if s.MaxResponse < 0 || s.MaxResponse > MaxFrame {
		return bad("MaxResponse is %d; it may be at most %d", s.MaxResponse, MaxFrame)
	}
	if err := s.OnPanic.Validate(); err != nil {
		return bad("%w", err)
	}
	seen := make(map[uint32]bool, len(s.Methods))
	bound := make([]Method, 0, len(s.Methods))
	for _, m := range s.Methods {
		if m.bind == nil {
			return bad("a method without function; make it with Unary or Stream")
		}
		if seen[m.number] {
			return bad("two methods have number %d; change one", m.number)
		}
		seen[m.number] = true
		serve, err := m.bind(s.Encoding)
		if err != nil {
			return bad("method %s: %w", m, err)
		}
		m.serve = serve
		m.serve = s.guarded(m)
		bound = append(bound, m)
	}
	for number, allow := range s.AllowMethod {
		switch {
		case !seen[number]:
			return bad("AllowMethod has a policy for method %d, but the service has no such method", number)
		case allow == nil:
			return bad("the policy for method %d in AllowMethod is nil; AllowAll allows every peer", number)
		}
	}
	if slices.ContainsFunc(s.Interceptors, func(i Interceptor) bool { return i == nil }) {
		return bad("an interceptor is nil")
	}
	return bound, nil
}

// Join returns a service that has the methods of several services under one protocol id, of which a node may have at most 100. Each
// method keeps the encoding, interceptors and policies of its own service. All numbers must differ. MaxResponse is the greatest of
// theirs; OnPanic is the default, and can be set on the result, as can further Interceptors around all methods.
func Join(id protocol.ID, services ...Service) Service {
	joined := Service{Protocol: id}
	for _, s := range services {
		s.Protocol = id
		methods, err := s.Bind()
		if err != nil {
			methods = []Method{{bind: func(Encoding) (serve, error) { return nil, err }}}
		}
		for _, m := range methods {
			if bound := m.serve; bound != nil {
				m.bind = func(Encoding) (serve, error) { return bound, nil }
			}
			joined.Methods = append(joined.Methods, m)
		}
		joined.MaxResponse = max(joined.MaxResponse, s.MaxResponse)
	}
	return joined
}

// Send sends one message of an answer: the bytes that encode appends. After an error
// the method must return.
type Send func(encode func([]byte) ([]byte, error)) error

// Receive waits for the next request of a call and hands its payload to got, which keeps no part of it. The error is that of got or of
// ctx, which is that of the call or ends before, or io.EOF when the caller sends no more requests.
type Receive func(ctx context.Context, got func(payload []byte) error) error

// Method is one method of a service: see [Unary], [Stream], [ClientStream], [BidiStream] and the forms for bytes.
type Method struct {
	number   uint32
	name     string
	stream   bool
	requests bool
	bind     func(Encoding) (serve, error)
	serve    serve // nil before [Service.Bind]
}

// serve runs a method on its first request, or on a stream of requests if next is not nil.
type serve func(ctx context.Context, w *watching, payload []byte, next Receive, send Send) error

// Number is the method's number in requests.
func (m Method) Number() uint32 { return m.number }

// Streams reports whether the answer is a stream.
func (m Method) Streams() bool { return m.stream }

// TakesStream reports whether the method takes a stream of requests.
func (m Method) TakesStream() bool { return m.requests }

// Named returns the method with a name, for logs and errors. The wire has numbers only.
func (m Method) Named(name string) Method {
	m.name = name
	return m
}

// Name returns the name that [Method.Named] has given, or "".
func (m Method) Name() string { return m.name }

// String returns the number, and the name if there is one.
func (m Method) String() string { return methodText(m.number, m.name) }

func methodText(number uint32, name string) string {
	if name == "" {
		return fmt.Sprint(number)
	}
	return fmt.Sprintf("%d (%s)", number, name)
}

// Serve runs the method on the payload of its one request and sends its answer. It keeps no
// part of payload. A method with one answer sends exactly once unless it fails. A method that does
// not come from [Service.Bind] has the encoding [Protobuf].
func (m Method) Serve(ctx context.Context, payload []byte, send Send) error {
	return m.run(ctx, payload, nil, send)
}

// ServeStream is Serve for a method that takes a stream of requests.
func (m Method) ServeStream(ctx context.Context, next Receive, send Send) error {
	return m.run(ctx, nil, next, send)
}

func (m Method) run(ctx context.Context, payload []byte, next Receive, send Send) error {
	if m.serve == nil {
		serve, err := m.bind(Protobuf)
		if err != nil {
			return err
		}
		m.serve = serve
	}
	return m.serve(ctx, nil, payload, next, send)
}

// Unary returns a method with one answer. Req and Resp are generated protobuf messages, or
// plain Go types in a service whose encoding is [JSON]. fn runs on a goroutine of the
// session. Its ctx ends at the deadline, when the client gives up, and when the session
// ends; [CallerOf] returns the caller. The client receives an error made with [Errorf]; it
// receives any other error as [General] without its text. A request that is not a Req does
// not reach fn: its caller gets [BadRequest] with the reason.
func Unary[Req, Resp any](number uint32, fn func(context.Context, *Req) (*Resp, error)) Method {
	return Method{number: number, bind: func(e Encoding) (serve, error) {
		in, out, err := codecs[Req, Resp](e)
		return func(ctx context.Context, w *watching, payload []byte, _ Receive, send Send) error {
			req, err := request[Req](in, w, payload)
			if err != nil {
				return err
			}
			resp, err := fn(ctx, req)
			if err != nil {
				return err
			}
			return sendOne(out, w, resp, send)
		}, err
	}}
}

// Stream returns a method that answers with a stream of items. fn returns an iterator
// over the items, which runs on a goroutine of the session. Each item has the whole
// deadline of the request. An error ends the stream. When the client stops the call,
// ctx ends and yield returns false. All else is as for [Unary].
func Stream[Req, Resp any](number uint32, fn func(context.Context, *Req) iter.Seq2[*Resp, error]) Method {
	return Method{number: number, stream: true, bind: func(e Encoding) (serve, error) {
		in, out, err := codecs[Req, Resp](e)
		return func(ctx context.Context, w *watching, payload []byte, _ Receive, send Send) error {
			req, err := request[Req](in, w, payload)
			if err != nil {
				return err
			}
			return sendAll(out, w, fn(ctx, req), send)
		}, err
	}}
}

// ClientStream returns a method that takes a stream of requests and gives one answer, before or after the last of them. fn reads the
// requests, which wait at the caller while it reads none. The iteration ends behind the last request, or with an error: a request
// that is not a Req, or the end of ctx. A caller that uses [Call], or whose release knows no streams of requests, sends one.
// The answer has the deadline of the call from the request that fn took last. All else is as for [Unary].
func ClientStream[Req, Resp any](number uint32, fn func(context.Context, iter.Seq2[*Req, error]) (*Resp, error)) Method {
	return Method{number: number, requests: true, bind: func(e Encoding) (serve, error) {
		in, out, err := codecs[Req, Resp](e)
		return func(ctx context.Context, w *watching, payload []byte, next Receive, send Send) error {
			resp, err := fn(ctx, requests[Req](ctx, in, w, payload, next))
			if err != nil {
				return err
			}
			return sendOne(out, w, resp, send)
		}, err
	}}
}

// BidiStream returns a method that takes a stream of requests, as [ClientStream] has it, and answers with a stream of items, as
// [Stream] does. Both go at once: fn may give items before it has read a request.
func BidiStream[Req, Resp any](number uint32, fn func(context.Context, iter.Seq2[*Req, error]) iter.Seq2[*Resp, error]) Method {
	return Method{number: number, requests: true, stream: true, bind: func(e Encoding) (serve, error) {
		in, out, err := codecs[Req, Resp](e)
		return func(ctx context.Context, w *watching, payload []byte, next Receive, send Send) error {
			return sendAll(out, w, fn(ctx, requests[Req](ctx, in, w, payload, next)), send)
		}, err
	}}
}

// requests returns the requests of a call. Without next there is one, payload.
func requests[Req any](ctx context.Context, in codec, w *watching, payload []byte, next Receive) iter.Seq2[*Req, error] {
	if next == nil {
		rest := true
		next = func(_ context.Context, got func([]byte) error) error {
			if !rest {
				return io.EOF
			}
			rest = false
			return got(payload)
		}
	}
	return func(yield func(*Req, error) bool) {
		for {
			var req *Req
			err := next(ctx, func(payload []byte) (err error) {
				req, err = request[Req](in, w, payload)
				return err
			})
			if err == io.EOF {
				return
			}
			if !yield(req, err) || err != nil {
				return
			}
		}
	}
}

func sendOne[Resp any](out codec, w *watching, resp *Resp, send Send) error {
	if err := w.answer(resp); err != nil {
		return err
	}
	return send(func(b []byte) ([]byte, error) { return out.append(b, resp) })
}

func sendAll[Resp any](out codec, w *watching, items iter.Seq2[*Resp, error], send Send) error {
	for item, err := range items {
		if err == nil {
			err = sendOne(out, w, item, send)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// codecs returns the codecs of a method's types.
func codecs[Req, Resp any](e Encoding) (in, out codec, err error) {
	if in, err = codecOf[Req](e); err == nil {
		out, err = codecOf[Resp](e)
	}
	return in, out, err
}

// notA begins the text of the answer to a request that is not of the method's type.
const notA = "the request is not a "

func request[Req any](c codec, w *watching, payload []byte) (*Req, error) {
	req := new(Req)
	if err := c.decode(payload, req, MaxElements); err != nil {
		return nil, &Error{BadRequest, notA + typeName[Req]() + ": " + plain(err)}
	}
	if err := w.request(req); err != nil {
		return nil, err
	}
	return req, nil
}

// Caller describes the client of a call.
type Caller struct {
	Peer     identity.NodeID
	Key      identity.PublicKey
	Metadata Metadata  // that came with the call; nil: none did
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
