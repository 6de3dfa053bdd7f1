package rpcpart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/park"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/protocol/manycalls"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/useragent"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Session is a session of this node with a service of a peer. A caller acquires it and
// makes one call: the caller's own goroutine writes the request and reads the answer.
// After that the session is free again. Work for which the caller does not want to wait
// is left to the session's actor.
type Session struct {
	shared *Calls
	key    Key
	conn   *actors.ConnRef
	pool   *sessionPool
	credit *inboundCredit // of all our sessions with the peer
	pid    *actor.PID
	stream protocol.Stream
	since  time.Time

	state atomic.Int32
	many  atomic.Pointer[manyCalls] // the session carries many calls at once; nil: one

	// Used by the owner of the session: a caller, or the actor.
	machine onecall.Client
	in      frameReader

	mu     sync.Mutex
	call   onecall.CallInfo // the running one; Began is zero if none runs
	serial uint64           // of the call
	calls  uint64
	hasten bool      // reading and writing of the call were interrupted
	until  time.Time // when the next frame must have arrived; zero: the caller's ctx decides
	freed  time.Time // when the last call ended

	bytesIn, bytesOut atomic.Uint64
}

// States of a session.
const (
	sessionIdle int32 = iota
	sessionBusy       // a caller makes a call
	sessionResting
	sessionOver
)

// Messages that leave work to the session's actor.
type (
	// sessionBroken reports that the session cannot go on.
	sessionBroken struct{ err error }
	// callLeft asks the actor to tell the server that a call is no longer wanted.
	callLeft struct {
		stop   onecall.Request
		stream bool
	}
	// restOfFrames asks the actor to have a task write what is left: see gather.
	restOfFrames struct{}
	// restOfAnswers asks the actor to have a task read what is left: see [manyCalls.drain].
	restOfAnswers struct{}
	// sessionRests asks the actor to make the session idle after a pause.
	sessionRests struct{ pause time.Duration }
)

// acquire takes the session if it is idle, and reports whether it was.
func (s *Session) acquire() bool {
	if s.many.Load() != nil {
		return s.many.Load().acquire()
	}
	return s.state.CompareAndSwap(sessionIdle, sessionBusy)
}

// release makes the session idle, and tells rpc-client so if a caller waits. On a retired
// connection, and if the session closes when idle and no caller waits, it ends the session instead.
func (s *Session) release() {
	if m := s.many.Load(); m != nil {
		m.release()
		return
	}
	if (s.conn.Retired() || s.closesWhenIdle() && s.pool.waiting.Load() == 0) && s.state.CompareAndSwap(sessionBusy, sessionOver) {
		s.shared.trunk.System().Root.Send(s.pid, closeSession{})
		return
	}
	if s.state.CompareAndSwap(sessionBusy, sessionIdle) && s.pool.waiting.Load() > 0 {
		s.shared.trunk.System().Root.Send(s.shared.Client, sessionFree{s.key})
	}
}

// closeIdle ends the session for callers if nobody uses it.
func (s *Session) closeIdle() bool {
	if s.many.Load() != nil {
		return s.many.Load().closeIdle()
	}
	return s.state.CompareAndSwap(sessionIdle, sessionOver)
}

