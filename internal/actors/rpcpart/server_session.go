package rpcpart

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/park"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/internal/share"
	"github.com/gamelan-p2p/gamelan/internal/units"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// serverSession is the actor of a session of a peer with a service of this node. Its tasks
// do the work: see servedSession. The actor owns the substream, starts another reading
// task while a slow method runs, and watches the time limits. While nothing comes for some
// seconds, no task runs: see [park.Parker].
//
// In: messages of its tasks, Arrival, splitCall, serviceStopped, makesWay, Drain. Out: accepted,
// methodFailed, stopService, sessionGone. It never restarts: the client opens another
// session.
type serverSession struct {
	serving *servedSession
	handed  *supervisor.Handover[protocol.Stream]
	credit  *inboundCredit // of all sessions of the peer

	tasks   int
	readers int
	timer   *supervisor.Timer
	wakeAt  time.Time
	restAt  *supervisor.Timer
	drain   *actor.PID // receives Drained when the accepted calls have ended; nil: no drain
	leaves  bool       // the orderly end has begun
	err     error      // why the session ended
}

type (
	// splitCall reports that the call is slow: another task has to read.
	splitCall struct{ call uint64 }
	// accepted tells rpc that a handshake has succeeded.
	accepted struct{ who *actor.PID }
	// stopService tells rpc that the panic policy of a service stops it. serviceStopped
	// tells the sessions of the service that it has stopped.
	stopService    struct{ service *registered }
	serviceStopped struct{}
	// makesWay tells a session that it has left: see makeWay.
	makesWay   struct{}
	machineDue struct{}
	lateAnswer struct{}
	leaveOver  struct{}
	restDue    struct{}
)

// restEvery is the interval of restDue. A session in which nothing comes gives its goroutine
// back after one to two intervals.
const restEvery = 2 * time.Second

func newServerSession(e *Calls, service *registered, account *inboundCredit, m actors.SubstreamOpened) *serverSession {
	return &serverSession{
		handed: m.Stream, credit: account,
		serving: &servedSession{
			shared: e, service: service, origin: actors.Origin{Peer: m.Peer, Conn: m.Conn.ID}, conn: m.Conn, since: e.trunk.Now(),
			caller: rpc.Caller{Peer: m.Peer, Key: m.Key}, account: account, holder: holder{Source: share.Source(m.Conn.Origin()), Key: m.Peer},
		},
	}
}

func (a *serverSession) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.start(c)
	case handshakeOver:
		c.Send(a.serving.shared.Server, accepted{c.Self()})
		a.due(c)
		a.restLater(c)
	case restDue:
		a.rest(c)
	case park.Arrival:
		if a.serving.parker.Arrives() {
			a.wake(c)
		}
	case methodRuns:
		a.split(c, m.call)
	case splitCall:
		a.split(c, m.call)
	case machineDue: // of the timer, or of a call whose time is over before
		if a.timer != nil {
			a.timer.Stop()
			a.timer = nil
		}
		a.due(c)
	case callRuns:
		a.task(c, "call", func(ctx context.Context) error { return a.serving.many.runs(ctx, m.call) })
	case callAsks:
		a.task(c, "memory", func(context.Context) error { a.serving.many.wants(m.call); return nil })
	case restOfFrames:
		a.task(c, "write", func(context.Context) error { return a.serving.many.gather.all() })
	case leaveOver:
		a.serving.end()
	case methodFailed:
		m.peer, m.id = a.serving.caller.Peer, a.serving.service.Protocol
		supervisor.Log(c).Debug("method failed", "peer", m.peer, "proto", m.id, "method", m.method.String(), "err", m.err)
		c.Send(a.serving.shared.Server, m)
	case methodPanicked:
		s := a.serving
		s.shared.panicked(s.service, s.caller.Peer, s.origin.Conn, m)
	case serviceStopped:
		a.close(c)
	case supervisor.Drain:
		a.drain = c.Sender()
		a.close(c)
	case callsOver, makesWay:
		a.leave(c)
	case supervisor.Done[lateAnswer]:
		a.answeredLate(c, m.Err)
	case supervisor.TaskDone:
		a.taskEnded(c, m.Err)
	default:
		supervisor.Unhandled(c)
	}
}

