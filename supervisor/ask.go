package supervisor

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// ErrNoActor reports that no actor has the PID: it has ended, or never existed.
var ErrNoActor = errors.New("supervisor: no such actor")

// ErrWrongReply reports a reply of another type than the one asked for.
var ErrWrongReply = errors.New("supervisor: wrong reply type")

// ErrUnhandled reports a message that the actor asked does not know.
var ErrUnhandled = errors.New("supervisor: the actor does not know this message")

// ErrFailed reports that the actor asked has panicked on the message. Errors
// that match it wrap the [*PanicError].
var ErrFailed = errors.New("supervisor: the actor failed on this message")

// refusal answers an Ask for an actor that does not know the message or failed
// on it.
type refusal struct{ err error }

// refuse answers an Ask with err. It does nothing when to is not the PID of an
// Ask, or the Ask has its answer.
func refuse(sys *actor.ActorSystem, to *actor.PID, err error) {
	if to == nil {
		return
	}
	p, _ := sys.ProcessRegistry.Get(to)
	if a, ok := p.(*asker); ok {
		a.SendUserMessage(to, refusal{err})
	}
}

// Ask sends msg to pid and waits for the reply, an R. Call it from outside the
// tree or from a task, never from an actor: an actor that waits cannot be
// stopped, and one that asks itself waits for ever. Ask returns ctx's error,
// ErrNoActor, ErrWrongReply, ErrUnhandled or ErrFailed; the last two come without
// a wait. A reply that comes too late is discarded.
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
	if !a.close() { // the reply came just now
		return a.result(<-a.reply)
	}
	return nil, ctx.Err()
}

// asker is the process that receives the reply to an Ask. It serves one Ask after
// another; RequestId in its PID counts them, so that a late reply to an earlier
// Ask is recognised.
type asker struct {
	self  *actor.PID
	state atomic.Uint64 // number of the Ask, times two, plus one while it waits
	reply chan any
}

var _ actor.Process = (*asker)(nil)

// open begins the next Ask and returns the PID for its reply.
func (a *asker) open() *actor.PID {
	n := uint32(a.state.Load()>>1) + 1
	a.state.Store(uint64(n)<<1 | 1)
	return &actor.PID{Address: a.self.Address, Id: a.self.Id, RequestId: n}
}

// close ends the Ask without a reply. It returns false when there is one.
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

// SendUserMessage takes the first reply to the present Ask and discards all
// others.
func (a *asker) SendUserMessage(to *actor.PID, message any) {
	message = unwrap(message)
	waiting := uint64(to.GetRequestId())<<1 | 1
	if !a.state.CompareAndSwap(waiting, waiting&^1) {
		discard(message)
		return
	}
	a.reply <- message
}

// SendSystemMessage ignores system messages.
func (a *asker) SendSystemMessage(*actor.PID, any) {}

// Stop does nothing: Ask ends by itself.
func (a *asker) Stop(*actor.PID) {}
