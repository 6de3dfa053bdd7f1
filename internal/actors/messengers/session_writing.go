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

// proofDelay is how long a request for a proof waits after the last one if all messages were
// sent by actors: no caller waits for these outcomes, and one ping proves them all. The session does
// not collect what its writer has written of the queue before that either. The first message
// after a pause does not wait: a timer of an idle process may come a millisecond late.
const proofDelay = 250 * time.Microsecond

// takeQueued tells the session that its queue has messages.
type takeQueued struct {
	protocol *Messaging
	instead  attend
}

// Discard has the protocol's actor start another session: this one has ended.
func (m takeQueued) Discard() {
	m.protocol.room.System.Root.Send(m.protocol.PID, m.instead)
}

// take passes the messages in the queue to the outbox, unless they are for the writer or
// come behind some that the writer has.
func (s *session) take(c actor.Context) {
	if s.retired || s.out.Pulling() { // messengers and pullStopped look at the queue
		return
	}
	now := supervisor.Now(c)
	for m := s.queue.next(); m != nil; m = s.queue.next() {
		s.touched()
		s.do(c, s.out.Queued(now, m.entry()))
	}
}

// withdrawn reports that the sender of a message no longer waits.
func (s *session) withdrawn(c actor.Context, m withdraw) {
	if q, taken := s.queue.withdraw(m.ID); q != nil {
		q.settle(s.out.ExpiredOutcome(taken))
		s.goOn(c)
		return
	}
	s.do(c, s.out.Withdrawn(supervisor.Now(c), m.ID))
}

// write gives a batch to the writer task. Messages that come meanwhile go with the next
// batch.
func (s *session) write(c actor.Context, b batch) {
	s.writes(b)
	s.writer.write(c, s.gen, movingWriter{s.stream, s.room, s.account}, b)
}

// writes notes what the messages of a write need.
func (s *session) writes(b batch) {
	s.urgent = false
	for i := range b {
		if b[i].Tag.done != nil {
			s.urgent = true
			break
		}
	}
	s.uses()
}

// uses tells the connection that messages of an application use it.
func (s *session) uses() {
	if s.protocol == s.room.Plain && s.conn != nil {
		base.Use(s.conn)
	}
}

func (s *session) wrote(c actor.Context, m wrote) {
	if m.gen != s.gen {
		return
	}
	s.collect(c, false) // older ones
	now := supervisor.Now(c)
	if errors.Is(m.err, mux.ErrStalled) && s.conn != nil {
		c.Send(s.room.Conns, connections.CloseConn{Peer: s.peer, Conn: s.conn.ID, Reason: actors.CloseReason{Code: actors.CloseStalled, By: "us", Err: m.err}})
	}
	noConn := errors.Is(m.err, mux.ErrSessionEnded)
	if noConn && s.conn != nil {
		m.err = connections.Lost(s.conn, m.err)
	}
	s.writer.used = true
	if m.taken == nil {
		s.writer.writing = 0
		s.do(c, s.out.Wrote(now, m.started, m.err, noConn))
		s.startPull(c)
		return
	}
	s.writes(m.taken)
	s.recordWritten(c, m.taken, m.started, m.err, noConn)
	if s.out.Pulling() {
		s.pullStopped(c)
	}
}

// wroteSome handles that the writer has written messages of the queue. A single one for
// which nobody waits the session collects later, together with those written until then.
func (s *session) wroteSome(c actor.Context, m wroteSome) {
	switch {
	case m.gen != s.gen:
	case m.several || m.urgent || s.finish != nil || s.drain != nil || !s.queue.pulling():
		s.collect(c, m.urgent)
		if s.out.Pulling() {
			s.pullStopped(c)
		}
	case s.proofDelayOver(c):
		s.collect(c, false)
	default:
		s.plan(c)
	}
}

// collect takes note of the messages that the writer has written of the queue. If it is
// urgent, their proof is asked for at once.
func (s *session) collect(c actor.Context, urgent bool) {
	b := s.queue.collect()
	if len(b) == 0 {
		return
	}
	s.writer.used = true
	s.writes(b)
	s.urgent = s.urgent || urgent
	s.recordWritten(c, b, len(b), nil, false)
}

// recordWritten tells the outbox of messages of the queue that the writer has written, or tried to,
// and gives the batch to the queue.
func (s *session) recordWritten(c actor.Context, b batch, started int, err error, noConn bool) {
	for i := range b {
		b[i].Withdrawn = b[i].Tag.settled.Load()
	}
	f := s.out.WrotePulled(supervisor.Now(c), b, started, err, noConn)
	s.queue.acknowledge(b)
	s.do(c, f)
}

// startPull has the writer take messages from the queue itself, if nothing waits before them.
func (s *session) startPull(c actor.Context) {
	if s.finish == nil && s.writer.task != nil && s.out.StartPull() {
		s.writer.startPull()
	}
}

// stopPull ends the pull of the writer.
func (s *session) stopPull(c actor.Context) {
	if s.out.Pulling() {
		s.queue.stopPull()
		s.pullStopped(c)
	}
}

// pullStopped goes on when the writer takes no more messages and the session knows all that
// it has taken.
func (s *session) pullStopped(c actor.Context) {
	s.collect(c, false)
	if !s.out.Pulling() || s.queue.pullOpen() {
		return
	}
	s.do(c, s.out.PullStopped(supervisor.Now(c)))
	s.take(c)
}

// proveSoon asks for the proof of the written messages. It asks at once if a caller waits
// for an outcome, if a finish or drain is under way, if notBefore delays the proof anyway, or
// if the last request was proofDelay ago. Otherwise it asks then, also for messages written
// until then.
func (s *session) proveSoon(c actor.Context, mark uint64, notBefore time.Time) {
	switch {
	case s.urgent || s.finish != nil || s.drain != nil || notBefore.After(supervisor.Now(c)) || s.proofDelayOver(c):
		s.prove(c, mark, notBefore)
	default:
		s.mark = mark
		s.plan(c)
	}
}

// proofDelayOver reports whether the last request for a proof was proofDelay ago.
func (s *session) proofDelayOver(c actor.Context) bool {
	return !supervisor.Now(c).Before(s.provedAt.Add(proofDelay))
}

// plan has proofDue come proofDelay after the last request for a proof, if none is to come.
func (s *session) plan(c actor.Context) {
	if !s.planned {
		s.planned = true
		supervisor.At(c, s.provedAt.Add(proofDelay), proofDue{})
	}
}

// due collects and proves what has waited for proofDelay.
func (s *session) due(c actor.Context) {
	s.planned = false
	s.collect(c, true)
	s.prove(c, s.mark, supervisor.Now(c))
}

// prove asks for a proof now. The proof covers messages that wait for proofDue as well.
func (s *session) prove(c actor.Context, mark uint64, notBefore time.Time) {
	s.mark = 0
	if mark != 0 && s.conn != nil {
		s.provedAt = supervisor.Now(c)
		c.Send(s.conn.PID, connections.ConfirmWrites{Mark: mark, NotBefore: notBefore, Reply: c.Self()})
	}
}
