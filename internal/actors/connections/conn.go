package connections

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/internal/transport/keepalive"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/units"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// conn is one live connection. It owns the session, accepts and opens substreams, and
// agrees with the peer on their protocols. It sends the pings that keep the connection
// alive and that prove what the peer has read.
//
// In: OpenSubstream, ConfirmWrites, SettleProofs, PingConn, CloseConn, announced, retireConn,
// SubstreamsFinished. Out: SubstreamOpened, SubstreamFailed, WritesConfirmed, ProofsSettled,
// ConnPonged, FinishSubstreams, PeerViolated, connEnded. It never restarts: a half-read cipher
// stream cannot be resumed.
type conn struct {
	room     *Room
	ref      *actors.ConnRef
	handover *supervisor.Handover[*mux.Session]
	session  *mux.Session

	pings     *keepalive.Machine[*actor.PID]
	bytesIn   uint64 // bytes received at the last look
	pingIn    uint64 // bytes received at the last pong, or when the only ping in flight was sent
	rtt       time.Duration
	pongs     uint64 // greatest number of a pong
	pongAt    time.Time
	pingers   pingers      // who waits for a round trip
	silence   *silence     // of a direct connection, else nil
	accepting int          // negotiations under way of substreams that the peer has opened
	opening   int          // negotiations under way of substreams that this node opens
	asking    atomic.Int32 // the part of opening whose call of session.Open has not returned
	waiting   []openKey    // requests that wait for room for one more substream (V12)
	retry     *supervisor.Timer
	offered   []offer // substreams sent to their actors, which may not have taken them yet
	sweeping  bool
	over      bool // the session has ended, and all that the peer had opened has come
	closing   *actors.CloseReason
	retiring  *retirement // set when conn closes because another connection took its place
	finishing int         // messaging sessions that have not answered FinishSubstreams yet
	said      bool        // the goodbye task is under way, or connEnded was sent
	handled   uint64      // answers to pings that this actor has handled
	settling  []settling  // requests that wait for the answers which have come
}

// offer is a substream that was sent to a protocol's actor.
type offer struct {
	stream  *supervisor.Handover[protocol.Stream]
	expires time.Time
}

const (
	handoffLimit = 10 * time.Second // for an actor to take a substream (comms 80)
	// FinishLimit is how long the node, having ended its half of a substream, waits for
	// the peer to end the other half
	// (spec: comms 146).
	FinishLimit    = 2 * time.Second
	nudgeEvery     = 20 * time.Millisecond // between pings while conn waits for the end of substreams
	goodbyeLimit   = 2 * time.Second       // for writing GoAway when the peer does not read
	drainLimit     = time.Second           // for substreams still negotiating when the session ends
	openRetry      = 20 * time.Millisecond // between looks for room for one more substream
	maxOpenWaiting = 1000                  // requests for substreams that may wait
	maxChurn       = 6000                  // substreams of the peer that may end within a minute without an agreed protocol
)

type (
	acceptedStream struct {
		stream *supervisor.Handover[*mux.Stream]
		source actors.Origin
	}
	sessionEnded struct{ err error }
	negotiated   struct { // result of a negotiation task
		id     protocol.ID
		mux    *mux.Stream // what the stream is, to note what it is for
		stream *supervisor.Handover[protocol.Stream]
		Agreement
	}
	pingDue       struct{}
	sweepTick     struct{}
	openTick      struct{}
	finishTimeout struct{}
	nudgeTick     struct{}
	nudged        struct{} // result of a nudge
	nudgeKey      struct{}
	endTimeout    struct{}
	pongKey       struct{}
	acceptKey     struct{ stream *mux.Stream } // of a negotiation; when it fails in any way, the stream is closed
	openKey       struct {                     // of a substream that this node opens; the request is answered even if conn ends first
		m      OpenSubstream
		detach func()
		asked  func() // says that the task's session.Open has returned, or will never be called
	}
	goodbyeKey struct{}
)

// The String of a key is the name of its task.
func (pongKey) String() string     { return "ping" }
func (goodbyeKey) String() string  { return "goodbye" }
func (nudgeKey) String() string    { return "nudge" }
func (k acceptKey) String() string { return fmt.Sprintf("negotiate-%d", k.stream.ID()) }
func (k openKey) String() string   { return fmt.Sprintf("open-%d", k.m.Token) }

