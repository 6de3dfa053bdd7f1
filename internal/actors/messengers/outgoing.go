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

// outgoing is the substream on which a session writes ("our substream"), from the dial to its
// end, and then the next one: the dial or open under way, the stream, the acceptance, the
// writer, the proofs and the orderly end. The machine [messaging.Outgoing] decides, and
// outgoing carries out. Its states, and who gives messages to the writer in each:
//
//	state       | the substream                         | who gives messages to the writer
//	idle        | none                                  | -
//	dialling    | none; there is or will be a connection| -
//	opening     | none; the conn is asked               | -
//	writing     | open                                  | the session, a batch at a time
//	pulling     | open                                  | nobody: it takes them from the queue
//	stopped     | open; the peer stops                  | nobody: late pongs count still
//	finishing   | open until FIN and the peer's end     | nobody: what is queued waits for the next one
//	backing off | none                                  | -
//
// Its owner is the session's actor: all methods are called in its turn.
type outgoing struct {
	room     *Room
	protocol *Messaging
	peer     identity.NodeID
	account  *outAccount
	queue    *sendQueue // of account
	owner    outgoingOwner
	machine  *messaging.Outgoing[*Enqueue]

	limit *supervisor.Timer // of the dial or open under way; nil: none runs
	proof *supervisor.Timer // of the next ProofDue; nil: there was none
	asked bool              // the dial under way went to the dialer

	conn    *actors.ConnRef // of the last dial
	stream  protocol.Stream // nil: there is none
	detach  func()          // gives up the ownership of stream
	watched *park.Parker    // waits for the acceptance and the end of stream
	accept  *acceptance     // of stream
	gen     uint64          // number of the substream
	writer  writer

	left     uint64     // number of the connection whose peer confirms nothing more; 0: none
	finisher *actor.PID // waits for the orderly end; nil: nobody
	drains   bool       // the node stops
}

// outgoingOwner is what outgoing tells the session.
type outgoingOwner interface {
	// settled reports messages that have ended.
	settled([]messaging.Settled[*Enqueue])
	// busy reports that there is something to do.
	busy()
	// stepped is called after each step.
	stepped(actor.Context)
}

type (
	finSent  struct{}
	dialWait struct{ token uint64 }
	openWait struct{ token uint64 }
	outDue   struct{}
	proofDue struct{}

	finTimeout struct{ gen uint64 }
)

func newOutgoing(m *Messaging, peer identity.NodeID, account *outAccount, owner outgoingOwner) outgoing {
	o := messaging.Options{MaxBody: m.room.Profile.Limits.MessageBody, NewID: m.room.NewID}
	if m == m.room.Answers { // few of them are under way at once, and the next ones wait for these
		o.LoneDelay = messaging.ProofDelay
	}
	return outgoing{
		room: m.room, protocol: m, peer: peer, account: account, queue: &account.queue, owner: owner,
		writer:  writer{queue: &account.queue},
		machine: messaging.NewOutgoing[*Enqueue](o),
	}
}

// receive handles a message of the session's actor, and reports whether it is for it.
func (o *outgoing) receive(c actor.Context) bool {
	switch m := c.Message().(type) {
	case connections.WritesConfirmed:
		if o.conn != nil && m.Conn == o.conn.ID && m.Asker == c.Self() && !o.endedBefore(m.Pong) {
			o.do(c, o.machine.Proven(supervisor.Now(c), m.Mark))
		}
	case wrote:
		o.wrote(c, m)
	case wroteSome:
		o.wroteSome(c, m)
	case proofDue:
		o.proofDue(c)
	case writerTick:
		if o.writer.tick(c, m, o.machine.Pulling()) {
			o.do(c, o.machine.PullStopped(supervisor.Now(c)))
		}
	case dialling.PeerDialed:
		o.dialed(c, m)
	case connections.SubstreamFailed:
		o.openFailed(c, m)
	case dialWait:
		if o.machine.Awaits(m.token) {
			o.cancelDial(c, m.token)
			o.dialed(c, dialling.PeerDialed{Token: m.token, Peer: o.peer, Err: actors.ErrNoAnswer})
		}
	case openWait:
		o.openFailed(c, connections.SubstreamFailed{Token: m.token, Err: actors.ErrNoAnswer})
	case acceptanceCame:
		if m.gen == o.gen && o.stream != nil {
			o.accept.come = true
			o.do(c, o.machine.Accepted(supervisor.Now(c)))
		}
	case acceptanceDue:
		if m.gen == o.gen && !o.accept.come {
			o.ended(c, actors.ErrNoAnswer)
		}
	case outDue:
		o.do(c, o.machine.Due(supervisor.Now(c)))
	case supervisor.Done[finSent]:
		// The watch task reports the peer's end of the substream, also after a failed FIN.
	case finTimeout:
		if m.gen == o.gen {
			o.ended(c, actors.ErrNoAnswer)
		}
	case connections.ProofsSettled:
		if m.Gen == o.gen && o.stream != nil {
			o.ended(c, actors.ErrPeerStops)
		}
	default:
		return false
	}
	return true
}

