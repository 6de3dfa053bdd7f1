package messengers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/park"
	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// session carries the messages of one protocol from and to one peer. It writes on a
// substream that this node has opened ("our substream"), and reads from one that the peer
// has opened, on which it never writes. The machine messaging.Outbox decides what to do
// with the messages to the peer.
//
// In: takeQueued, withdraw, SubstreamOpened, SubstreamFailed, PeerDialed, WritesConfirmed,
// ProofsSettled, refusing, FinishSubstreams. Out: Sent, the Receiver's messages (from the reader task), DialPeer,
// CancelDial, OpenSubstream, ConfirmWrites, SubstreamsFinished, PeerViolated, CloseConn,
// retired, returned. It never restarts: its open sends end InDoubt or Failed with it.
type session struct {
	room     *Room
	protocol *Messaging
	peer     identity.NodeID
	account  *outAccount
	queue    *sendQueue // of account

	out      *messaging.Outbox[*Enqueue]
	dialing  uint64            // token of the DialPeer or OpenSubstream under way
	asked    bool              // the request under way went to the dialer
	limit    *supervisor.Timer // timer of the request under way; nil: none runs
	conn     *actors.ConnRef
	stream   protocol.Stream // our substream; nil if none
	detach   func()          // gives up the ownership of stream
	endWatch *park.Parker    // waits for the acceptance and the end of stream
	accept   *acceptance     // of stream
	gen      uint64          // number of our substream
	ended    error           // how our substream has ended; nil: it has not

	writer   writer
	urgent   bool      // a caller waits for the outcome of a message in the last batch
	mark     uint64    // to be proven when proofDue comes; 0: nothing
	planned  bool      // proofDue is to come
	provedAt time.Time // when a proof was last asked for

	outcomes         supervisor.Bundle // collects outcomes; empty between two messages
	refusalsReported int               // refused substreams that room.notTaken has of the peer
	acceptedReported bool              // a message was proven, and room.notTaken has the peer no more

	in inbox // the peer's substreams

	left     uint64 // number of the connection whose peer confirms nothing more; 0: none
	finish   *finishing
	drain    *sessionDrain
	retired  bool
	idleTime *supervisor.Timer
}

// finishing is the orderly end of our substream on a connection.
type finishing struct {
	conn  uint64
	reply *actor.PID
	fin   bool // our FIN was sent
}

type sessionDrain struct{ reply *actor.PID }

const idleLimit = 30 * time.Second // a session with nothing to do ends after this

type (
	finSent  struct{}
	dialWait struct{ token uint64 }
	openWait struct{ token uint64 }
	outDue   struct{}
	proofDue struct{}
	idleTick struct{}

	finTimeout struct{ gen uint64 }
)

// newSession makes the actor that carries the messages of one protocol from and
// to one peer.
func newSession(m *Messaging, peer identity.NodeID, account *outAccount) actor.Actor {
	return &session{
		room: m.room, protocol: m, peer: peer, account: account, queue: &account.queue,
		writer: writer{queue: &account.queue},
		out:    messaging.NewOutbox[*Enqueue](messaging.Options{MaxBody: m.room.Profile.Limits.MessageBody}),
	}
}