func (a *serverSession) start(c actor.Context) {
	s := a.serving
	taken, ok := a.handed.Take()
	a.handed = nil
	if !ok {
		a.ended(c)
		return
	}
	stream, ok := taken.(park.Stream)
	if !ok || !s.begin(taken) {
		taken.Close()
		a.ended(c)
		return
	}
	s.tell = supervisor.Teller(c)
	s.parker = park.New(c, "serve", stream)
	s.in = newFrameReader(s.shared, a.credit, stream)
	supervisor.OwnFunc(c, s.end)
	a.task(c, "serve", s.serve)
}

func (a *serverSession) task(c actor.Context, name string, f func(context.Context) error) {
	a.tasks++
	supervisor.Go(c, name, nil, f)
}

// split starts another task that reads while a method runs.
func (a *serverSession) split(c actor.Context, call uint64) {
	if a.serving.takeOver(call) {
		a.read(c)
		a.due(c)
	}
}

func (a *serverSession) read(c actor.Context) {
	a.readers++
	read := a.serving.read
	if many := a.serving.carries(); many != nil {
		read = many.read
	}
	a.task(c, fmt.Sprintf("read-%d", a.readers), read)
}

func (a *serverSession) restLater(c actor.Context) {
	a.restAt = supervisor.After(c, restEvery, restDue{})
}

// rest interrupts a reading task that has waited since the last restDue. The task then parks
// the substream.
func (a *serverSession) rest(c actor.Context) {
	if p := a.serving.parker; !a.leaves && !p.Parked() {
		p.Interrupt()
		a.restLater(c)
	}
}

// wake starts a task that reads a parked substream.
func (a *serverSession) wake(c actor.Context) {
	a.serving.parker.Unpark()
	a.serving.stream.SetReadDeadline(time.Time{})
	a.read(c)
	a.restAt.Stop()
	a.restLater(c)
}

// due checks the time limits: the deadline of the call, the time in which the client must
// read a response, and the idle time.
func (a *serverSession) due(c actor.Context) {
	s := a.serving
	now := supervisor.Now(c)
	if many := s.carries(); many != nil {
		next, left := many.due(now, s.shared.Idle) // a service of the node itself has one call a session
		if left {
			a.leave(c)
			return
		}
		a.dueAt(c, next)
		return
	}
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return
	}
	answer, send, next, err := s.machine.Due(now)
	s.dropQueued()
	left := s.left() // with ErrIdle, and under the same lock
	if send && s.cancel != nil {
		s.cancel(errExpired)
	}
	s.mu.Unlock()
	switch {
	case left:
		a.leave(c)
		return
	case err != nil:
		a.err = err
		s.end()
		return
	case send:
		frame := onecall.AppendResponse(nil, answer)
		a.tasks++
		supervisor.Do(c, "answer", func(context.Context) (lateAnswer, error) { return lateAnswer{}, s.write(frame) })
	}
	a.dueAt(c, next)
}

// dueAt has due called at a time, unless it is called before.
func (a *serverSession) dueAt(c actor.Context, next time.Time) {
	if next.IsZero() || a.timer != nil && !next.Before(a.wakeAt) {
		return // the present timer comes earlier, and due runs again then
	}
	if a.timer != nil {
		a.timer.Stop()
	}
	a.wakeAt = next
	a.timer = supervisor.At(c, next, machineDue{})
}

// answeredLate handles the end of the write of a response that a deadline has caused.
func (a *serverSession) answeredLate(c actor.Context, err error) {
	if s := a.serving; err == nil {
		s.wrote()
		s.mu.Lock()
		left := s.left()
		s.mu.Unlock()
		if left {
			a.leave(c)
		}
	}
	a.taskEnded(c, err)
}

// close ends the session in order when the accepted calls have ended.
func (a *serverSession) close(c actor.Context) {
	if a.serving.close() {
		a.leave(c)
	}
}