// do carries out what the machine asks for.
func (o *outgoing) do(c actor.Context, a messaging.Actions[*Enqueue]) {
	o.owner.settled(a.Settled)
	if a.Drop {
		o.drop(c)
	}
	if (a.Prove != 0 || a.Ping) && o.conn != nil {
		c.Send(o.conn.PID, connections.ConfirmWrites{Mark: a.Prove, NotBefore: a.NotBefore, Reply: c.Self()})
	}
	o.planProof(c, a.ProofDue)
	if len(a.Write) > 0 {
		o.uses()
		o.writer.write(c, o.gen, movingWriter{o.stream, o.room, o.account, &o.protocol.traffic.out, o.conn.Link().Live}, a.Write)
	}
	if a.Dial {
		o.dial(c, a.Request)
	}
	if a.Open {
		m := connections.NewOpenSubstream(o.room.System, a.Request, c.Self(), o.protocol.ID)
		m.ForMessages = true
		c.Send(o.conn.PID, m)
		o.await(c, connections.OpenLimit, openWait{a.Request})
	}
	if a.Cancel {
		o.cancelDial(c, a.Request)
	}
	if a.StopPull {
		o.stopPull(c)
	}
	if a.Fin {
		o.fin(c)
	}
	if a.Finished {
		o.finished(c)
	}
	if !a.Wake.IsZero() {
		supervisor.At(c, a.Wake, outDue{})
	}
	o.owner.stepped(c)
}

// drained reports whether all that drain waits for is over.
func (o *outgoing) drained() bool { return o.machine.Drained() && o.queue.len() == 0 }

// open returns how many messages have no outcome yet.
func (o *outgoing) open() int { return o.machine.Len() + o.queue.len() }

// idle reports whether there is no message, and no substream.
func (o *outgoing) idle() bool { return o.machine.Idle() && o.queue.len() == 0 }

func (o *outgoing) String() string {
	text := "out " + o.machine.State()
	if n := o.open(); n > 0 {
		text += fmt.Sprintf(", %d open, %d unproven", n, o.machine.Unproven())
	}
	return text
}

// dial asks for a connection to the peer. If there is one already, it does not ask the
// dialer, which has stopped if the node is stopping.
func (o *outgoing) dial(c actor.Context, request uint64) {
	if ref, ok := o.room.Connections.Get(o.peer); ok {
		c.Send(c.Self(), dialling.PeerDialed{Token: request, Peer: o.peer, Conn: ref, Err: o.goesAway(ref)})
		return
	}
	o.asked = true
	c.Send(o.room.Dialer, dialling.NewDialPeer(o.room.System, request, o.peer, c.Self(), o.protocol.by))
	o.await(c, dialling.DialLimit, dialWait{request})
}

// cancelDial cancels the dial, if the dialer was asked.
func (o *outgoing) cancelDial(c actor.Context, request uint64) {
	if o.asked {
		o.asked = false
		c.Send(o.room.Dialer, dialling.CancelDial{Peer: o.peer, Token: request, Reply: c.Self()})
	}
}

// await sends tick to this actor after d, unless the answer comes before.
func (o *outgoing) await(c actor.Context, d time.Duration, tick any) {
	o.answered()
	o.limit = supervisor.After(c, d, tick)
}

// answered stops the timer of the dial or open under way.
func (o *outgoing) answered() {
	if o.limit != nil {
		o.limit.Stop()
		o.limit = nil
	}
}

func (o *outgoing) dialed(c actor.Context, m dialling.PeerDialed) {
	if !o.machine.Awaits(m.Token) {
		return
	}
	o.asked = false
	o.answered()
	now := supervisor.Now(c)
	switch {
	case m.Err == nil:
		if err := o.protocol.refusal(m.Conn); err != nil {
			o.do(c, o.machine.NotTaken(now, err))
			return
		}
		o.conn = m.Conn
		o.do(c, o.machine.Dialled(now, protocol.ReasonNone, nil))
	case errors.Is(m.Err, actors.ErrDialCancelled):
		o.do(c, o.machine.DialCancelled(now))
	case errors.Is(m.Err, actors.ErrConnectionClosed): // the dial succeeded, but its connection has ended already
		o.do(c, o.machine.ConnectionGone(now, m.Err))
	default:
		o.do(c, o.machine.Dialled(now, dialReason(m.Err), m.Err))
	}
}

