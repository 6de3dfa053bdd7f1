package rpcpart

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/protocol/manycalls"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/internal/turns"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// ownCall asks rpc for a task that runs a method for the node itself.
type ownCall struct {
	run  func(context.Context) error
	drop func() // ends the call
}

// Discard ends the call: rpc is not there any more.
func (m ownCall) Discard() { m.drop() }

// own is a call of the node to a service of its own.
type own struct {
	k       *Calls
	service *registered
	method  rpc.Method
	caller  rpc.Caller
	limit   time.Duration
	ctx     context.Context // of the caller
	inner   context.Context // of the method
	cancel  context.CancelCauseFunc
	bounded bool

	requests *pipe // nil: there is one
	answers  *pipe
	sent     bool
	err      error // of the call

	mu      sync.Mutex
	waits   int       // for the caller: of the method for a request, and of its answers to be taken
	until   time.Time // when the method must have answered, or given the next item
	unwatch func()    // ends the watching of until; nil: nobody watches
}

// Own makes a call of the node to a service of its own. The service sees what it would see of a peer: see [rpc.Transport].
func (k *Calls) Own(ctx context.Context, caller rpc.Caller, call rpc.Invocation, encode func([]byte) ([]byte, error), got func([]byte) error) error {
	payload, err := encodeRequest(encode, 0)
	if err != nil {
		return err
	}
	c, err := k.newOwn(ctx, caller, call)
	if err != nil {
		return err
	}
	defer c.begin(func(inner context.Context) error { return c.method.Serve(inner, payload, c.send) })()
	for {
		err := c.receive(call.Stream, got)
		switch {
		case err == io.EOF && call.Stream:
			return nil
		case err != nil, !call.Stream:
			return err
		}
	}
}

// OwnExchange makes a call with a stream of requests of the node to a service of its own.
func (k *Calls) OwnExchange(ctx context.Context, caller rpc.Caller, call rpc.Invocation, f func(rpc.Channel) error) error {
	c, err := k.newOwn(ctx, caller, call)
	if err != nil {
		return err
	}
	c.requests = newPipe()
	x := &ownExchange{own: c, stream: call.Stream}
	defer x.CloseSend() //nolint:errcheck // the call is over
	defer c.begin(func(inner context.Context) error {
		if c.method.TakesStream() {
			return c.method.ServeStream(inner, c.next, c.send)
		}
		var request []byte
		if err := c.next(inner, func(payload []byte) error { request = payload; return nil }); err == io.EOF {
			return rpc.Errorf(rpc.BadRequest, "%s", noRequest)
		} else if err != nil {
			return err
		}
		return c.method.Serve(inner, request, c.send)
	})()
	return f(x)
}

// Offers returns an error unless the node offers a service.
func (k *Calls) Offers(id protocol.ID) error {
	if _, ok := k.offered.Get(id); !ok {
		return fmt.Errorf("%w: this node offers no service %q", negotiate.ErrUnsupported, string(id))
	}
	return nil
}

// newOwn returns a call that has not begun.
func (k *Calls) newOwn(ctx context.Context, caller rpc.Caller, call rpc.Invocation) (*own, error) {
	if err := k.Offers(call.Protocol); err != nil {
		return nil, err
	}
	service, _ := k.offered.Get(call.Protocol)
	method, ok := service.methods[call.Method]
	if !ok {
		return nil, onecall.ErrorOf(rpc.UnsupportedMethod, []byte(unsupported(call.Method)))
	}
	if ctx.Err() != nil {
		return nil, callEnded(ctx)
	}
	c := &own{k: k, service: service, method: method, caller: caller, limit: rpc.DefaultDeadline, ctx: ctx, answers: newPipe()}
	end, bounded := ctx.Deadline()
	if c.bounded = bounded; bounded {
		c.limit = end.Sub(k.trunk.Now())
	}
	c.caller.Metadata = rpc.MetadataOf(ctx)
	if err := c.caller.Metadata.Validate(); err != nil {
		return nil, err
	}
	if !method.Streams() && !method.TakesStream() {
		c.caller.Deadline = k.trunk.Now().Add(c.limit)
	}
	c.inner, c.cancel = context.WithCancelCause(context.Background())
	return c, nil
}