func (s *session) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		self := c.Self()
		supervisor.OwnFunc(c, func() { s.abandon(self) })
		s.in.start(s.protocol, s.peer)
		s.queue.attach(self)
		s.take(c)
		s.checkIdle(c)
	case takeQueued:
		s.take(c)
	case connections.WritesConfirmed:
		if s.conn != nil && m.Conn == s.conn.ID && m.Asker == c.Self() && !s.endedBefore(m.Pong) {
			s.do(c, s.out.Proven(supervisor.Now(c), m.Mark))
		}
	case wrote:
		s.wrote(c, m)
	case wroteSome:
		s.wroteSome(c, m)
	case proofDue:
		s.due(c)
	case writerTick:
		if s.writer.tick(c, m, s.out.Pulling()) {
			s.do(c, s.out.PullStopped(supervisor.Now(c)))
		}
	case dialling.PeerDialed:
		s.dialed(c, m)
	case actors.SubstreamOpened:
		switch {
		case m.Direction == protocol.Outbound:
			s.opened(c, m)
		case s.retired:
			c.Send(s.protocol.PID, returned{s.peer, m}) // it starts a new session
		default:
			s.touched()
			s.in.opened(c, m)
		}
	case connections.SubstreamFailed:
		s.openFailed(c, m)
	case dialWait:
		if m.token == s.dialing {
			s.cancelDial(c)
			s.dialed(c, dialling.PeerDialed{Token: m.token, Peer: s.peer, Err: actors.ErrNoAnswer})
		}
	case openWait:
		if m.token == s.dialing {
			s.openFailed(c, connections.SubstreamFailed{Token: m.token, Err: actors.ErrNoAnswer})
		}
	case acceptanceCame:
		s.accepted(c, m)
	case acceptanceDue:
		if m.gen == s.gen && !s.accept.come {
			s.streamEnded(c, actors.ErrNoAnswer)
		}
	case outDue:
		s.do(c, s.out.Due(supervisor.Now(c)))
	case withdraw:
		if s.retired { // the message was returned as well
			c.Send(s.protocol.PID, returned{s.peer, m})
			return
		}
		s.withdrawn(c, m)
	case connections.FinishSubstreams:
		s.beginFinish(c, m)
	case supervisor.Done[finSent]:
		// The watch task reports the peer's end of the substream, also after a failed FIN.
	case connections.ProofsSettled:
		if m.Gen == s.gen && s.stream != nil {
			s.streamEnded(c, actors.ErrPeerStops)
		}
	case lateTick:
		s.in.giveUp()
	case finTimeout:
		if m.gen == s.gen {
			s.streamEnded(c, actors.ErrNoAnswer)
		}
	case supervisor.TaskDone:
		s.taskDone(c, m)
	case refusing:
		s.in.refuse()
	case readerBlocked:
		s.in.blocked(c)
	case stallTick:
		s.in.stalled(c)
	case readerTick:
		s.in.tick(c)
	case park.Arrival:
		s.heard(c, m)
	case supervisor.Drain:
		s.beginDrain(c, m)
	case idleTick:
		s.idleTime = nil
		s.retire(c)
	default:
		supervisor.Unhandled(c)
	}
}

// do carries out the effects of the outbox.
func (s *session) do(c actor.Context, f messaging.Effects[*Enqueue]) {
	s.tellTaken(f.Settled)
	settleAll(f.Settled, &s.outcomes)
	clear(f.Settled)
	if f.Drop {
		s.drop(c)
	}
	if f.Prove != 0 {
		s.proveSoon(c, f.Prove, f.NotBefore)
	}
	if f.Ping && s.conn != nil {
		s.provedAt = supervisor.Now(c)
		c.Send(s.conn.PID, connections.ConfirmWrites{Reply: c.Self()})
	}
	if len(f.Write) > 0 {
		s.write(c, f.Write)
	}
	if f.Dial {
		s.dial(c)
	}
	if f.Open {
		s.dialing = s.room.NewID()
		m := connections.NewOpenSubstream(s.room.System, s.dialing, c.Self(), s.protocol.ID)
		m.ForMessages = true
		c.Send(s.conn.PID, m)
		s.await(c, connections.OpenLimit, openWait{s.dialing})
	}
	if !f.Wake.IsZero() {
		supervisor.At(c, f.Wake, outDue{})
	}
	if s.out.Len() == 0 { // no message needs the dial any more
		s.cancelDial(c)
	}
	s.tellNotTaken(c)
	s.goOn(c)
}

// cancelDial cancels the dial, if one is under way.
func (s *session) cancelDial(c actor.Context) {
	if s.asked {
		s.asked = false
		c.Send(s.room.Dialer, dialling.CancelDial{Peer: s.peer, Token: s.dialing, Reply: c.Self()})
	}
}

// goOn takes the next step of a finish or drain that is under way. If the session has
// nothing to do, it starts the idle timer.
func (s *session) goOn(c actor.Context) {
	if s.finish != nil && s.out.Quiet() {
		s.sendFin(c)
	}
	if s.drain != nil && s.open() == 0 {
		s.drainStep(c)
	}
	if s.out.Idle() {
		s.checkIdle(c)
	}
}