// goesAway returns why no substream is opened on a connection: its peer stops. Messages that are
// not written fail at once, as they would without the connection.
func (o *outgoing) goesAway(ref *actors.ConnRef) error {
	switch {
	case ref.ID != o.left:
		return nil
	case o.drains:
		return fmt.Errorf("%w: %w", actors.ErrClosing, actors.ErrPeerStops)
	}
	return actors.ErrPeerStops
}

// dialReason returns the reason with which messages fail after this error of a dial.
func dialReason(err error) protocol.Reason {
	switch {
	case errors.Is(err, actors.ErrBanned):
		return protocol.Banned
	case errors.Is(err, actors.ErrNotAdmitted):
		return protocol.NotAdmitted
	case errors.Is(err, actors.ErrUnknownPeer), errors.Is(err, actors.ErrNoAddress), errors.Is(err, actors.ErrSelf):
		return protocol.NoPeer
	case errors.Is(err, actors.ErrClosing):
		return protocol.Closed
	case errors.Is(err, upgrade.ErrHungUp):
		return protocol.Refused
	}
	return protocol.DialFailed
}

// opened takes the substream that an Open has asked for.
func (o *outgoing) opened(c actor.Context, m actors.SubstreamOpened) {
	taken, ok := m.Stream.Take()
	if !ok {
		return
	}
	stream, ok := taken.(park.Stream)
	if !ok || !o.machine.Awaits(m.Token) {
		taken.Close()
		return
	}
	o.answered()
	o.conn, o.stream = m.Conn, stream
	o.detach = supervisor.Own(c, stream)
	o.gen++
	o.watched = park.New(c, watchName(o.gen), stream)
	answer := connections.AgreementOf(m).Answer
	o.accept = newAcceptance(o.gen, m.Protocol, answer)
	o.listen(c)
	if answer == messaging.Awaited {
		supervisor.After(c, acceptLimit, acceptanceDue{o.gen})
	}
	o.do(c, o.machine.Opened(supervisor.Now(c), answer))
}

