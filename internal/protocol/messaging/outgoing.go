package messaging

import (
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// Outgoing is the machine for the substreams that this node opens to one peer, one after the
// other. Its [Outbox] decides what becomes of messages. Outgoing adds which answer counts,
// when a proof is asked for, when what the writer has pulled is collected, and how a substream
// ends in order. It is not safe for concurrent use.
//
//	            Opened             Wrote               StartPull
//	opening -----------> [writing] <----> [everything ------------> [the writer
//	                                       written]   <------------  pulls]
//	                         |                 |      PullStopped      |
//	                         +--------+--------+----------------------+
//	                                  | Finish, or Drain and nothing is open
//	                                  v
//	                            [finishing] --- all is proven: Fin ---> [FIN sent]
//	                                  |                                     |
//	                                  +------------- Ended -----------------+---> idle
//
// With Drain, FIN is sent when all messages have ended. In each state of an open substream, Ended
// and a failed write lead back as well: to idle, and from there to what the [Outbox] says.
//
// A proof is asked for at once if a caller waits for an outcome, if the substream is about to
// end, if it has to wait for the acceptance anyway, or if the last request was
// Options.ProofDelay ago, or Options.LoneDelay if what the writer has pulled came alone.
// Otherwise ProofDue asks, also for what is written until then: one ping proves it all.
type Outgoing[T any] struct {
	box   *Outbox[T]
	o     Options
	count uint64

	request   uint64 // Dial or Open under way; 0: none
	dial      bool   // it is a Dial
	cancelled bool   // … that is not needed any more

	provedAt time.Time // when a proof was last asked for
	mark     uint64    // to be proven when ProofDue comes; 0: nothing
	due      time.Time // when ProofDue is to come; zero: it is not
	urgent   bool      // a caller waits for the outcome of a message of the last write

	finish   finish
	draining bool // nothing more will be queued, and the last substream ends when all messages have ended
}

// finish is the orderly end of a substream.
type finish uint8

const (
	notFinishing finish = iota
	finishing           // nothing more is written; FIN follows the proof of what is
	finSent
)

// Actions are what the caller has to carry out after an event of an [Outgoing].
type Actions[T any] struct {
	Effects[T] // Prove only when it is time

	Request uint64 // number of the Dial, Open or Cancel
	Cancel  bool   // the Dial under way is not needed any more
	// ProofDue says when to call ProofDue; zero: it is not called, or an earlier time stands.
	ProofDue time.Time
	Collect  bool // call WrotePulled with what the writer has pulled and written
	StopPull bool // take the queue back from the writer, queue what is left, and call PullStopped
	Fin      bool // end this half of the substream
	Finished bool // the orderly end is over
}

// NewOutgoing returns a machine without a substream.
func NewOutgoing[T any](o Options) *Outgoing[T] {
	m := &Outgoing[T]{box: NewOutbox[T](o), o: o.withDefaults()}
	if m.o.NewID == nil {
		m.o.NewID = func() uint64 { m.count++; return m.count }
	}
	return m
}

// Len returns the number of messages whose outcome is open, without those that only the
// writer knows.
func (m *Outgoing[T]) Len() int { return m.box.Len() }

// Unproven returns the number of messages written and not yet proven read.
func (m *Outgoing[T]) Unproven() int { return m.box.Unproven() }

// Idle reports whether nothing is queued and no substream is wanted or open.
func (m *Outgoing[T]) Idle() bool { return m.box.Idle() }

// State returns the name of the state, for people.
func (m *Outgoing[T]) State() string { return m.box.State() }

// Pulling reports whether the writer pulls.
func (m *Outgoing[T]) Pulling() bool { return m.box.Pulling() }

// EndedByPeer is [Outbox.EndedByPeer].
func (m *Outgoing[T]) EndedByPeer() (times int, err error) { return m.box.EndedByPeer() }

// ExpiredOutcome is [Outbox.ExpiredOutcome].
func (m *Outgoing[T]) ExpiredOutcome(taken bool) protocol.Outcome { return m.box.ExpiredOutcome(taken) }

// Awaits reports whether this is the number of the Dial or Open under way. The caller reports
// no other answer.
func (m *Outgoing[T]) Awaits(request uint64) bool { return request != 0 && request == m.request }

// FinSent reports whether this node has ended its half.
func (m *Outgoing[T]) FinSent() bool { return m.finish == finSent }

// Drained reports whether everything that Drain has to wait for is over.
func (m *Outgoing[T]) Drained() bool {
	return m.draining && m.box.Len() == 0 && !m.box.pulling && !m.box.living()
}

// Queued is [Outbox.Queued].
func (m *Outgoing[T]) Queued(now time.Time, e Entry[T]) Actions[T] {
	return m.actions(now, m.box.Queued(now, e))
}

// Withdrawn is [Outbox.Withdrawn].
func (m *Outgoing[T]) Withdrawn(now time.Time, id uint64) Actions[T] {
	return m.actions(now, m.box.Withdrawn(now, id))
}

// Dialled is [Outbox.Dialled].
func (m *Outgoing[T]) Dialled(now time.Time, reason protocol.Reason, err error) Actions[T] {
	m.answered()
	return m.actions(now, m.box.Dialled(now, reason, err))
}

// NotTaken is [Outbox.NotTaken].
func (m *Outgoing[T]) NotTaken(now time.Time, err error) Actions[T] {
	m.answered()
	return m.actions(now, m.box.NotTaken(now, err))
}

// DialCancelled is [Outbox.DialCancelled].
func (m *Outgoing[T]) DialCancelled(now time.Time) Actions[T] {
	m.answered()
	return m.actions(now, m.box.DialCancelled(now))
}

// ConnectionGone is [Outbox.ConnectionGone].
func (m *Outgoing[T]) ConnectionGone(now time.Time, err error) Actions[T] {
	m.answered()
	return m.actions(now, m.box.ConnectionGone(now, err))
}

// Opened is [Outbox.Opened].
func (m *Outgoing[T]) Opened(now time.Time, answer Acceptance) Actions[T] {
	m.answered()
	return m.actions(now, m.box.Opened(now, answer))
}

// Accepted is [Outbox.Accepted].
func (m *Outgoing[T]) Accepted(now time.Time) Actions[T] {
	return m.actions(now, m.box.Accepted(now))
}

// OpenFailed is [Outbox.OpenFailed].
func (m *Outgoing[T]) OpenFailed(now time.Time, reason protocol.Reason, err error) Actions[T] {
	m.answered()
	return m.actions(now, m.box.OpenFailed(now, reason, err))
}

// OpenReset is [Outbox.OpenReset].
func (m *Outgoing[T]) OpenReset(now time.Time, err error) Actions[T] {
	m.answered()
	return m.actions(now, m.box.OpenReset(now, err))
}

// Wrote is [Outbox.Wrote]. If all went well and nothing waits, StartPull is next.
func (m *Outgoing[T]) Wrote(now time.Time, started int, err error, noConn bool) Actions[T] {
	return m.actions(now, m.box.Wrote(now, started, err, noConn))
}

// StartPull is [Outbox.StartPull]. The writer does not pull on a substream that is to end, nor
// while the caller drains.
func (m *Outgoing[T]) StartPull() bool { return !m.draining && m.box.StartPull() }

// PulledSome reports that the writer has written messages that it has pulled. Soon says that
// there were several or a large one, that a caller waits for one, or that the writer pulls no more; otherwise
// they are collected together with those written within Options.LoneDelay.
func (m *Outgoing[T]) PulledSome(now time.Time, soon bool) (a Actions[T]) {
	next := m.provedAt.Add(m.o.LoneDelay)
	if a.Collect = soon || m.ends() || !now.Before(next); !a.Collect {
		m.plan(&a, next)
	}
	return a
}

// WrotePulled is [Outbox.WrotePulled].
func (m *Outgoing[T]) WrotePulled(now time.Time, entries []Entry[T], started int, err error, noConn bool) Actions[T] {
	m.begins(entries)
	return m.actions(now, m.box.WrotePulled(now, entries, started, err, noConn))
}

// PullStopped is [Outbox.PullStopped]. Before, the caller has queued what was left in its queue:
// with Drain nothing may come later.
func (m *Outgoing[T]) PullStopped(now time.Time) Actions[T] {
	return m.actions(now, m.box.PullStopped(now))
}

// ProofDue reports that the time of Actions.ProofDue has come, with what the writer has pulled
// and written until now.
func (m *Outgoing[T]) ProofDue(now time.Time, pulled []Entry[T]) Actions[T] {
	m.due, m.urgent = time.Time{}, m.urgent || len(pulled) > 0
	a := m.actions(now, m.box.WrotePulled(now, pulled, len(pulled), nil, false))
	m.askDelayed(now, &a)
	return a
}

// Proven is [Outbox.Proven].
func (m *Outgoing[T]) Proven(now time.Time, mark uint64) Actions[T] {
	return m.actions(now, m.box.Proven(now, mark))
}

// Ended is [Outbox.Ended].
func (m *Outgoing[T]) Ended(now time.Time, err error, noConn bool) Actions[T] {
	over := m.finish != notFinishing
	m.finish = notFinishing
	a := m.actions(now, m.box.Ended(now, err, noConn))
	a.Finished = a.Finished || over
	return a
}

// StopWriting is [Outbox.StopWriting].
func (m *Outgoing[T]) StopWriting() (a Actions[T]) {
	m.box.StopWriting()
	a.StopPull = m.box.pulling
	return a
}

// Finish ends the substream in order: nothing more is written on it, and FIN follows the proof
// of what is. It is called while the substream is open.
func (m *Outgoing[T]) Finish(now time.Time) Actions[T] {
	if m.finish == notFinishing {
		m.finish = finishing
	}
	a := m.StopWriting()
	m.askDelayed(now, &a)
	m.proceed(&a)
	return a
}

// Drain has the last substream end when all messages have ended. The caller queues what it has
// left, and nothing later.
func (m *Outgoing[T]) Drain(now time.Time) (a Actions[T]) {
	m.draining = true
	a.StopPull = m.box.pulling
	m.askDelayed(now, &a)
	m.proceed(&a)
	return a
}

// Due is [Outbox.Due].
func (m *Outgoing[T]) Due(now time.Time) Actions[T] { return m.actions(now, m.box.Due(now)) }

// Close is [Outbox.Close].
func (m *Outgoing[T]) Close(reason protocol.Reason, err error) Effects[T] {
	return m.box.Close(reason, err)
}

func (m *Outgoing[T]) answered() { m.request, m.cancelled = 0, false }

// actions adds to the effects of the outbox what this machine decides.
func (m *Outgoing[T]) actions(now time.Time, f Effects[T]) Actions[T] {
	a, next := Actions[T]{Effects: f}, m.provedAt.Add(m.o.ProofDelay)
	switch {
	case f.Ping:
		m.provedAt = now
	case f.Prove == 0:
	case m.urgent, m.ends(), f.NotBefore.After(now), !now.Before(next):
		m.asked(now)
	default:
		m.mark, a.Prove = f.Prove, 0
		m.plan(&a, next)
	}
	if f.Drop {
		m.mark = 0
		a.Finished = m.finish != notFinishing
		m.finish = notFinishing
	}
	if len(f.Write) > 0 {
		m.begins(f.Write)
	}
	if f.Dial || f.Open {
		m.request, m.dial, m.cancelled = m.o.NewID(), f.Dial, false
		a.Request = m.request
	}
	if m.request != 0 && m.dial && !m.cancelled && m.box.Len() == 0 {
		m.cancelled, a.Cancel, a.Request = true, true, m.request
	}
	m.proceed(&a)
	return a
}

// proceed takes the next step of an orderly end.
func (m *Outgoing[T]) proceed(a *Actions[T]) {
	drained := m.draining && m.finish == notFinishing && m.box.Len() == 0 && m.box.living() && !m.box.pulling
	if drained || m.finish == finishing && m.box.Quiet() {
		m.box.StopWriting()
		m.finish, a.Fin = finSent, true
	}
}

// begins notes whether a caller waits for a message of a write.
func (m *Outgoing[T]) begins(entries []Entry[T]) {
	for i := range entries {
		if m.urgent = entries[i].Urgent; m.urgent {
			return
		}
	}
}

// ends reports whether the substream is about to end.
func (m *Outgoing[T]) ends() bool { return m.draining || m.finish != notFinishing }

// asked notes that a proof is asked for now. It covers what waits for ProofDue as well.
func (m *Outgoing[T]) asked(now time.Time) { m.provedAt, m.mark = now, 0 }

// askDelayed asks for the proof that waits for ProofDue.
func (m *Outgoing[T]) askDelayed(now time.Time, a *Actions[T]) {
	if m.mark != 0 {
		a.Prove = m.mark
		m.asked(now)
	}
}

// plan has ProofDue come at a time, unless it is to come sooner, and in place of a later one.
func (m *Outgoing[T]) plan(a *Actions[T], at time.Time) {
	if m.due.IsZero() || at.Before(m.due) {
		m.due, a.ProofDue = at, at
	}
}