// idleSince returns since when nobody has used the session; zero: somebody does, or it ends.
func (s *Session) idleSince() time.Time {
	if m := s.many.Load(); m != nil {
		return m.idleSince()
	}
	if s.state.Load() != sessionIdle {
		return time.Time{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.freed
}

// closesWhenIdle reports whether the session ends when no call needs it.
func (s *Session) closesWhenIdle() bool {
	return slices.Contains(s.shared.CloseWhenIdle, s.key.Protocol)
}

// Errors of calls.
var (
	// ErrRequestTooLarge reports a request that was not sent because of its size.
	ErrRequestTooLarge = fmt.Errorf("rpc: request too large; peers of every release take at most %d bytes", rpc.DefaultSend)
	// errNoResponse reports that the server has let the deadline and the grace period
	// pass.
	errNoResponse = &rpc.Error{Status: rpc.Timeout, Details: "the peer does not answer"}
)

// Invoke makes a call: see [rpc.Transport]. again says whether the call may be made
// again on another session, because this one had ended before the server took the request.
func (s *Session) Invoke(ctx context.Context, method uint32, stream bool, encode func([]byte) ([]byte, error), got func([]byte) error) (again onecall.Repeat, err error) {
	if s.many.Load() != nil {
		return s.many.Load().invoke(ctx, method, stream, encode, got)
	}
	began := false
	defer func() {
		if !began { // also when encode ends the goroutine
			s.release()
		}
	}()
	buf, err := encodeRequest(encode, onecall.Room)
	defer func() { putBuffer(buf) }()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return onecall.RepeatNever, err
	}
	began = true
	limit := s.limit(ctx)
	request := s.machine.Start(method, limit, stream)
	return s.exchange(ctx, limit, onecall.FrameRequest(buf, request), stream, got)
}

// Ping measures how long the service takes to answer an empty request.
func (s *Session) Ping(ctx context.Context) (took time.Duration, again onecall.Repeat, err error) {
	if s.many.Load() != nil {
		return s.many.Load().ping(ctx)
	}
	limit := s.limit(ctx)
	began := s.shared.trunk.Now()
	request := s.machine.Ping(limit)
	again, err = s.exchange(ctx, limit, onecall.AppendRequest(nil, request), false, nil)
	return s.shared.trunk.Now().Sub(began), again, err
}

// limit returns how much time the server has: until the deadline of ctx, or the default.
func (s *Session) limit(ctx context.Context) time.Duration {
	if d, ok := ctx.Deadline(); ok {
		return d.Sub(s.shared.trunk.Now())
	}
	return rpc.DefaultDeadline
}

// errCallerEnded ends a session whose caller has left a call by a panic.
var errCallerEnded = errors.New("rpc: the caller's goroutine ended in the call")

// exchange sends a request and reads its answer. The payload holds no credit any more when
// got is called, so got may make another call to the same peer.
func (s *Session) exchange(ctx context.Context, limit time.Duration, request []byte, stream bool, got func([]byte) error) (again onecall.Repeat, err error) {
	over := false
	s.conn.Link().Live.CallBegins(s.key.Protocol)
	defer func() {
		s.conn.Link().Live.CallEnds()
		if !over { // got did not return
			_, _ = s.broke(ctx, errCallerEnded, false)
		}
	}()
	again, err = s.converse(ctx, limit, request, stream, got)
	over = true
	return again, err
}

func (s *Session) converse(ctx context.Context, limit time.Duration, request []byte, stream bool, got func([]byte) error) (again onecall.Repeat, err error) {
	serial := s.begin(ctx, limit)
	if s.conn.Ended() { // before the call, so that nothing of it is sent
		return s.broke(ctx, mux.ErrSessionEnded, true)
	}
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, func() { s.interrupt(serial) })()
	}
	n, err := s.stream.Write(request)
	s.bytesOut.Add(uint64(n))
	// If nothing of the request was written, read on: the server may have sent a
	// reason before it ended the session.
	if err != nil && (n > 0 || s.interrupted()) {
		return s.broke(ctx, err, false)
	}
	// The session was closed while it was idle.
	unsent := errors.Is(err, protocol.ErrUnsent) && errors.Is(err, mux.ErrReset)
	for {
		body, _, err := s.in.next(ctx, rpc.MaxFrame)
		if err != nil {
			return s.unread(ctx, stream, err, unsent)
		}
		s.bytesIn.Add(uint64(s.in.n + frame.HeaderLen))
		response, err := onecall.DecodeResponse(body)
		if err != nil {
			return s.broke(ctx, err, false)
		}
		event, err := s.machine.Received(response)
		if err != nil {
			return s.broke(ctx, err, false)
		}
		switch event.Meaning {
		case onecall.Item:
			s.extend(ctx, limit)
			s.in.free()
			err := got(event.Payload)
			if err != nil {
				s.left(true)
				return onecall.RepeatNever, err
			}
		case onecall.Nothing:
			s.in.free()
		default: // the call has ended
			s.in.free()
			err := event.Err
			if event.Meaning == onecall.Final {
				err = got(event.Payload)
			}
			s.finished(event.Open, stream)
			return onecall.RepeatNever, err
		}
	}
}

