package supervisor

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// ErrNoActor reports that nobody is there to answer: the actor has ended, or
// never was.
var ErrNoActor = errors.New("supervisor: no such actor")

// ErrWrongReply reports a reply of another type than the one asked for.
var ErrWrongReply = errors.New("supervisor: wrong reply type")

// ErrUnhandled reports a message that the actor asked does not know.
var ErrUnhandled = errors.New("supervisor: the actor does not know this message")

// ErrFailed reports that the actor asked has panicked on the message. Errors
// that match it wrap the [*PanicError].
var ErrFailed = errors.New("supervisor: the actor failed on this message")

// refusal answers an Ask in the place of an actor that will not.
type refusal struct{ err error }

// refuse answers the Ask that to belongs to, if it is one and has no answer yet.
func refuse(sys *actor.ActorSystem, to *actor.PID, err error) {
	if to == nil {
		return
	}
	p, _ := sys.ProcessRegistry.Get(to)
	if a, ok := p.(*asker); ok {
		a.SendUserMessage(to, refusal{err})
	}
}

// Ask sends msg to pid and waits for the reply, an R. It is for callers outside
// the tree, tasks among them: an actor that waits cannot be stopped, and one that
// asks itself waits for ever. Errors: ctx's, ErrNoActor, ErrWrongReply, and at once
// ErrUnhandled and ErrFailed. A reply that comes too late is discarded.
func Ask[R any](ctx context.Context, sys *actor.ActorSystem, pid *actor.PID, msg any) (R, error) {
	var none R
	reply, err := ask(ctx, sys, pid, msg)
	if err != nil {
		return none, err
	}
	r, ok := reply.(R)
	if !ok {
		discard(reply)
		return none, fmt.Errorf("%w: got %s, want %v", ErrWrongReply, typeName(reply), reflect.TypeFor[R]())
	}
	return r, nil
}

func ask(ctx context.Context, sys *actor.ActorSystem, pid *actor.PID, msg any) (any, error) {
	if pid == nil {
		discard(msg)
		return nil, ErrNoActor
	}
	if err := ctx.Err(); err != nil {
		discard(msg)
		return nil, err
	}
	o := officeOf(sys)
	a := o.lend(sys)
	defer o.takeBack(sys, a)
	sys.Root.RequestWithCustomSender(pid, msg, a.open())
	select {
	case reply := <-a.reply:
		return a.result(reply)
	case <-ctx.Done():
	}
	if !a.close() { // it came just now
		return a.result(<-a.reply)
	}
	return nil, ctx.Err()
}

// asker is the process behind one Ask at a time. A late reply is known by its
// PID: RequestId counts the Asks.
type asker struct {
	self  *actor.PID
	state atomic.Uint64 // number of the Ask, times two, plus one while it waits
	reply chan any
}

var _ actor.Process = (*asker)(nil)

// open begins the next Ask and returns where the reply has to go.
func (a *asker) open() *actor.PID {
	n := uint32(a.state.Load()>>1) + 1
	a.state.Store(uint64(n)<<1 | 1)
	return &actor.PID{Address: a.self.Address, Id: a.self.Id, RequestId: n}
}

// close ends the Ask without a reply; false if there is one.
func (a *asker) close() bool {
	s := a.state.Load()
	return s&1 == 1 && a.state.CompareAndSwap(s, s&^1)
}

func (a *asker) result(reply any) (any, error) {
	if _, dead := reply.(*actor.DeadLetterResponse); dead {
		return nil, ErrNoActor
	}
	if r, ok := reply.(refusal); ok {
		return nil, r.err
	}
	return reply, nil
}

// SendUserMessage takes the first reply to the Ask under way and discards
// every other.
func (a *asker) SendUserMessage(to *actor.PID, message any) {
	message = unwrap(message)
	waiting := uint64(to.GetRequestId())<<1 | 1
	if !a.state.CompareAndSwap(waiting, waiting&^1) {
		discard(message)
		return
	}
	a.reply <- message
}

// SendSystemMessage ignores what the system says.
func (a *asker) SendSystemMessage(*actor.PID, any) {}

// Stop does nothing: Ask ends by itself.
func (a *asker) Stop(*actor.PID) {}