// leave ends the session in order, once. It waits for the client's end for at most
// [connections.FinishLimit], even if the client is in the middle of a frame.
func (a *serverSession) leave(c actor.Context) {
	if a.drain != nil {
		c.Send(a.drain, supervisor.Drained{From: c.Self()})
		a.drain = nil
	}
	if a.leaves {
		return
	}
	a.leaves = true
	s := a.serving
	if a.parked() { // a task must see the client's end
		a.wake(c)
	}
	a.tasks++
	supervisor.Go(c, "leave", nil, func(context.Context) error { s.leave(); return nil })
	supervisor.After(c, connections.FinishLimit, leaveOver{})
}

// taskEnded handles the end of a task. The actor ends with its last task, unless that has parked
// the substream. So a method that does not return still counts as a session.
func (a *serverSession) taskEnded(c actor.Context, err error) {
	a.tasks--
	if errors.Is(err, park.ErrParked) {
		if a.serving.parker.ParkedNow() || a.leaves {
			a.wake(c)
		}
		return
	}
	if err != nil {
		if a.err == nil && !errors.Is(err, errRefused) {
			a.err = err
		}
		a.serving.end()
	}
	if a.tasks == 0 && !a.parked() {
		a.ended(c)
	}
}

// parked reports whether the substream waits without a task.
func (a *serverSession) parked() bool {
	return a.serving.parker != nil && a.serving.parker.Parked()
}

func (a *serverSession) ended(c actor.Context) {
	if a.err != nil {
		supervisor.Log(c).Debug("rpc session ended", "peer", a.serving.caller.Peer, "proto", a.serving.service.Protocol, "err", a.err)
	}
	c.Send(a.serving.shared.Server, sessionGone{c.Self()})
}

// SessionStats is the statistics of a session, at either end, for the tree and the
// inspector.
type SessionStats struct {
	Protocol protocol.ID `json:"protocol"`
	Since    time.Time   `json:"since"`
	Calls    uint64      `json:"calls"`
	Running  int         `json:"running,omitempty"` // calls, if the session carries many
	Most     int         `json:"most,omitempty"`    // … that it may carry at once; 0: one
	Method   uint32      `json:"method,omitempty"`  // of the running call, or of the one that runs longest
	Began    time.Time   `json:"began,omitzero"`    // when the running call began
	Deadline time.Time   `json:"deadline,omitzero"`
	BytesIn  uint64      `json:"bytes_in"`
	BytesOut uint64      `json:"bytes_out"`
}

func (s *servedSession) stats() SessionStats {
	st := SessionStats{
		Protocol: s.service.Protocol, Since: s.since,
		BytesIn: s.bytesIn.Load(), BytesOut: s.bytesOut.Load(),
	}
	if many := s.carries(); many != nil {
		many.stats(&st)
		return st
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.machine != nil {
		st.Calls = s.machine.Calls()
		if call, running, _ := s.machine.Running(); running {
			st.Method, st.Began, st.Deadline = call.Method, call.Began, call.Deadline
		}
	}
	return st
}

// Inspect returns the statistics of the session.
func (a *serverSession) Inspect() any { return a.serving.stats() }

func (a *serverSession) String() string { return a.serving.stats().text(a.serving.shared.trunk.Now()) }

// text returns the statistics in one line.
func (st SessionStats) text(now time.Time) string {
	s := fmt.Sprintf("%s, age %s, %d calls, in %s, out %s", st.Protocol, now.Sub(st.Since).Round(time.Second), st.Calls, units.Bytes(st.BytesIn), units.Bytes(st.BytesOut))
	if st.Most > 0 {
		s += fmt.Sprintf(", %d of %d at once", st.Running, st.Most)
	}
	if !st.Began.IsZero() {
		s += fmt.Sprintf(", method %d for %s", st.Method, now.Sub(st.Began).Round(time.Millisecond))
		if !st.Deadline.IsZero() {
			s += fmt.Sprintf(", deadline in %s", st.Deadline.Sub(now).Round(time.Second))
		}
	}
	return s
}