func (m acceptedStream) Discard()                  { m.stream.Discard() }
func (m acceptedStream) Source() supervisor.Source { return m.source }
func (m negotiated) Discard()                      { m.stream.Discard() }

// NewConn makes the actor of one connection. The actor takes the session when it
// starts.
func NewConn(room *Room, ref *actors.ConnRef, session *supervisor.Handover[*mux.Session], flight transport.FlightReporter) actor.Actor {
	a := &conn{room: room, ref: ref, handover: session}
	if flight != nil {
		a.silence = &silence{flight: flight}
	}
	return a
}

func (a *conn) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.start(c)
	case acceptedStream:
		a.accept(c, m)
	case supervisor.Done[negotiated]:
		switch key := m.Key.(type) {
		case acceptKey:
			a.accepting--
			a.accepted(c, key.stream, m.Value, m.Err)
		case openKey:
			a.opened(c, key, m.Value, m.Err)
		}
	case OpenSubstream:
		a.open(c, m)
	case openTick:
		a.retry = nil
		a.openWaiting(c)
	case ConfirmWrites:
		now := supervisor.Now(c)
		a.ping(c, a.pings.Prove(now, keepalive.Mark[*actor.PID]{Key: m.Reply, N: m.Mark}, m.NotBefore))
	case SettleProofs:
		a.settleProofs(c, m)
	case PingConn:
		a.pingFor(c, m)
	case supervisor.Done[mux.Pong]:
		a.ponged(c, m.Value, m.Err)
	case pingDue:
		a.pingDue(c)
	case lookTick:
		a.look(c)
	case suspectConn:
		a.suspect(c, m)
	case suspectTick:
		a.suspected(c, m)
	case CloseConn:
		a.close(c, m.Reason)
	case announced:
		if a.session != nil {
			a.session.Release()
		}
	case retireConn:
		a.retire(c)
	case retireTick:
		a.retireDue(c, m)
	case SubstreamsFinished:
		a.finished(c)
	case finishTimeout:
		a.goodbye(c)
	case nudgeTick:
		a.nudge(c)
	case supervisor.Done[nudged]:
		a.nudged(c, m.Err)
	case supervisor.Done[struct{}], endTimeout:
		a.end(c)
	case sessionEnded:
		a.sessionEnded(c, m.err)
	case sweepTick:
		a.sweep(c)
	default:
		supervisor.Unhandled(c)
	}
}

func (a *conn) start(c actor.Context) {
	session, ok := a.handover.Take()
	if !ok {
		a.closing = &actors.CloseReason{Code: actors.CloseCrashed, By: "us"}
		a.end(c)
		return
	}
	a.session = session
	session.RunOn(supervisor.Lender(c))
	session.WithholdPongs(&a.room.Silent)
	if a.silence != nil {
		session.LetReadsLead()
	}
	session.LimitChurn(maxChurn, a.room.inbound.pacer(a.ref.Addr))
	if a.ref.Link().Live != nil {
		a.ref.Link().Live.Session.Store(session)
	}
	source := actors.Origin{Peer: a.ref.Peer, Conn: a.ref.ID}
	tell := supervisor.Teller(c)
	supervisor.Own(c, a.room.traffic.carries(session))
	session.Handle(
		func(s *mux.Stream) { tell(acceptedStream{supervisor.Hand(s, source), source}) },
		func(err error) { tell(sessionEnded{err}) },
	)
	interval := a.room.KeepAlive
	if a.silence != nil {
		interval = min(interval, keepalive.DirectInterval)
	}
	a.pings = keepalive.New[*actor.PID](supervisor.Now(c), interval)
	a.ping(c, a.pings.Due(supervisor.Now(c)))
	if a.silence != nil {
		a.look(c)
	}
}

// accept negotiates the protocol of a substream that the peer has opened.
func (a *conn) accept(c actor.Context, m acceptedStream) {
	s, ok := m.stream.Take()
	if !ok {
		return
	}
	limits, now := a.room.Profile.Limits, a.room.Now()
	if ahead := [2 + negotiate.MaxID]byte{}; negotiate.Ready(ahead[:s.Ahead(ahead[:])]) {
		n, err := a.negotiate(s, limits.NegotiationRounds)
		a.accepted(c, s, n, err)
		return
	}
	a.accepting++
	until := now.Add(limits.Negotiation)
	agreed := a.room.inbound.negotiates(a.ref, now, s)
	supervisor.Do(c, acceptKey{s}, func(context.Context) (negotiated, error) {
		defer agreed()
		s.SetDeadline(until)
		n, err := a.negotiate(s, limits.NegotiationRounds)
		s.SetDeadline(time.Time{})
		return n, err
	})
}