// begin has a task run the method. The function that it returns ends the call.
func (c *own) begin(serve func(context.Context) error) (ends func()) {
	if !c.bounded {
		c.goesOn(0)
		c.watch(c.limit)
	}
	c.k.trunk.System().Root.Send(c.k.Server, ownCall{
		run: func(task context.Context) error {
			defer context.AfterFunc(task, func() { c.cancel(errSessionOver) })()
			return c.run(serve)
		},
		drop: func() { c.cancel(errSessionOver) },
	})
	over := context.AfterFunc(c.inner, func() { c.ends(context.Cause(c.inner)) })
	return func() {
		c.unwatched()
		over()
		why := errGivenUp
		if errors.Is(c.ctx.Err(), context.DeadlineExceeded) {
			why = errExpired
		}
		c.cancel(why)
		c.ends(why)
	}
}

// goesOn gives the method its time again, for the answer or the next item. While it waits for its caller, whose waiting begins or ends
// with waits of 1 and -1, that is the caller's.
func (c *own) goesOn(waits int) {
	if c.bounded {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waits += waits
	limit := c.limit
	if c.waits > 0 {
		limit = rpc.MaxDeadline
	}
	c.until = c.k.trunk.Now().Add(limit)
}

// watch looks after d whether the time of the method is over.
func (c *own) watch(d time.Duration) {
	late, done := context.WithTimeout(context.Background(), d)
	stop := context.AfterFunc(late, c.look)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unwatch = func() { stop(); done() }
}

func (c *own) look() {
	c.mu.Lock()
	left, watched := c.until.Sub(c.k.trunk.Now()), c.unwatch != nil
	c.mu.Unlock()
	switch {
	case !watched, c.inner.Err() != nil:
	case left <= 0:
		c.cancel(errExpired)
	default:
		c.unwatched()
		c.watch(min(left, c.limit)) // it may have less time by then
	}
}

func (c *own) unwatched() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unwatch != nil {
		c.unwatch()
		c.unwatch = nil
	}
}

// ends ends what the two sides say to each other.
func (c *own) ends(err error) {
	c.answers.end(err)
	if c.requests != nil {
		c.requests.end(errNobodyWants)
	}
}

// receive waits for the next answer. The error is io.EOF at the end.
func (c *own) receive(stream bool, got func([]byte) error) error {
	answer, err := c.answers.next(c.ctx)
	switch {
	case err != nil && c.ctx.Err() != nil:
		return callEnded(c.ctx)
	case errors.Is(err, errExpired):
		return fmt.Errorf("%w: %w", rpc.Timeout, context.DeadlineExceeded)
	case errors.Is(err, errSessionOver):
		return actors.ErrClosing
	case err == io.EOF && !stream && !c.sent:
		return errNoneGiven
	case err != nil:
		return err
	case stream && !c.method.Streams():
		return rpc.ErrOneAnswer
	}
	return got(answer)
}

// next hands the next request of a stream to the method.
func (c *own) next(ctx context.Context, got func([]byte) error) error {
	c.goesOn(1)
	request, err := c.requests.next(ctx)
	c.goesOn(-1)
	if err != nil {
		return err
	}
	return got(request)
}

// ownExchange is a call of the node itself with a stream of requests, for its caller.
type ownExchange struct {
	*own
	stream bool
}

// Send sends a request. It waits while the method has not taken those before.
func (x *ownExchange) Send(encode func([]byte) ([]byte, error)) error {
	request, err := encodeRequest(encode, 0)
	if err != nil {
		return err
	}
	if !x.requests.put(x.ctx, request) {
		return io.EOF
	}
	return nil
}

// CloseSend says that there are no more requests.
func (x *ownExchange) CloseSend() error {
	if !x.requests.end(io.EOF) {
		return io.EOF
	}
	return nil
}

