package supervisor

import (
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Traced is a message that an actor has handled.
type Traced struct {
	At      time.Time // when its handling began
	Message string    // its type
	From    string    // path of the actor that has sent it; empty if it did not say so
	Took    time.Duration
	Waiting int  // messages that wait behind it
	Failed  bool // the actor has panicked
	Ended   bool // the actor has ended, and no message follows; all but At is empty
}

// ErrTraced reports that somebody traces the actor already.
var ErrTraced = errors.New("supervisor: the actor is traced already")

// trace is what looks at the messages of a cell.
type trace struct {
	see func(Traced)

	now   Traced // in hand; owned by the turn, as is began
	began int64
}

// Trace calls see with each message that the actor at path has handled, in the actor's turn, until stop
// is called: see must not wait. Restarts of the actor do not end it. When the actor ends, also with a restart of its parent, see
// is called a last time, with Ended. The error is ErrNoActor or ErrTraced. Messages of the supervision itself are left out.
func (r *Root) Trace(path string, see func(Traced)) (stop func(), err error) {
	c := r.host.lookup(path)
	if c == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoActor, path)
	}
	t := &trace{see: see}
	if !c.trace.CompareAndSwap(nil, t) {
		return nil, fmt.Errorf("%w: %s", ErrTraced, path)
	}
	stop = func() { c.trace.CompareAndSwap(t, nil) }
	if c.state.Load() == stateGone {
		stop()
		return nil, fmt.Errorf("%w: %s", ErrNoActor, path)
	}
	return stop, nil
}

// begin notes the message in hand.
func (t *trace) begin(c *cell, msg, body any) {
	t.began = c.host.nanos()
	t.now = Traced{At: c.host.base.Add(time.Duration(t.began)), Message: typeName(body)}
	if from := actor.UnwrapEnvelopeSender(msg); from != nil {
		t.now.From = from.Id
	}
}

// end tells the message in hand, if there is one.
func (t *trace) end(c *cell, failed bool) {
	m := t.now
	if m.Message == "" {
		return // it was in hand when the trace began
	}
	t.now = Traced{}
	m.Took, m.Failed = time.Duration(c.host.nanos()-t.began), failed
	m.Waiting = c.UserMessageCount()
	t.see(m)
}

// endTrace tells whoever traces the cell that it has ended.
func (c *cell) endTrace() {
	if t := c.trace.Swap(nil); t != nil {
		t.see(Traced{At: c.host.base.Add(time.Duration(c.host.nanos())), Ended: true})
	}
}