// negotiate agrees with the peer on the protocol of a substream that the peer has opened.
func (a *conn) negotiate(s *mux.Stream, rounds int) (negotiated, error) {
	id, owed, err := a.agree(s, rounds)
	if err != nil {
		return negotiated{}, err
	}
	s.Agreed()
	return negotiated{id: id, mux: s, stream: supervisor.Hand[protocol.Stream](s, actors.Origin{Peer: a.ref.Peer, Conn: a.ref.ID}), Agreement: Agreement{Owed: owed}}, nil
}

func (a *conn) supported(id protocol.ID) bool {
	_, ok := a.room.Protocols.Get(id)
	return ok && a.room.needs.Decodes(id, a.ref)
}

func (a *conn) accepted(c actor.Context, s *mux.Stream, n negotiated, err error) {
	if err != nil {
		s.Close()
	}
	switch {
	case errors.Is(err, protocol.ErrViolation):
		a.violated(c, err)
	case err != nil:
		supervisor.Log(c).Debug("substream not negotiated", "peer", a.ref.Peer, "err", err)
	default:
		pid, ok := a.room.Protocols.Get(n.id)
		if !ok { // unregistered in the meantime
			n.Discard()
			break
		}
		if a.room.substreamsOfUse(n.id, pid) {
			base.Use(a.ref)
		}
		n.mux.For(mux.Use{Protocol: n.id, Owner: pid.GetId()})
		c.Send(pid, a.substream(0, protocol.Inbound, n))
		a.offered = append(a.offered, offer{n.stream, supervisor.Now(c).Add(handoffLimit)})
		if !a.sweeping {
			a.sweeping = true
			supervisor.After(c, handoffLimit, sweepTick{})
		}
	}
	a.drained(c)
}

func (a *conn) substream(token uint64, d protocol.Direction, n negotiated) actors.SubstreamOpened {
	return actors.SubstreamOpened{
		Token: token, Peer: a.ref.Peer, Key: a.ref.Key, Conn: a.ref,
		Protocol: n.id, Direction: d, Stream: n.stream, Messaging: n.Agreement.shown(),
	}
}

// sweep resets the substreams that their actors did not take in time.
func (a *conn) sweep(c actor.Context) {
	now := supervisor.Now(c)
	kept := a.offered[:0]
	for _, o := range a.offered {
		switch {
		case o.stream.Taken():
		case o.expires.After(now):
			kept = append(kept, o)
		default:
			supervisor.Log(c).Warn("substream dropped: its handler did not take it in time", "peer", a.ref.Peer)
			o.stream.Discard()
		}
	}
	clear(a.offered[len(kept):])
	a.offered = kept
	if a.sweeping = len(kept) > 0; !a.sweeping {
		a.offered = nil // saves memory: there are many idle connections
	} else {
		supervisor.At(c, kept[0].expires, sweepTick{})
	}
}

// open opens a substream. The request waits while the connection has as many substreams
// as it may have.
func (a *conn) open(c actor.Context, m OpenSubstream) {
	if m.Reply == nil {
		m.Reply = c.Sender()
	}
	switch {
	case a.retiring != nil || a.superseded():
		m.Discard()
	case a.closing != nil || a.over:
		a.answerAtEnd(c, m)
	case len(a.waiting) > 0 || a.full():
		if len(a.waiting) >= maxOpenWaiting {
			c.Send(m.Reply, SubstreamFailed{Token: m.Token, Err: actors.ErrOverloaded})
			return
		}
		a.waiting = append(a.waiting, a.owed(c, m))
		a.waitForRoom(c)
	default:
		a.openNow(c, a.owed(c, m))
	}
}

// answerAtEnd has this actor answer the request when it ends, unless detach is called
// before. The answer says that the connection is lost. After an orderly end the
// directory no longer names the connection by then, so an asker that dials again gets
// another one.
func (a *conn) answerAtEnd(c actor.Context, m OpenSubstream) (detach func()) {
	return supervisor.OwnFunc(c, m.Discard)
}

func (a *conn) owed(c actor.Context, m OpenSubstream) openKey {
	return openKey{m: m, detach: a.answerAtEnd(c, m)}
}

