package messengers

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/park"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// session carries the messages of one protocol from and to one peer. It writes on a
// substream that this node has opened (outgoing), and reads from one that the peer
// has opened (inbox), on which it never writes but the acceptance.
//
// In: takeQueued, withdraw, SubstreamOpened, SubstreamFailed, PeerDialed, WritesConfirmed,
// ProofsSettled, refusing, FinishSubstreams. Out: Sent, the Receiver's messages (from the reader task), DialPeer,
// CancelDial, OpenSubstream, ConfirmWrites, SubstreamsFinished, PeerViolated, CloseConn,
// retired, returned. It never restarts: its open sends end InDoubt or Failed with it.
type session struct {
	room     *Room
	protocol *Messaging
	peer     identity.NodeID

	out outgoing
	in  inbox // the peer's substreams

	outcomes         supervisor.Bundle // collects outcomes; empty between two messages
	refusalsReported int               // refused substreams that room.notTaken has of the peer
	acceptedReported bool              // a message was proven, and room.notTaken has the peer no more

	drain    *sessionDrain
	retired  bool
	idleTime *supervisor.Timer
}

type sessionDrain struct{ reply *actor.PID }

const idleLimit = 30 * time.Second // a session with nothing to do ends after this

type idleTick struct{}

// newSession makes the actor that carries the messages of one protocol from and
// to one peer.
func newSession(m *Messaging, peer identity.NodeID, account *outAccount, handling *credit.Account) actor.Actor {
	s := &session{room: m.room, protocol: m, peer: peer}
	s.in.account = handling
	s.out = newOutgoing(m, peer, account, s)
	return s
}

func (s *session) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		self := c.Self()
		supervisor.OwnFunc(c, func() { s.out.abandon(self, &s.outcomes) })
		s.in.start(s.protocol, s.peer)
		s.out.queue.attach(self)
		s.out.take(c)
		s.checkIdle(c)
	case takeQueued:
		if !s.retired { // else messengers looks at the queue
			s.out.take(c)
		}
	case actors.SubstreamOpened:
		switch {
		case m.Direction == protocol.Outbound:
			s.out.opened(c, m)
		case s.retired:
			c.Send(s.protocol.PID, returned{s.peer, m}) // it starts a new session
		default:
			s.busy()
			s.in.opened(c, m)
		}
	case withdraw:
		if s.retired { // the message was returned as well
			c.Send(s.protocol.PID, returned{s.peer, m})
			return
		}
		s.out.withdrawn(c, m.ID)
	case connections.FinishSubstreams:
		s.out.end(c, m)
	case lateTick:
		s.in.giveUp()
	case supervisor.TaskDone:
		s.taskDone(c, m)
	case refusing:
		if s.protocol.refuses() { // a handler may have come since
			s.in.refuse()
		}
	case readerBlocked:
		s.in.blocked(c)
	case stallTick:
		s.in.stalled(c)
	case readerTick:
		s.in.tick(c)
	case park.Arrival:
		if !s.out.heard(c, m) {
			s.in.heard(c, m)
		}
	case supervisor.Drain:
		s.beginDrain(c, m)
	case idleTick:
		s.idleTime = nil
		s.retire(c)
	default:
		if !s.out.receive(c) {
			supervisor.Unhandled(c)
		}
	}
}

// settled reports the outcomes of messages.
func (s *session) settled(all []messaging.Settled[*Enqueue]) {
	s.tellTaken(all)
	settleAll(all, &s.outcomes)
	clear(all)
}

// busy stops the idle timer: there is something to do.
func (s *session) busy() {
	if s.idleTime != nil {
		s.idleTime.Stop()
		s.idleTime = nil
	}
}

// stepped goes on after a step of outgoing.
func (s *session) stepped(c actor.Context) {
	s.tellNotTaken(c)
	s.goOn(c)
}

// goOn ends a drain when nothing is left to wait for. If the session has nothing to do, it
// starts the idle timer.
func (s *session) goOn(c actor.Context) {
	if s.drain != nil && s.drain.reply != nil && s.out.drained() && s.in.readAll() {
		c.Send(s.drain.reply, supervisor.Drained{From: c.Self()})
		s.drain.reply = nil
	}
	s.checkIdle(c)
}

func (s *session) taskDone(c actor.Context, m supervisor.TaskDone) {
	s.in.acceptDone(c, m)
	if !s.out.taskDone(c, m) && s.in.readerDone(c, m) {
		s.goOn(c)
	}
}

// lateShare is the part of the time of a drain, 1/8, in which the reader no longer waits for
// credit or for the handler, and counts what is left.
const lateShare = 8

// beginDrain makes the session wait for the outcomes of all accepted messages, and then
// end its substream. It also waits until everything is read that had arrived.
func (s *session) beginDrain(c actor.Context, m supervisor.Drain) {
	s.drain = &sessionDrain{reply: c.Sender()}
	s.in.stop(c, m.Deadline.Add(-m.Deadline.Sub(supervisor.Now(c))/lateShare))
	s.out.drain(c, !s.retired) // what a retired one has in its queue is for the next
}

// checkIdle starts the idle timer if the session has nothing to do.
func (s *session) checkIdle(c actor.Context) {
	if s.idleTime == nil && !s.retired && s.idle() {
		s.idleTime = supervisor.After(c, idleLimit, idleTick{})
	}
}

func (s *session) idle() bool { return s.out.idle() && s.in.idle() && s.drain == nil }

func (s *session) retire(c actor.Context) {
	switch {
	case s.retired || !s.idle():
	case s.in.handled(): // not before, or the account that handlers still draw on would be lost
		s.retired = true
		c.Send(s.protocol.PID, retired{s.peer, c.Self()})
	default:
		s.checkIdle(c)
	}
}

func (s *session) String() string { return s.out.String() + s.in.String() }