// dial asks for a connection to the peer. If there is one already, it does not ask the
// dialer, which has stopped if the node is stopping.
func (s *session) dial(c actor.Context) {
	s.dialing = s.room.NewID()
	if ref, ok := s.room.Connections.Get(s.peer); ok {
		c.Send(c.Self(), dialling.PeerDialed{Token: s.dialing, Peer: s.peer, Conn: ref, Err: s.goesAway(ref)})
		return
	}
	s.asked = true
	c.Send(s.room.Dialer, dialling.NewDialPeer(s.room.System, s.dialing, s.peer, c.Self(), s.protocol.by))
	s.await(c, dialling.DialLimit, dialWait{s.dialing})
}

// await sends tick to this actor after d, unless the answer comes before.
func (s *session) await(c actor.Context, d time.Duration, tick any) {
	s.answered()
	s.limit = supervisor.After(c, d, tick)
}

// answered stops the timer of the DialPeer or OpenSubstream under way.
func (s *session) answered() {
	if s.limit != nil {
		s.limit.Stop()
		s.limit = nil
	}
}

func (s *session) dialed(c actor.Context, m dialling.PeerDialed) {
	if m.Token != s.dialing {
		return
	}
	s.dialing, s.asked = 0, false
	s.answered()
	now := supervisor.Now(c)
	switch {
	case m.Err == nil:
		if err := s.protocol.refusal(m.Conn); err != nil {
			s.do(c, s.out.NotTaken(now, err))
			return
		}
		s.conn = m.Conn
		s.do(c, s.out.Dialled(now, protocol.ReasonNone, nil))
	case errors.Is(m.Err, actors.ErrDialCancelled):
		s.do(c, s.out.DialCancelled(now))
	case errors.Is(m.Err, actors.ErrConnectionClosed): // the dial succeeded, but its connection has ended already
		s.do(c, s.out.ConnectionGone(now, m.Err))
	default:
		s.do(c, s.out.Dialled(now, dialReason(m.Err), m.Err))
	}
}

// peerStops handles the end of our substream by a peer whose node stops, and reports whether it
// is that. A node of this library ends the half on which it writes nothing at no other time,
// unless this node has ended its own half before. Pongs that have come before count still.
func (s *session) peerStops(c actor.Context, err error) bool {
	if !errors.Is(err, io.EOF) || s.stream == nil || !s.conn.Link().Answers || s.finish != nil && s.finish.fin {
		return false
	}
	s.left = s.conn.ID
	s.out.StopWriting()
	s.stopPull(c)
	c.Send(s.conn.PID, connections.SettleProofs{Gen: s.gen, Reply: c.Self(), System: s.room.System})
	return true
}

// goesAway returns why no substream is opened on a connection: its peer stops. Messages that are
// not written fail at once, as they would without the connection.
func (s *session) goesAway(ref *actors.ConnRef) error {
	switch {
	case ref.ID != s.left:
		return nil
	case s.drain != nil:
		return fmt.Errorf("%w: %w", actors.ErrClosing, actors.ErrPeerStops)
	}
	return actors.ErrPeerStops
}

// dialReason returns the reason with which messages fail after this error of a dial.
func dialReason(err error) protocol.Reason {
	switch {
	case errors.Is(err, actors.ErrBanned):
		return protocol.Banned
	case errors.Is(err, actors.ErrUnknownPeer), errors.Is(err, actors.ErrNoAddress), errors.Is(err, actors.ErrSelf):
		return protocol.NoPeer
	case errors.Is(err, actors.ErrClosing):
		return protocol.Closed
	case errors.Is(err, upgrade.ErrHungUp):
		return protocol.Refused
	}
	return protocol.DialFailed
}

func (s *session) opened(c actor.Context, m actors.SubstreamOpened) {
	taken, ok := m.Stream.Take()
	if !ok {
		return
	}
	stream, ok := taken.(park.Stream)
	if !ok || m.Token != s.dialing {
		taken.Close()
		return
	}
	s.dialing = 0
	s.answered()
	s.conn, s.stream, s.ended = m.Conn, stream, nil
	s.detach = supervisor.Own(c, stream)
	s.gen++
	s.endWatch = park.New(c, watchName(s.gen), stream)
	s.accept = newAcceptance(s.gen, m.Protocol, connections.AgreementOf(m).Answer)
	s.listen(c)
	if connections.AgreementOf(m).Answer == messaging.Awaited {
		supervisor.After(c, acceptLimit, acceptanceDue{s.gen})
	}
	s.do(c, s.out.Opened(supervisor.Now(c), connections.AgreementOf(m).Answer))
}