func (a *conn) full() bool {
	return a.session.Room() <= int(a.asking.Load())
}

func (a *conn) waitForRoom(c actor.Context) {
	if a.retry == nil {
		a.retry = supervisor.After(c, openRetry, openTick{})
	}
}

func (a *conn) openWaiting(c actor.Context) {
	for len(a.waiting) > 0 && !a.full() {
		key := a.waiting[0]
		a.waiting = a.waiting[1:]
		a.openNow(c, key)
	}
	if len(a.waiting) > 0 {
		a.waitForRoom(c)
	}
}

func (a *conn) openNow(c actor.Context, key openKey) {
	m := key.m
	a.opening++
	a.asking.Add(1)
	key.asked = sync.OnceFunc(func() { a.asking.Add(-1) })
	session, ref := a.session, a.ref
	var until time.Time
	open := func(context.Context) (negotiated, error) {
		s, err := session.Open()
		key.asked()
		if err != nil {
			return negotiated{}, err
		}
		s.SetDeadline(until)
		id, answer, err := propose(s, ref, m)
		if err != nil {
			s.Close()
			return negotiated{}, err
		}
		s.SetDeadline(time.Time{})
		return negotiated{id: id, mux: s, stream: supervisor.Hand[protocol.Stream](s, nil), Agreement: Agreement{Answer: answer}}, nil
	}
	if m.Held = m.Held && session.Prompt(); m.Held && knownTo(ref, m) { // it waits for nothing
		n, err := open(context.Background())
		a.opened(c, key, n, err)
		return
	}
	until = a.room.Now().Add(a.room.Profile.Limits.Negotiation)
	supervisor.Do(c, key, open)
}

func (a *conn) opened(c actor.Context, key openKey, n negotiated, err error) {
	a.opening--
	key.asked() // the task may have ended before it called asked
	m := key.m
	if a.retiring != nil {
		if err == nil {
			n.Discard()
		}
		a.elsewhere(key)
		a.drained(c)
		return
	}
	if err != nil && (a.over || errors.Is(err, mux.ErrSessionEnded)) {
		a.drained(c) // answerAtEnd answers the request
		return
	}
	if errors.Is(err, mux.ErrTooManyStreams) {
		a.waiting = append([]openKey{key}, a.waiting...)
		a.waitForRoom(c)
		return
	}
	key.detach()
	switch {
	case errors.Is(err, protocol.ErrViolation):
		a.violated(c, err)
		fallthrough
	case err != nil:
		c.Send(m.Reply, SubstreamFailed{Token: m.Token, Err: err})
	default:
		if a.room.substreamsOfUse(n.id, nil) {
			base.Use(a.ref)
		}
		n.mux.For(mux.Use{Protocol: n.id, Owner: m.Reply.GetId()})
		c.Send(m.Reply, a.substream(m.Token, protocol.Outbound, n))
	}
	a.drained(c)
}

// ping carries out the effects of the keep-alive machine.
func (a *conn) ping(c actor.Context, f keepalive.Effects[*actor.PID]) {
	for _, mark := range f.Proven {
		if mark.Key == a.ref.PID {
			a.pingers.answer(c, mark.N, ConnPonged{RTT: a.rtt})
			continue
		}
		c.Send(mark.Key, WritesConfirmed{a.ref.ID, mark.N, a.pongs, mark.Key})
	}
	if !f.Wake.IsZero() {
		supervisor.At(c, f.Wake, pingDue{})
	}
	if f.Ping && !a.over {
		session := a.session
		if a.pings.InFlight() == 1 {
			a.pingIn = session.Stats().BytesIn
		}
		supervisor.Do(c, pongKey{}, func(context.Context) (mux.Pong, error) { return session.Ping() })
	}
}

func (a *conn) ponged(c actor.Context, pong mux.Pong, err error) {
	if err != nil {
		_, panicked := errors.AsType[*supervisor.PanicError](err)
		switch {
		case errors.Is(err, mux.ErrPingTimeout):
			a.close(c, actors.CloseReason{Code: actors.CloseNoAnswer, By: "network", Err: a.unanswered(a.pingTimeout(), err)})
		case panicked: // without a pong, the keep-alive machine would neither ping nor prove anything any more
			a.close(c, actors.CloseReason{Code: actors.CloseCrashed, By: "us", Err: err})
		}
		return // any other error: the session has ended, and reports that itself
	}
	now := supervisor.Now(c)
	a.rtt, a.pongAt = pong.RTT, now
	// Reports of two pongs may overtake each other. The machine takes each for the next pong.
	// The greatest number so far is not smaller than the number of that pong.
	a.pongs = max(a.pongs, pong.N)
	a.bytesIn = a.session.Stats().BytesIn
	a.pingIn = a.bytesIn
	a.ping(c, a.pings.Ponged(now))
	a.answered(c)
}