func (o *outgoing) openFailed(c actor.Context, m connections.SubstreamFailed) {
	if !o.machine.Awaits(m.Token) {
		return
	}
	o.answered()
	now := supervisor.Now(c)
	switch {
	case m.ConnectionLost: // the directory removes the connection now or in a moment
		o.do(c, o.machine.ConnectionGone(now, m.Err))
	case errors.Is(m.Err, mux.ErrReset):
		o.do(c, o.machine.OpenReset(now, m.Err))
	default:
		err := m.Err
		if refusedProtocol(err) && o.conn != nil {
			err = o.protocol.declined(o.conn, err)
		}
		o.do(c, o.machine.OpenFailed(now, openReason(m.Err), err))
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

// refusedProtocol reports whether err is the peer's answer that it does not accept the
// protocol.
func refusedProtocol(err error) bool {
	return errors.Is(err, negotiate.ErrUnsupported) || errors.Is(err, negotiate.ErrTerminated) || errors.Is(err, negotiate.ErrTooManyRounds)
}

func watchName(gen uint64) string { return fmt.Sprintf("watch-%d", gen) }

// listen starts a task that makes the parker report the next arrival on the substream. If
// the end has come already, the task returns it.
func (o *outgoing) listen(c actor.Context) {
	watched, accept := o.watched, o.accept
	supervisor.Go(c, watchName(o.gen), watched, func(ctx context.Context) error {
		watched.Listen()
		watched.Stream.SetReadDeadline(park.Expired)
		err := accept.watch(ctx, watched.Stream)
		watched.Stream.SetReadDeadline(time.Time{})
		if transport.IsTimeout(err) {
			return watched.Park()
		}
		return err
	})
}

// heard handles an arrival on a substream, and reports whether it is this one.
func (o *outgoing) heard(c actor.Context, m park.Arrival) bool {
	if m.Name != watchName(o.gen) {
		return false
	}
	if o.stream != nil && o.watched.Arrives() {
		o.watch(c)
	}
	return true
}

func (o *outgoing) watch(c actor.Context) {
	o.watched.Unpark()
	if !o.accept.come {
		o.listen(c)
		return
	}
	stream, accept := o.stream, o.accept
	supervisor.Go(c, watchName(o.gen), o.watched, func(ctx context.Context) error { return accept.watch(ctx, stream) })
}

// taskDone handles the end of a task, and reports whether it is one of this substream's.
func (o *outgoing) taskDone(c actor.Context, m supervisor.TaskDone) bool {
	o.collect(c)
	report, ok := o.writer.ended(m)
	if ok {
		o.wrote(c, report)
	}
	if o.writer.task == nil { // whatever has ended the task
		o.stopPull(c)
	}
	if m.Name != watchName(o.gen) {
		return ok
	}
	switch {
	case errors.Is(m.Err, park.ErrParked):
		if o.stream != nil && o.watched.ParkedNow() {
			o.watch(c)
		}
	case !o.peerStops(c, m.Err):
		o.ended(c, m.Err)
	}
	return true
}

// peerStops handles the end of the substream by a peer whose node stops, and reports whether it
// is that. A node of this library ends the half on which it writes nothing at no other time,
// unless this node has ended its own half before. Pongs that have come before count still.
func (o *outgoing) peerStops(c actor.Context, err error) bool {
	if !errors.Is(err, io.EOF) || o.stream == nil || !o.conn.Link().Answers || o.machine.FinSent() {
		return false
	}
	o.left = o.conn.ID
	o.do(c, o.machine.StopWriting())
	c.Send(o.conn.PID, connections.SettleProofs{Gen: o.gen, Reply: c.Self(), System: o.room.System})
	return true
}

// ended handles the end of the substream by the peer or with the connection. It is
// also called when the peer does not answer the FIN in time.
func (o *outgoing) ended(c actor.Context, err error) {
	if o.stream == nil {
		return
	}
	o.collect(c)
	noConn := errors.Is(err, mux.ErrSessionEnded) || errors.Is(err, actors.ErrPeerStops)
	if noConn && o.conn != nil {
		err = connections.Lost(o.conn, err)
	}
	o.do(c, o.machine.Ended(supervisor.Now(c), err, noConn))
}

// endedBefore reports whether the peer had ended the substream before this pong. The pong may
// come here first: the end comes as the result of the watching task.
func (o *outgoing) endedBefore(pong uint64) bool {
	if o.stream == nil {
		return false // the marks of the machine tell its substreams apart
	}
	pongs, ended := o.watched.Stream.PeerEnded()
	return ended && pongs < pong
}

// drop closes the substream and stops its writer.
func (o *outgoing) drop(c actor.Context) {
	o.writer.stop()
	o.queue.stopPull()
	if o.stream != nil {
		o.detach()
		o.stream.Close()
		o.stream, o.watched, o.detach = nil, nil, nil
	}
	o.pullStopped(c)
}

// end ends the substream on a connection that is about to be closed. First the written
// messages are proven, then FIN is sent (comms 146).
func (o *outgoing) end(c actor.Context, m connections.FinishSubstreams) {
	if o.conn == nil || o.conn.ID != m.Conn || o.stream == nil {
		c.Send(m.Reply, connections.SubstreamsFinished{Conn: m.Conn})
		return
	}
	o.finisher = m.Reply
	o.do(c, o.machine.Finish(supervisor.Now(c)))
}

// fin ends this node's half.
func (o *outgoing) fin(c actor.Context) {
	if o.drains {
		supervisor.After(c, connections.FinishLimit, finTimeout{o.gen})
	}
	stream := o.stream
	supervisor.Do(c, "fin", func(context.Context) (finSent, error) { return finSent{}, stream.CloseWrite() })
}

// finished tells the conn that waits for it that the substream has ended.
func (o *outgoing) finished(c actor.Context) {
	if o.finisher != nil {
		c.Send(o.finisher, connections.SubstreamsFinished{Conn: o.conn.ID})
		o.finisher = nil
	}
}

// drain has the substream end when all messages have ended, with those in the queue if take is
// true.
func (o *outgoing) drain(c actor.Context, take bool) {
	o.drains = true
	o.queue.refuse()
	if take {
		o.take(c)
	}
	o.do(c, o.machine.Drain(supervisor.Now(c)))
}

// abandon settles all messages when the session ends for any reason.
func (o *outgoing) abandon(self *actor.PID, outcomes *supervisor.Bundle) {
	for _, m := range o.queue.detach(self) {
		m.settle(protocol.Outcome{Kind: protocol.InDoubt, Reason: protocol.Closed, Err: actors.ErrClosing})
	}
	settleAll(o.machine.Close(protocol.Closed, actors.ErrClosing).Settled, outcomes)
}
