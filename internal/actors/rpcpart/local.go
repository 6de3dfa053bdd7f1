package rpcpart

import (
	"context"
	"errors"
	"fmt"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/internal/turns"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// ownCall asks rpc for a task that runs a method for the node itself.
type ownCall struct{ run func(context.Context) error }

// own is a call of the node to a service of its own.
type own struct {
	service *registered
	method  rpc.Method
	talk    *turns.Talk[[]byte]
	sent    bool
	err     error // of the call
}

// Own makes a call of the node to a service of its own. The service sees what it would see of a peer: see [rpc.Invoker].
func (k *Calls) Own(ctx context.Context, caller rpc.Caller, id protocol.ID, number uint32, stream bool, encode func([]byte) ([]byte, error), got func([]byte) error) error {
	service, ok := k.offered.Get(id)
	if !ok {
		return fmt.Errorf("%w: this node offers no service %q", negotiate.ErrUnsupported, string(id))
	}
	method, ok := service.methods[number]
	if !ok {
		return rpc.ErrorOf(rpc.UnsupportedMethod, []byte(unsupported(number)))
	}
	payload, err := encode(nil)
	switch {
	case err != nil:
		return err
	case len(payload) > rpc.DefaultSend-rpc.Room:
		return ErrRequestTooLarge
	case ctx.Err() != nil:
		return callEnded(ctx)
	}
	limit := rpc.DefaultDeadline
	end, bounded := ctx.Deadline()
	if bounded {
		limit = end.Sub(k.trunk.Now())
	}
	caller.Metadata = rpc.MetadataOf(ctx)
	if err := caller.Metadata.Validate(); err != nil {
		return err
	}
	if !method.Streams() {
		caller.Deadline = k.trunk.Now().Add(limit)
	}
	c := &own{service: service, method: method, talk: turns.NewTalk[[]byte]()}
	inner, cancel := context.WithCancelCause(context.Background())
	defer cancel(errGivenUp)
	if !bounded { // for the answer, or for all items
		late, stop := context.WithTimeout(context.Background(), limit)
		defer stop()
		defer context.AfterFunc(late, func() { cancel(errExpired) })()
	}
	k.trunk.System().Root.Send(k.Server, ownCall{func(task context.Context) error {
		defer context.AfterFunc(task, func() { cancel(errSessionOver) })()
		return c.run(inner, k, caller, payload)
	}})
	for {
		answer, ok, err := c.talk.Next(ctx, inner)
		switch {
		case ctx.Err() != nil && !ok:
			return callEnded(ctx)
		case errors.Is(err, errExpired):
			return fmt.Errorf("%w: %w", rpc.Timeout, context.DeadlineExceeded)
		case errors.Is(err, errSessionOver):
			return actors.ErrClosing
		case !ok:
			return err
		case stream && !method.Streams():
			return rpc.ErrOneAnswer
		}
		if err := got(answer); err != nil || !stream {
			return err
		}
		c.talk.More()
	}
}

// run runs the method. A task calls it.
func (c *own) run(ctx context.Context, k *Calls, caller rpc.Caller, payload []byte) error {
	defer func() { c.talk.End(c.err) }()
	c.err = rpc.ErrorOf(rpc.General, []byte(serviceFailed)) // also if the method ends its goroutine
	err := serveMethod(rpc.WithCaller(ctx, &caller), c.method, payload, func(encode func([]byte) ([]byte, error)) error { return c.send(ctx, encode) })
	if err == nil && !c.method.Streams() && !c.sent {
		err = errNoAnswerMade
	}
	if panicked, ok := err.(*methodPanicked); ok {
		k.panicked(c.service, caller.Peer, 0, *panicked)
		return nil
	}
	switch {
	case err == nil:
		c.err = nil
	case ctx.Err() != nil: // nobody hears it
	default:
		status, details, private := rpc.StatusOf(err)
		c.err = rpc.ErrorOf(status, []byte(details))
		if private {
			k.trunk.System().Root.Send(k.Server, methodFailed{method: c.method.Number(), err: err, peer: caller.Peer, id: c.service.Protocol})
		}
	}
	return nil
}

// send hands an answer to the caller, and waits until that is done with it.
func (c *own) send(ctx context.Context, encode func([]byte) ([]byte, error)) error {
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
	if !c.talk.Answer(ctx, answer) {
		return errNobodyWants
	}
	return nil
}

// panicked records the panic of a method, whose caller was answered, and does what the service's policy says.
func (k *Calls) panicked(s *registered, caller identity.NodeID, conn uint64, m methodPanicked) {
	then, stops := "its caller hears status 6", s.OnPanic == protocol.PanicStop
	if stops {
		then = "the service has stopped for good"
	}
	k.trunk.ServicePanicked(base.Panicking{
		Service: s.Protocol, Peer: caller, Message: fmt.Sprintf("method %d", m.method), Value: base.Beginning(m.value),
	}, conn, m.stack, stops, then)
	if stops {
		k.trunk.System().Root.Send(k.Server, stopService{s})
	}
}