// unansweredError reports a ping without an answer, and whether the peer has sent
// anything else meanwhile.
type unansweredError struct {
	within time.Duration
	bytes  uint64 // received since the ping was sent
	err    error
}

func (a *conn) unanswered(within time.Duration, err error) error {
	return &unansweredError{within, a.session.Stats().BytesIn - a.pingIn, err}
}

func (a *conn) pingTimeout() time.Duration {
	if a.silence != nil {
		return a.room.Mux.Direct().PingTimeout
	}
	return a.room.Mux.WithDefaults().PingTimeout
}

func (e *unansweredError) Error() string {
	if e.bytes == 0 {
		return fmt.Sprintf("no answer to a ping within %v, and nothing else came; the peer or the way to it is gone, stalls or is too slow", e.within)
	}
	return fmt.Sprintf("no answer to a ping within %v, though %s came meanwhile; what we send does not arrive, or the way is too slow", e.within, units.Bytes(e.bytes))
}

func (e *unansweredError) Unwrap() error { return e.err }

func (a *conn) pingDue(c actor.Context) {
	now := supervisor.Now(c)
	a.listen(now)
	a.ping(c, a.pings.Due(now))
}

// listen tells the keep-alive machine of what has come since the last time.
func (a *conn) listen(now time.Time) {
	if in := a.session.Stats().BytesIn; in != a.bytesIn {
		a.bytesIn = in
		a.pings.Heard(now)
	}
}

// accuse reports an offence of the peer to connectivity.
func (a *conn) accuse(c actor.Context, err error) {
	c.Send(a.room.Connectivity, base.Violated(a.ref, err))
}

func (a *conn) violated(c actor.Context, err error) {
	a.accuse(c, err)
	a.close(c, actors.CloseReason{Code: actors.CloseViolation, By: "us", Err: err})
}

// sessionEnded handles the end of the session, whichever side has ended it.
func (a *conn) sessionEnded(c actor.Context, err error) {
	a.over = true
	a.waiting = nil // answerAtEnd answers these
	if errors.Is(err, protocol.ErrViolation) {
		a.accuse(c, err)
		if a.closing == nil {
			a.closing = &actors.CloseReason{Code: actors.CloseViolation, By: "us", Err: err}
		}
	}
	if a.closing == nil {
		a.closing = &actors.CloseReason{Code: actors.CloseEnded, By: "peer", Err: err}
		switch {
		case errors.Is(err, mux.ErrTooMuchChurn):
			a.closing.Code, a.closing.By = actors.CloseChurn, "us"
			a.room.Offended(c, a.ref.Link().Origin) // the peer is not banned and may come again at once: its source is charged
		case !byPeer(err):
			a.closing.By = "network"
		}
	}
	supervisor.After(c, drainLimit, endTimeout{})
	a.drained(c)
}

// byPeer reports whether the peer has ended a session that ended with err: the system does not say that the
// connection is gone, and no write has waited too long.
func byPeer(err error) bool {
	_, gone := errors.AsType[*os.SyscallError](err)
	return !gone && !errors.Is(err, mux.ErrWriteTimeout) && !transport.IsTimeout(err) && !transport.IsReset(err)
}

// drained ends the connection when the session has ended and no negotiation is under
// way. Then every substream that the peer had opened before was sent to its handler
// (comms 152).
func (a *conn) drained(c actor.Context) {
	if a.over && a.accepting == 0 && a.opening == 0 {
		a.end(c)
	}
}

// close begins to close the connection. For an orderly reason the messaging substreams
// end first; for any other they are cut at once.
func (a *conn) close(c actor.Context, why actors.CloseReason) {
	if a.said {
		return
	}
	switch {
	case a.retiring != nil:
		a.hurry(c, why)
		return
	case a.closing != nil:
		if !why.Orderly() {
			a.goodbye(c)
		}
		return
	}
	a.closing = &why
	closes(a.ref, a.closing)
	if why.Orderly() && !a.over && a.askToFinish(c) {
		supervisor.After(c, FinishLimit, finishTimeout{})
		supervisor.After(c, nudgeEvery, nudgeTick{})
		return
	}
	a.goodbye(c)
}

