package outcomepart

import (
	"sync"

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

// loop hands a message, or a greeting, to this node itself. Its outcome comes as that of any other write.
func (a *sender) loop(c actor.Context, w outcomes.Write[*send], frame []byte) {
	s := w.Tag
	c.Send(c.Self(), actors.Sent{ID: s.serial, Peer: s.Peer, Outcome: a.arrive(c, w, frame)})
}

func (a *sender) arrive(c actor.Context, w outcomes.Write[*send], frame []byte) protocol.Outcome {
	pid, ok := a.o.handler(w.Topic)
	switch {
	case len(frame) > a.o.trunk.Outcomes().MaxBody():
		return protocol.Outcome{Kind: protocol.Failed, Reason: protocol.TooLong}
	case !w.Greets && (!ok || pid == nil && w.Want == outcomes.Read): // nobody waits here for a handler that has failed
		return protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Refused, Err: ErrNoHandler}
	}
	if m, received := a.self.intake.Message(frame, nil).(actors.Received); received {
		if s := w.Tag; s.Want == outcomes.Read { // the credit is the message's now: its sender has an outcome
			m.Credit.(*arrival).lent = sync.OnceFunc(s.giveBack)
			s.giveBack = func() {}
		}
		if pid == nil {
			pid = a.o.pid
		}
		c.Send(pid, m)
	}
	return protocol.Outcome{Kind: protocol.Confirmed}
}