func watchName(gen uint64) string { return fmt.Sprintf("watch-%d", gen) }

// listen starts a task that makes the parker report the next arrival on our substream. If
// the end has come already, the task returns it.
func (s *session) listen(c actor.Context) {
	watcher, accept := s.endWatch, s.accept
	supervisor.Go(c, watchName(s.gen), watcher, func(ctx context.Context) error {
		watcher.Listen()
		watcher.Stream.SetReadDeadline(park.Expired)
		err := accept.watch(ctx, watcher.Stream)
		watcher.Stream.SetReadDeadline(time.Time{})
		if transport.IsTimeout(err) {
			return watcher.Park()
		}
		return err
	})
}

// heard handles an arrival: the end of our substream, or bytes on the peer's.
func (s *session) heard(c actor.Context, m park.Arrival) {
	if m.Name != watchName(s.gen) {
		s.in.heard(c, m)
		return
	}
	if s.stream != nil && s.endWatch.Arrives() {
		s.watch(c)
	}
}

func (s *session) watch(c actor.Context) {
	s.endWatch.Unpark()
	if !s.accept.come {
		s.listen(c)
		return
	}
	stream, accept := s.stream, s.accept
	supervisor.Go(c, watchName(s.gen), s.endWatch, func(ctx context.Context) error { return accept.watch(ctx, stream) })
}

func (s *session) openFailed(c actor.Context, m connections.SubstreamFailed) {
	if m.Token != s.dialing {
		return
	}
	s.dialing = 0
	s.answered()
	now := supervisor.Now(c)
	switch {
	case m.ConnectionLost: // the directory removes the connection now or in a moment
		s.do(c, s.out.ConnectionGone(now, m.Err))
	case errors.Is(m.Err, mux.ErrReset):
		s.do(c, s.out.OpenReset(now, m.Err))
	default:
		err := m.Err
		if refusedProtocol(err) && s.conn != nil {
			err = s.protocol.declined(s.conn, err)
		}
		s.do(c, s.out.OpenFailed(now, openReason(m.Err), err))
	}
}

// openReason returns the reason with which messages fail if no substream could be opened
// on a live connection.
func openReason(err error) protocol.Reason {
	switch {
	case refusedProtocol(err):
		return protocol.Refused
	case errors.Is(err, actors.ErrOverloaded):
		return protocol.Overloaded
	}
	return protocol.NotTaken
}

func (s *session) taskDone(c actor.Context, m supervisor.TaskDone) {
	s.in.acceptDone(c, m)
	s.collect(c, false)
	if report, ok := s.writer.ended(m); ok {
		s.wrote(c, report)
	}
	if s.writer.task == nil { // whatever has ended the task
		s.stopPull(c)
	}
	switch {
	case m.Name == watchName(s.gen) && errors.Is(m.Err, park.ErrParked):
		if s.endWatch.ParkedNow() && s.stream != nil {
			s.watch(c)
		}
	case m.Name == watchName(s.gen):
		if !s.peerStops(c, m.Err) {
			s.streamEnded(c, m.Err)
		}
	case s.in.readerDone(c, m):
		s.goOn(c)
	}
}

// streamEnded handles the end of our substream by the peer or with the connection. It is
// also called when the peer does not answer our FIN in time.
func (s *session) streamEnded(c actor.Context, err error) {
	if s.stream == nil {
		return
	}
	s.collect(c, false)
	noConn := errors.Is(err, mux.ErrSessionEnded) || errors.Is(err, actors.ErrPeerStops)
	if noConn && s.conn != nil {
		err = connections.Lost(s.conn, err)
	}
	s.ended = err
	s.finished(c)
	s.do(c, s.out.Ended(supervisor.Now(c), err, noConn))
}

// endedBefore reports whether the peer had ended our substream before this pong. The pong may
// come here first: the end comes as the result of the watching task.
func (s *session) endedBefore(pong uint64) bool {
	if s.stream == nil {
		return false // the marks of the outbox tell its substreams apart
	}
	pongs, ended := s.endWatch.Stream.PeerEnded()
	return ended && pongs < pong
}

// drop closes our substream and stops its writer.
func (s *session) drop(c actor.Context) {
	s.mark = 0
	s.writer.stop()
	s.queue.stopPull()
	if s.stream != nil {
		s.detach()
		s.stream.Close()
		s.stream = nil
	}
	if s.out.Pulling() {
		s.pullStopped(c)
	}
}