func (s *Session) begin(ctx context.Context, limit time.Duration) (serial uint64) {
	now := s.shared.trunk.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	s.calls++
	r := s.machine.Request()
	s.call = onecall.CallInfo{ID: r.ID, Method: r.Method, Limit: limit, Began: now, Deadline: now.Add(limit)}
	s.setUntil(ctx, now, limit)
	return s.serial
}

// setUntil sets the time limit for the next frame of a call whose ctx has no deadline.
func (s *Session) setUntil(ctx context.Context, now time.Time, limit time.Duration) {
	s.until = time.Time{}
	if _, ok := ctx.Deadline(); !ok {
		s.until = now.Add(limit + onecall.Grace)
	}
}

func (s *Session) extend(ctx context.Context, limit time.Duration) {
	if _, ok := ctx.Deadline(); ok {
		return
	}
	now := s.shared.trunk.Now()
	s.mu.Lock()
	s.setUntil(ctx, now, limit)
	s.mu.Unlock()
}

// interrupt interrupts the reading and writing of the call with this serial, if it still
// runs.
func (s *Session) interrupt(serial uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serial != serial || s.call.Began.IsZero() || s.hasten {
		return
	}
	s.hasten = true
	s.stream.SetReadDeadline(park.Expired)
	s.stream.SetWriteDeadline(park.Expired)
}

func (s *Session) interrupted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hasten
}

// over resets the session after a call, whatever the result was.
func (s *Session) over() {
	s.in.rest()
	now := s.shared.trunk.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	s.call, s.until, s.freed = onecall.CallInfo{}, time.Time{}, now
	if s.hasten {
		s.hasten = false
		s.stream.SetReadDeadline(time.Time{})
		s.stream.SetWriteDeadline(time.Time{})
	}
}

// finished handles the end of a call that was answered. open says that the server has not
// ended the call yet.
func (s *Session) finished(open, stream bool) {
	switch {
	case open:
		s.over()
		s.rest(callLeft{stop: s.machine.Stop()})
	case stream && !s.ours():
		// Other implementations may still watch the stream for a moment. They
		// would treat the next request as an offence (spec: comms 9.4).
		s.over()
		s.rest(sessionRests{onecall.StreamRest})
	default:
		s.over()
		s.release()
	}
}

// ours reports whether the peer is a node of this library.
func (s *Session) ours() bool { return useragent.Ours(s.conn.UserAgent) }

// left leaves a call that has not ended to the actor, which tells the server to stop it.
// But the session waits for the deadline of a unary call to another implementation. Such
// servers treat a stop differently from release to release, and a node of 6.2 blocks the
// session until the method ends.
func (s *Session) left(stream bool) {
	s.mu.Lock()
	end := s.call.Began.Add(time.Duration(s.machine.Request().Deadline) * time.Second)
	s.mu.Unlock()
	s.over()
	stop := s.machine.Stop()
	if stream || s.ours() {
		s.rest(callLeft{stop, stream})
	} else {
		s.rest(sessionRests{end.Sub(s.shared.trunk.Now()) + deadlineSlack})
	}
}

const (
	// deadlineSlack is how long after a deadline the server's answer may come.
	deadlineSlack = time.Second
	// longestRest is the longest pause of sessionRests. A session that would have to
	// wait longer for the end of an abandoned call is closed.
	longestRest = 10 * time.Second
)