// Receive waits for the next answer.
func (x *ownExchange) Receive(got func([]byte) error) error { return x.receive(x.stream, got) }

// run runs the method. A task calls it.
func (c *own) run(serve func(context.Context) error) error {
	defer func() {
		c.ends(cmp.Or(c.err, io.EOF))
	}()
	c.err = onecall.ErrorOf(rpc.General, []byte(serviceFailed)) // also if the method ends its goroutine
	ctx := c.inner
	_, err := c.k.serve(ctx, c.service, c.method, func() error { return serve(rpc.WithCaller(ctx, &c.caller)) })
	if err == nil && !c.method.Streams() && !c.sent {
		err = errNoAnswerMade
	}
	if panicked, ok := err.(*methodPanicked); ok {
		c.k.panicked(c.service, c.caller.Peer, 0, *panicked)
		return nil
	}
	switch {
	case err == nil:
		c.err = nil
	case ctx.Err() != nil: // as the caller hears it, whoever says so first
		c.err = context.Cause(ctx)
	default:
		status, details, private := onecall.StatusOf(err)
		c.err = onecall.ErrorOf(status, []byte(details))
		if private {
			c.k.trunk.System().Root.Send(c.k.Server, methodFailed{method: c.method, err: err, peer: c.caller.Peer, id: c.service.Protocol})
		}
	}
	return nil
}

// send hands an answer to the caller. It waits while that has not taken those before.
func (c *own) send(encode func([]byte) ([]byte, error)) error {
	if !c.method.Streams() && c.sent {
		return errTwoAnswers
	}
	answer, err := encode(nil)
	if err != nil {
		return err
	}
	if err := c.service.fits(answer); err != nil {
		return err
	}
	c.sent = true
	c.goesOn(1)
	defer c.goesOn(-1)
	if !c.answers.put(c.inner, answer) {
		return errNobodyWants
	}
	return nil
}

// pipe has messages that one side says to the other.
type pipe struct {
	mu    sync.Mutex
	news  turns.News
	queue [][]byte
	bytes int
	err   error // no more come; io.EOF: in order
}

func newPipe() *pipe {
	p := new(pipe)
	p.news.L = &p.mu
	return p
}

// put adds a message. It waits while many wait, and is false at the end, or at that of ctx.
func (p *pipe) put(ctx context.Context, b []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) > 0 && p.bytes+len(b)+manycalls.Overhead > firstWindow && p.err == nil && ctx.Err() == nil {
		p.news.Await(ctx)
	}
	if p.err != nil || ctx.Err() != nil {
		return false
	}
	p.queue = append(p.queue, b)
	p.bytes += len(b) + manycalls.Overhead
	p.news.Tell()
	return true
}

// next waits for a message.
func (p *pipe) next(ctx context.Context) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) == 0 {
		if err := cmp.Or(p.err, ctx.Err()); err != nil {
			return nil, err
		}
		p.news.Await(ctx)
	}
	b := p.queue[0]
	p.queue[0], p.queue = nil, p.queue[1:]
	p.bytes -= len(b) + manycalls.Overhead
	p.news.Tell()
	return b, nil
}

// end says that no more messages come. It is false if that was said before.
func (p *pipe) end(err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return false
	}
	p.err = err
	p.news.Tell()
	return true
}

// panicked records the panic of a method, whose caller was answered, and does what the service's policy says.
func (k *Calls) panicked(s *registered, caller identity.NodeID, conn uint64, m methodPanicked) {
	then, stops := "its caller hears status 6", s.OnPanic == protocol.PanicStop
	if stops {
		then = "the service has stopped for good"
	}
	k.trunk.ServicePanicked(base.Panicking{
		Service: s.Protocol, Peer: caller, Message: fmt.Sprintf("method %s", m.method), Value: base.Beginning(m.value),
	}, conn, m.stack, stops, then)
	if stops {
		k.trunk.System().Root.Send(k.Server, stopService{s})
	}
}