// askToFinish asks the peer's messaging sessions to end their substreams on this
// connection, and reports whether there are any.
func (a *conn) askToFinish(c actor.Context) bool {
	for _, session := range a.room.needs.Sessions(a.ref.Peer) {
		a.finishing++
		c.Send(session, FinishSubstreams{a.ref.ID, c.Self(), a.room.System})
	}
	return a.finishing > 0
}

// finished counts the answer of one messaging session.
func (a *conn) finished(c actor.Context) {
	a.finishing--
	switch {
	case a.finishing > 0:
	case a.retiring != nil:
		a.retiring.finished = true
	default:
		a.goodbye(c)
	}
}

// nudge pings while conn waits for the end of messaging substreams: a node of 1.0.0-rc.5
// ends its half only when something else makes it write (spec: comms 5.3).
func (a *conn) nudge(c actor.Context) {
	if a.said || a.over {
		return
	}
	session := a.session
	supervisor.Do(c, nudgeKey{}, func(context.Context) (nudged, error) {
		_, err := session.Ping()
		return nudged{}, err
	})
}

func (a *conn) nudged(c actor.Context, err error) {
	if err != nil {
		return
	}
	a.answered(c)
	if a.retiring != nil {
		a.lookQuiet(c)
	}
	supervisor.After(c, nudgeEvery, nudgeTick{})
}

// goodbye sends GoAway(0), which may take at most goodbyeLimit, and then ends the
// connection. If the session has ended already, goodbye only reports the end to conns.
func (a *conn) goodbye(c actor.Context) {
	if a.said || a.closing == nil {
		return
	}
	a.said = true
	if a.over {
		a.sayEnded(c)
		return
	}
	session := a.session
	supervisor.Do(c, goodbyeKey{}, func(context.Context) (struct{}, error) { return struct{}{}, session.GoAway() })
	supervisor.After(c, goodbyeLimit, endTimeout{})
}

// end asks conns to remove and stop this actor. The session is closed when the actor
// stops.
func (a *conn) end(c actor.Context) {
	if a.closing == nil {
		return
	}
	a.said = true
	a.sayEnded(c)
}

func (a *conn) sayEnded(c actor.Context) {
	c.Send(a.room.Conns, connEnded{a.ref, *a.closing})
}

func (a *conn) String() string {
	s := fmt.Sprintf("%s %s", a.ref.Direction, a.ref.Addr)
	if a.rtt > 0 {
		s += fmt.Sprintf(" rtt %s", a.rtt.Round(time.Microsecond))
	}
	if a.session != nil {
		s += fmt.Sprintf(", %d substreams", a.session.NumStreams())
	}
	if tags := a.room.needs.Protectors(a.ref.Peer); len(tags) > 0 {
		s += ", protected by " + strings.Join(tags, ", ")
	}
	if a.closing != nil {
		s += ", closing: " + a.closing.String()
	}
	return s
}

// ConnStats is what the tree and the inspector show of a connection.
type ConnStats struct {
	RTT        time.Duration `json:"rtt_ns"`
	LastPong   time.Time     `json:"last_pong_at"` // when the round trip was measured
	Silent     time.Duration `json:"silent_ns"`    // since the last byte came, if an answer is due for 5 s; else 0
	BytesIn    uint64        `json:"bytes_in"`
	BytesOut   uint64        `json:"bytes_out"`
	Stalls     uint64        `json:"stalls"` // writes that had to wait because the peer did not read
	Substreams int           `json:"substreams"`
	Unagreed   uint64        `json:"unagreed"`  // substreams of the peer that ended without an agreed protocol
	HeldBack   bool          `json:"held_back"` // reading is paused because of them
	Waiting    int           `json:"opens_waiting"`
}

func (a *conn) Inspect() any {
	s := ConnStats{RTT: a.rtt, LastPong: a.pongAt, Waiting: len(a.waiting)}
	if a.session != nil {
		stats := a.session.Stats()
		s.BytesIn, s.BytesOut, s.Stalls, s.Substreams = stats.BytesIn, stats.BytesOut, stats.Stalls, stats.Streams
		s.Unagreed, s.HeldBack = stats.Unagreed, stats.HeldBack
		s.Silent = a.silent(a.room.Now())
	}
	return s
}