func (s *Session) rest(m any) {
	if s.state.CompareAndSwap(sessionBusy, sessionResting) {
		s.pool.resting.Add(1)
		s.shared.trunk.System().Root.Send(s.pid, m)
	}
}

// unread handles a failed read: an interruption, or the end of the session.
func (s *Session) unread(ctx context.Context, stream bool, err error, unsent bool) (again onecall.Repeat, _ error) {
	waited := ctx.Err() != nil && errors.Is(err, ctx.Err()) // ctx ended while next waited for credit
	if !s.interrupted() && !waited {
		return s.broke(ctx, err, unsent)
	}
	s.in.frames.Resume()
	s.in.drop()
	s.left(stream)
	if ctx.Err() != nil {
		return onecall.RepeatNever, callEnded(ctx)
	}
	return onecall.RepeatNever, errNoResponse
}

// callEnded returns the error of a call whose context has ended. It matches the
// context's error and its cause.
func callEnded(ctx context.Context) error {
	why := ctx.Err()
	if cause := context.Cause(ctx); !errors.Is(cause, why) {
		why = fmt.Errorf("%w: %w", why, cause)
	}
	if errors.Is(why, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", rpc.Timeout, why)
	}
	return fmt.Errorf("rpc: call given up: %w", why)
}

// CallFailed returns the error for a caller whose call has ended with err. After the
// caller's deadline it makes no difference whether our timer, the server's timer or the
// end of the session came first: the error matches [rpc.Timeout] and
// context.DeadlineExceeded. An error that the service has answered is returned unchanged.
func CallFailed(ctx context.Context, now time.Time, err error) error {
	end, bounded := ctx.Deadline()
	passed := bounded && !now.Before(end)
	expired := errors.Is(err, context.DeadlineExceeded)
	late := errors.Is(err, rpc.Timeout)
	switch {
	case !passed && !errors.Is(ctx.Err(), context.DeadlineExceeded), expired && late:
		return err
	case expired && ctx.Err() != nil:
		return callEnded(ctx)
	case expired:
		return fmt.Errorf("%w: %w", rpc.Timeout, err)
	case late, errors.Is(err, rpc.ErrSessionLost):
		return fmt.Errorf("%w: %w: %w", rpc.Timeout, context.DeadlineExceeded, err)
	}
	return err
}

// broke ends the session because of err, and returns the error of the call. unsent says
// that nothing of the request was sent.
func (s *Session) broke(ctx context.Context, err error, unsent bool) (again onecall.Repeat, _ error) {
	again = onecall.RepeatAnyTime
	if !unsent {
		again = s.machine.Repeat(endOf(err))
	}
	s.in.release()
	interrupted := s.interrupted()
	s.over()
	s.state.Store(sessionOver)
	s.shared.trunk.System().Root.Send(s.pid, sessionBroken{err})
	switch {
	case interrupted && ctx.Err() != nil:
		return onecall.RepeatNever, callEnded(ctx)
	case interrupted:
		return onecall.RepeatNever, errNoResponse
	case errors.Is(err, rpc.ErrProtocol), errors.Is(err, frame.ErrTooLong):
		return onecall.RepeatNever, err
	}
	return again, fmt.Errorf("%w: %w", rpc.ErrSessionLost, err)
}

// endOf returns how a session ended whose read or write has failed with err.
func endOf(err error) onecall.SessionEnd {
	switch {
	case errors.Is(err, io.EOF):
		return onecall.EndInOrder
	case errors.Is(err, mux.ErrReset):
		return onecall.EndReset
	}
	return onecall.EndLost
}

// clientSession is the actor of a Session: it owns the substream, makes the handshake, and
// does the work for which callers do not wait.
//
// In: sessionBroken, callLeft, sessionRests, closeSession. Out: sessionReady, sessionFree,
// sessionGone. It never restarts: the pool opens another session.
type clientSession struct {
	session *Session
	token   uint64
	handed  *supervisor.Handover[protocol.Stream]
	ready   bool
	closing bool
}

