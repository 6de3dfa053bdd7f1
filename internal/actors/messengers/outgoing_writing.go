package messengers

import (
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// take passes the messages in the queue to the machine, unless they are for the writer or
// come behind some that the writer has.
func (o *outgoing) take(c actor.Context) {
	if !o.machine.Pulling() { // else pullStopped looks at the queue
		o.takeAll(c)
	}
}

func (o *outgoing) takeAll(c actor.Context) {
	now := supervisor.Now(c)
	for m := o.queue.next(); m != nil; m = o.queue.next() {
		o.owner.busy()
		o.do(c, o.machine.Queued(now, m.entry()))
	}
}

// takeQueued tells the session that its queue has messages.
type takeQueued struct {
	protocol *Messaging
	instead  attend
}

// Discard has the protocol's actor start another session: this one has ended.
func (m takeQueued) Discard() {
	m.protocol.room.System.Root.Send(m.protocol.PID, m.instead)
}

// withdrawn reports that the sender of a message no longer waits.
func (o *outgoing) withdrawn(c actor.Context, id uint64) {
	if q, taken := o.queue.withdraw(id); q != nil {
		q.settle(o.machine.ExpiredOutcome(taken))
		o.owner.stepped(c)
		return
	}
	o.do(c, o.machine.Withdrawn(supervisor.Now(c), id))
}

// uses tells the connection that messages of an application use it.
func (o *outgoing) uses() {
	if o.protocol == o.room.Plain && o.conn != nil {
		base.Use(o.conn)
	}
}

// wrote handles the end of a write of the writer.
func (o *outgoing) wrote(c actor.Context, m wrote) {
	if m.gen != o.gen {
		return
	}
	o.collect(c) // older ones
	if errors.Is(m.err, mux.ErrStalled) && o.conn != nil {
		c.Send(o.room.Conns, connections.CloseConn{Peer: o.peer, Conn: o.conn.ID, Reason: actors.CloseReason{Code: actors.CloseStalled, By: "us", Err: m.err}})
	}
	noConn := errors.Is(m.err, mux.ErrSessionEnded)
	if noConn && o.conn != nil {
		m.err = connections.Lost(o.conn, m.err)
	}
	o.writer.used = true
	if m.taken == nil {
		o.writer.writing = 0
		o.do(c, o.machine.Wrote(supervisor.Now(c), m.started, m.err, noConn))
		o.startPull()
		return
	}
	o.uses()
	noteWithdrawn(m.taken)
	o.wrotePulled(c, m.taken, m.started, m.err, noConn)
	o.pullStopped(c)
}

// wroteSome handles that the writer has written messages of the queue. A small one alone for which
// nobody waits is collected later, together with those written until then.
func (o *outgoing) wroteSome(c actor.Context, m wroteSome) {
	if m.gen != o.gen {
		return
	}
	a := o.machine.PulledSome(supervisor.Now(c), m.much || m.urgent || !o.queue.pulling())
	o.planProof(c, a.ProofDue)
	if a.Collect {
		o.collect(c)
		o.pullStopped(c)
	}
}

// planProof has proofDue come at a time, and not at a later one that it was planned for.
func (o *outgoing) planProof(c actor.Context, at time.Time) {
	if at.IsZero() {
		return
	}
	if o.proof != nil {
		o.proof.Stop()
	}
	o.proof = supervisor.At(c, at, proofDue{})
}

// proofDue collects and proves what has waited.
func (o *outgoing) proofDue(c actor.Context) {
	b := o.collected()
	a := o.machine.ProofDue(supervisor.Now(c), b)
	if len(b) > 0 {
		o.queue.acknowledge(b)
	}
	o.do(c, a)
}

// collect tells the machine of the messages of the queue that the writer has written.
func (o *outgoing) collect(c actor.Context) {
	if b := o.collected(); len(b) > 0 {
		o.wrotePulled(c, b, len(b), nil, false)
	}
}

// collected returns the messages of the queue that the writer has written. The queue gets the
// batch back with acknowledge.
func (o *outgoing) collected() batch {
	b := o.queue.collect()
	if len(b) > 0 {
		o.writer.used = true
		o.uses()
		noteWithdrawn(b)
	}
	return b
}

// wrotePulled tells the machine of messages of the queue that the writer has written, or tried
// to, and gives the batch to the queue.
func (o *outgoing) wrotePulled(c actor.Context, b batch, started int, err error, noConn bool) {
	a := o.machine.WrotePulled(supervisor.Now(c), b, started, err, noConn)
	o.queue.acknowledge(b)
	o.do(c, a)
}

// noteWithdrawn marks the messages that have ended while the writer had them.
func noteWithdrawn(b batch) {
	for i := range b {
		b[i].Withdrawn = b[i].Tag.settled.Load()
	}
}

// startPull has the writer take messages from the queue itself, if nothing waits before them.
func (o *outgoing) startPull() {
	if o.writer.task != nil && o.machine.StartPull() {
		o.writer.startPull()
	}
}

// stopPull takes the queue back from the writer.
func (o *outgoing) stopPull(c actor.Context) {
	if o.machine.Pulling() {
		o.queue.stopPull()
		o.pullStopped(c)
	}
}

// pullStopped goes on when the writer takes no more messages and the machine knows all that it
// has taken: what is left in the queue comes behind them.
func (o *outgoing) pullStopped(c actor.Context) {
	if !o.machine.Pulling() {
		return
	}
	o.collect(c)
	if !o.machine.Pulling() || o.queue.pullOpen() {
		return
	}
	o.takeAll(c)
	o.do(c, o.machine.PullStopped(supervisor.Now(c)))
}