// beginFinish ends our substream on a connection that is about to be closed. First the
// written messages are proven, then FIN is sent (comms 146).
func (s *session) beginFinish(c actor.Context, m connections.FinishSubstreams) {
	if s.conn == nil || s.conn.ID != m.Conn || s.stream == nil {
		c.Send(m.Reply, connections.SubstreamsFinished{Conn: m.Conn})
		return
	}
	if s.finish != nil { // the drain of this session has begun it already
		s.finish.reply = m.Reply
		return
	}
	s.finish = &finishing{conn: m.Conn, reply: m.Reply}
	s.out.StopWriting()
	s.stopPull(c)
	s.goOn(c)
}

func (s *session) sendFin(c actor.Context) {
	if s.finish == nil || s.finish.fin {
		return
	}
	s.finish.fin = true
	stream := s.stream
	if stream == nil {
		s.finished(c)
		return
	}
	supervisor.Do(c, "fin", func(context.Context) (finSent, error) { return finSent{}, stream.CloseWrite() })
}

// finished tells the conn and the drain that wait for it that our substream has ended.
func (s *session) finished(c actor.Context) {
	f := s.finish
	if f == nil {
		return
	}
	s.finish = nil
	if f.reply != nil {
		c.Send(f.reply, connections.SubstreamsFinished{Conn: f.conn})
	}
	if s.drain != nil {
		s.drainDone(c)
	}
}

// lateShare is the part of the time of a drain, 1/8, in which the reader no longer waits for
// credit or for the handler, and counts what is left.
const lateShare = 8

// beginDrain makes the session wait for the outcomes of all accepted messages, and then
// end our substream. It also waits until everything is read that had arrived.
func (s *session) beginDrain(c actor.Context, m supervisor.Drain) {
	s.drain = &sessionDrain{reply: c.Sender()}
	s.in.stop(c, m.Deadline.Add(-m.Deadline.Sub(supervisor.Now(c))/lateShare))
	s.queue.refuse()
	s.take(c)
	s.goOn(c)
}

func (s *session) drainStep(c actor.Context) {
	switch {
	case s.stream == nil || s.ended != nil:
		s.drainDone(c)
	case s.finish == nil:
		s.finish = &finishing{conn: s.conn.ID}
		s.out.StopWriting()
		s.stopPull(c)
		supervisor.After(c, connections.FinishLimit, finTimeout{s.gen})
		s.sendFin(c)
	}
}

func (s *session) drainDone(c actor.Context) {
	if s.drain.reply != nil && s.in.readAll() {
		c.Send(s.drain.reply, supervisor.Drained{From: c.Self()})
		s.drain.reply = nil
	}
}

// abandon settles all open messages when the session ends for any reason.
func (s *session) abandon(self *actor.PID) {
	for _, m := range s.queue.detach(self) {
		m.settle(protocol.Outcome{Kind: protocol.InDoubt, Reason: protocol.Closed, Err: actors.ErrClosing})
	}
	settleAll(s.out.Close(protocol.Closed, actors.ErrClosing).Settled, &s.outcomes)
}

// checkIdle starts the idle timer if the session has nothing to do.
func (s *session) checkIdle(c actor.Context) {
	if s.idleTime == nil && !s.retired && s.idle() {
		s.idleTime = supervisor.After(c, idleLimit, idleTick{})
	}
}

// open returns how many messages have no outcome yet.
func (s *session) open() int {
	return s.out.Len() + s.queue.len()
}

func (s *session) idle() bool { return s.out.Idle() && s.open() == 0 && s.in.idle() && s.drain == nil }

func (s *session) touched() {
	if s.idleTime != nil {
		s.idleTime.Stop()
		s.idleTime = nil
	}
}

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

func (s *session) String() string {
	text := "out " + s.out.State()
	if n := s.open(); n > 0 {
		text += fmt.Sprintf(", %d open, %d unproven", n, s.out.Unproven())
	}
	return text + s.in.String()
}

// refusedProtocol reports whether err is the peer's answer that it does not accept the
// protocol.
func refusedProtocol(err error) bool {
	return errors.Is(err, negotiate.ErrUnsupported) || errors.Is(err, negotiate.ErrTerminated) || errors.Is(err, negotiate.ErrTooManyRounds)
}