type (
	// closeSession ends an idle session in order.
	closeSession struct{}
	handshook    struct{}
	sessionLeft  struct{}
	sessionEnded struct{}
	closeOver    struct{}
	restOver     struct{}
)

func (a *clientSession) Receive(c actor.Context) {
	s := a.session
	switch m := c.Message().(type) {
	case *actor.Started:
		a.start(c)
	case supervisor.Done[handshook]:
		a.ready = m.Err == nil
		c.Send(s.shared.Client, sessionReady{a.token, s, m.Err})
	case restOfFrames:
		supervisor.Go(c, "write", nil, func(context.Context) error { return s.many.Load().gather.all() })
	case restOfAnswers:
		supervisor.Go(c, "drain", nil, func(ctx context.Context) error { s.many.Load().drain(ctx); return nil })
	case supervisor.TaskDone:
		if m.Err != nil {
			s.many.Load().lost(m.Err)
		}
	case callLeft:
		supervisor.Do(c, "leave call", func(ctx context.Context) (sessionLeft, error) { return sessionLeft{}, s.tell(ctx, m) })
	case supervisor.Done[sessionLeft]:
		if m.Err != nil {
			a.broken(c, m.Err)
			return
		}
		a.rested(c)
	case sessionRests:
		if m.pause > longestRest {
			a.close(c)
			return
		}
		supervisor.After(c, m.pause, restOver{})
	case restOver:
		a.rested(c)
	case sessionBroken:
		a.broken(c, m.err)
	case closeSession:
		a.close(c)
	case supervisor.Done[sessionEnded], closeOver:
		a.end(c)
	default:
		supervisor.Unhandled(c)
	}
}

func (a *clientSession) start(c actor.Context) {
	s := a.session
	s.pid = c.Self()
	stream, ok := a.handed.Take()
	if !ok {
		c.Send(s.shared.Client, sessionReady{a.token, s, actors.ErrConnectionClosed})
		return
	}
	supervisor.Own(c, stream)
	s.stream, s.in = stream, newFrameReader(s.shared, s.credit, stream)
	s.machine.Ours = s.ours()
	supervisor.Do(c, "handshake", func(ctx context.Context) (handshook, error) { return handshook{}, s.handshake(ctx) })
}

// handshake begins the session. A server may have refused the session before this node has
// sent anything (spec: comms 9.3).
func (s *Session) handshake(ctx context.Context) error {
	s.stream.SetReadDeadline(s.shared.trunk.Now().Add(onecall.ClientHandshake))
	s.stream.SetWriteDeadline(s.shared.trunk.Now().Add(onecall.ClientHandshake))
	var further []byte
	if s.ours() {
		further = []byte{manycalls.Version}
	}
	_, unsent := s.stream.Write(frame.Append(nil, onecall.AppendHello(nil, further...)))
	body, _, err := s.in.next(ctx, onecall.MaxHandshake)
	if err != nil {
		s.in.release()
		return fmt.Errorf("rpc: handshake: %w", errors.Join(err, unsent))
	}
	version, err := onecall.DecodeChoice(body, uint32(len(further)))
	s.in.free()
	if err != nil {
		s.in.release()
		return err
	}
	s.stream.SetReadDeadline(time.Time{})
	s.stream.SetWriteDeadline(time.Time{})
	s.in.frames.SetLimit(rpc.MaxFrame)
	if version == manycalls.Version {
		s.many.Store(newManyCalls(s))
	}
	return nil
}

// tellLimit bounds the time in which the rest of an abandoned stream is read.
const tellLimit = 10 * time.Second

