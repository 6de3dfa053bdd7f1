package outcomepart

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// self is this node as its own peer: what it sends to itself takes no connection, and is judged as what comes by one.
type self struct {
	on     *actors.ConnRef
	intake *intake
}

func newSelf(o *Outcomes) *self {
	on := &actors.ConnRef{ID: o.trunk.NewID(), Peer: o.trunk.Self(), Key: o.trunk.Key()}
	return &self{on, receiver{o}.Open(on).(*intake)}
}

var errHandlerFailed = fmt.Errorf("%w: its handler has failed, and is started again soon", actors.ErrNotTaken)

// loop hands a message, or a greeting, to this node itself. Its outcome comes as that of any other write.
func (a *sender) loop(c actor.Context, w outcomes.Write[*send], frame []byte) {
	s := w.Tag
	c.Send(c.Self(), actors.Sent{ID: s.serial, Peer: s.Peer, Outcome: a.arrive(c, w, frame)})
}

func (a *sender) arrive(c actor.Context, w outcomes.Write[*send], frame []byte) protocol.Outcome {
	pid, ok := a.o.handler(w.Topic)
	switch {
	case len(w.Tag.Body) > a.o.trunk.Outcomes().MaxBody():
		return protocol.Outcome{Kind: protocol.Failed, Reason: protocol.TooLong}
	case !w.Greets && !ok: // nobody waits here
		return protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Refused, Err: errHandlerFailed}
	case !w.Greets && pid == nil && w.Want == outcomes.Read:
		return protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Refused, Err: ErrNoHandler}
	}
	if m, received := a.self.intake.Message(frame, nil).(actors.Received); received {
		// Its sender may have an outcome before it is handled, and it may be in the inbox before that.
		s, giveBack, left := w.Tag, w.Tag.giveBack, new(atomic.Int32)
		left.Store(2)
		s.giveBack = func() {
			if left.Add(-1) == 0 {
				giveBack()
			}
		}
		m.Credit.(*arrival).lent = sync.OnceFunc(s.giveBack)
		if pid == nil {
			pid = a.o.pid
		}
		c.Send(pid, m)
	}
	return protocol.Outcome{Kind: protocol.Confirmed}
}