// tell tells the server that a call is no longer wanted. After a stream it also pings, and
// skips the items that the server had sent before the answer of the ping. Any other call
// has at most one late answer, which the next call skips.
func (s *Session) tell(ctx context.Context, m callLeft) (err error) {
	defer func() {
		if err != nil {
			s.in.release()
		}
	}()
	s.stream.SetWriteDeadline(s.shared.trunk.Now().Add(onecall.CancelLimit))
	frames := onecall.AppendRequest(nil, m.stop)
	if m.stream {
		frames = onecall.AppendRequest(frames, s.machine.Ping(rpc.DefaultDeadline))
		s.machine.Drain()
	}
	n, err := s.stream.Write(frames)
	s.bytesOut.Add(uint64(n))
	if err != nil {
		return err
	}
	s.stream.SetWriteDeadline(time.Time{})
	if !m.stream {
		return nil
	}
	s.stream.SetReadDeadline(s.shared.trunk.Now().Add(tellLimit))
	for {
		body, _, err := s.in.next(ctx, rpc.MaxFrame)
		if err != nil {
			return err
		}
		s.bytesIn.Add(uint64(s.in.n + frame.HeaderLen))
		response, err := onecall.DecodeResponse(body)
		if err != nil {
			return err
		}
		event, err := s.machine.Received(response)
		s.in.free()
		switch {
		case err != nil:
			return err
		case event.Meaning == onecall.Pong:
			s.stream.SetReadDeadline(time.Time{})
			return nil
		}
	}
}

// bye ends an idle session in order: it sends our end and awaits the peer's, for at most
// [connections.FinishLimit].
func (s *Session) bye(ctx context.Context) error {
	defer s.in.release()
	if m := s.many.Load(); m != nil {
		m.mu.Lock()
		m.gather.finish()
		m.mu.Unlock()
	}
	if err := s.stream.CloseWrite(); err != nil {
		return err
	}
	s.stream.SetReadDeadline(s.shared.trunk.Now().Add(connections.FinishLimit))
	for {
		if _, _, err := s.in.next(ctx, rpc.MaxFrame); err != nil {
			return err
		}
		s.in.free()
	}
}

func (a *clientSession) rested(c actor.Context) {
	s := a.session
	if s.state.CompareAndSwap(sessionResting, sessionIdle) {
		s.pool.resting.Add(-1)
		c.Send(s.shared.Client, sessionFree{s.key})
	}
}

// close ends a session that no caller uses, in order.
func (a *clientSession) close(c actor.Context) {
	s := a.session
	a.closing = true
	if s.state.Swap(sessionOver) == sessionResting {
		s.pool.resting.Add(-1)
	}
	supervisor.Do(c, "close", func(ctx context.Context) (sessionEnded, error) { return sessionEnded{}, s.bye(ctx) })
	supervisor.After(c, 2*connections.FinishLimit, closeOver{}) // a server that reads nothing lets nothing be written either
}

func (a *clientSession) broken(c actor.Context, err error) {
	s := a.session
	if s.state.Swap(sessionOver) == sessionResting {
		s.in.release()
		s.pool.resting.Add(-1)
	}
	supervisor.Log(c).Debug("rpc session ended", "peer", s.key.Peer, "proto", s.key.Protocol, "err", err)
	a.end(c)
}

func (a *clientSession) end(c actor.Context) {
	c.Send(a.session.shared.Client, sessionGone{c.Self()})
}

func (s *Session) stats() SessionStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := SessionStats{
		Protocol: s.key.Protocol, Since: s.since, Calls: s.calls,
		Method: s.call.Method, Began: s.call.Began, Deadline: s.call.Deadline,
		BytesIn: s.bytesIn.Load(), BytesOut: s.bytesOut.Load(),
	}
	if s.many.Load() != nil {
		s.many.Load().stats(&st)
	}
	return st
}

// Inspect returns the statistics of the session.
func (a *clientSession) Inspect() any { return a.session.stats() }

func (a *clientSession) String() string {
	s := a.session.stats().text(a.session.shared.trunk.Now())
	switch {
	case !a.ready:
		s += ", handshake"
	case a.closing:
		s += ", closing"
	}
	return s
}
