package rpcpart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/park"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/protocol/manycalls"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// servedSession is the state of a session of a peer with a service of this node. The
// session's tasks and its actor share it. There are two roles: reading, and running
// methods. One task has both roles as long as methods are quick, so that a short call
// costs no hand-over. When a method takes longer, another task takes over the reading, so
// that the client can stop the call. The first task then ends with the method.
type servedSession struct {
	shared  *Calls
	service *registered
	caller  rpc.Caller
	origin  actors.Origin
	holder  holder
	account *inboundCredit // of all sessions of the peer
	tell    func(any)      // sends the session's actor a message
	conn    *actors.ConnRef
	stream  protocol.Stream
	parker  *park.Parker // of the stream
	since   time.Time

	in frameReader // used by the task that reads

	mu      sync.Mutex
	machine *onecall.Server // nil until the handshake is over, and with many
	many    *servedCalls    // the session carries many calls at once; nil: one, or the handshake is not over
	calls   uint64
	cancel  context.CancelCauseFunc // cancels the running call; nil: none runs
	queued  heldFrame               // frame of the request that waits in the machine
	split   bool                    // two tasks have the two roles
	over    bool                    // nothing more is accepted or answered
	rejects bool                    // the handshake under way is answered with a refusal

	writing sync.Mutex // locked while a frame is written

	out []byte // used by the task that runs methods; nil between calls

	bytesIn, bytesOut atomic.Uint64
	seen              uint64 // value of calls at the monitor's last check
}

// Messages of the tasks to their actor.
type (
	// methodRuns asks for another task that reads while the call runs.
	methodRuns struct{ call uint64 }
	// handshakeOver reports that the session no longer counts as pending.
	handshakeOver struct{}
	// methodPanicked reports the panic of a method; the service's policy decides what
	// follows. The method's caller has been answered already.
	methodPanicked struct {
		method rpc.Method
		value  any
		stack  []byte
	}
	// methodFailed reports an error whose text is not sent to the peer. The session's
	// actor adds peer and id, and passes the message on to rpc.
	methodFailed struct {
		method rpc.Method
		err    error
		peer   identity.NodeID
		id     protocol.ID
	}
	// callsOver reports that the session can end in order: its last accepted call has
	// been answered.
	callsOver struct{}
)

// Error makes methodPanicked an error, which stands for the panic until the caller has
// been answered.
func (m *methodPanicked) Error() string {
	return fmt.Sprintf("rpc: method %s panicked: %v", m.method, m.value)
}

// serviceFailed is what the caller of a method hears of its panic.
const serviceFailed = "the service failed"

// Causes of the end of a method's context, and errors of a method's answers.
var (
	errGivenUp      = fmt.Errorf("rpc: the client has given up: %w", context.Canceled)
	errExpired      = fmt.Errorf("rpc: the deadline has passed: %w", context.DeadlineExceeded)
	errSessionOver  = fmt.Errorf("rpc: the session has ended: %w", context.Canceled)
	errNobodyWants  = errors.New("rpc: nobody wants the answer any more")
	errTwoAnswers   = errors.New("rpc: a unary method answered twice")
	errNoAnswerMade = errors.New("rpc: a unary method gave no answer")
)

// serve is the first task of a session.
func (s *servedSession) serve(ctx context.Context) error {
	if err := s.handshake(ctx); err != nil {
		s.in.release()
		return err
	}
	if s.many != nil {
		return s.many.read(ctx)
	}
	return s.read(ctx)
}

func (s *servedSession) handshake(ctx context.Context) error {
	s.stream.SetReadDeadline(s.shared.trunk.Now().Add(onecall.ServerHandshake))
	s.stream.SetWriteDeadline(s.shared.trunk.Now().Add(onecall.ServerHandshake))
	hello, _, err := s.in.next(ctx, onecall.MaxHandshake)
	if err != nil {
		return fmt.Errorf("rpc: handshake: %w", err)
	}
	supported, err := onecall.DecodeHello(hello)
	many, _ := onecall.OfferOf(hello, manycalls.Version)
	many = many && s.service.own == nil // those are called rarely, and peers of every release know version 0
	s.in.free()
	if err != nil {
		return err
	}
	if !supported {
		return refuse(s.shared, s.stream, rpc.UnsupportedVersion)
	}
	now := s.shared.trunk.Now()
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		io.Copy(io.Discard, io.LimitReader(s.stream, 2*onecall.MaxHandshake)) // until the client has read why
		return errRefused
	}
	accepted := onecall.AppendAccepted(nil)
	if many {
		accepted = onecall.AppendChosen(nil, manycalls.Version)
		s.in.uncharged = true
		s.many = newServedCalls(s, now, func() { s.tell(restOfFrames{}) })
	} else {
		s.machine = onecall.NewServer(now, s.service.options(s.shared.Idle))
	}
	s.mu.Unlock()
	supervisor.Tell(ctx, handshakeOver{})
	if _, err := s.stream.Write(frame.Append(nil, accepted)); err != nil {
		return fmt.Errorf("rpc: handshake: %w", err)
	}
	s.stream.SetReadDeadline(time.Time{})
	s.stream.SetWriteDeadline(time.Time{})
	if s.many != nil {
		s.many.start()
	}
	s.in.frames.SetLimit(rpc.MaxFrame)
	s.in.bounded = s.stream.SetReadDeadline // until now one deadline bounded the whole handshake
	return nil
}

var errRefused = errors.New("rpc: session refused")

// refuse tells a client that it gets no session, and waits until the client has read that.
// A reset at once could overtake the answer.
func refuse(e *Calls, s protocol.Stream, why rpc.Reason) error {
	s.SetWriteDeadline(e.trunk.Now().Add(onecall.ServerHandshake))
	s.SetReadDeadline(e.trunk.Now().Add(onecall.ServerHandshake))
	if _, err := s.Write(frame.Append(nil, onecall.AppendRejected(nil, why))); err != nil {
		return err
	}
	if err := s.CloseWrite(); err != nil {
		return err
	}
	io.Copy(io.Discard, io.LimitReader(s, 2*onecall.MaxHandshake))
	return fmt.Errorf("%w: %v", errRefused, why)
}

// read performs the reading role. It returns when the session ends, when another task
// has taken over the role, or with [park.ErrParked] when nothing comes.
func (s *servedSession) read(ctx context.Context) error {
	for {
		if err := s.await(); err != nil {
			return err
		}
		body, ok, err := s.in.next(ctx, rpc.MaxRequest)
		if err == nil {
			s.bytesIn.Add(uint64(s.in.n + frame.HeaderLen))
			err = s.frame(ctx, body, ok)
		}
		if err != nil {
			return s.readEnds(err)
		}
	}
}

// readEnds ends the reading role because of err, and with it the session unless another task reads.
func (s *servedSession) readEnds(err error) error {
	switch {
	case errors.Is(err, errHandedOver):
		return nil
	case errors.Is(err, io.EOF):
		s.in.release()
		s.clientLeft()
		return nil
	}
	s.in.release()
	s.end()
	return err
}

// await waits for a frame. If the actor interrupts it before anything has come, it returns
// [park.ErrParked], and the session has neither a goroutine nor buffers.
func (s *servedSession) await() error {
	r := &s.in
	for !r.skips && r.frames.Buffered() < frame.HeaderLen {
		s.parker.Begin()
		err := r.frames.Await()
		if !s.parker.End() {
			return nil // next returns the error
		}
		r.frames.Resume()
		if r.nothing(err) {
			s.parker.Listen()
			err = r.frames.Await()
			r.frames.Resume()
			if r.nothing(err) {
				r.rest()
				return s.parker.Park()
			}
			s.parker.Ignore()
		}
		s.stream.SetReadDeadline(time.Time{})
	}
	return nil
}

// errHandedOver ends a task whose reading was taken over.
var errHandedOver = errors.New("rpc: handed over")

// frame handles one frame of the client.
func (s *servedSession) frame(ctx context.Context, body []byte, whole bool) error {
	now := s.shared.trunk.Now()
	var request onecall.Request
	if whole {
		var err error
		if request, err = onecall.DecodeRequest(body); err != nil {
			s.in.free()
			return err
		}
	}
	s.mu.Lock()
	if s.over { // the client will see the end
		s.mu.Unlock()
		s.in.free()
		return nil
	}
	var verdict onecall.Verdict
	var answer onecall.Response
	var err error
	if whole {
		verdict, answer, err = s.machine.Received(now, request)
	} else {
		verdict, answer, err = s.machine.TooLarge(now, onecall.RequestID(body))
	}
	s.dropQueued()
	var call onecall.CallInfo
	switch {
	case err != nil:
	case verdict == onecall.Cancel:
		if s.cancel != nil { // otherwise the call is about to begin, and asks the machine first
			s.cancel(errGivenUp)
		}
	case verdict == onecall.Run:
		s.calls++
		call, _, _ = s.machine.Running()
	case verdict == onecall.Queue:
		s.queued = s.in.detach()
	}
	s.mu.Unlock()
	switch {
	case err != nil:
		s.in.free()
		return err
	case verdict == onecall.Run:
		return s.run(ctx, call, request.Payload)
	}
	s.in.free()
	if verdict == onecall.Answer {
		if err = s.answer(answer); err == nil {
			s.tellLeft(ctx)
		}
	}
	return err
}

// dropQueued gives back the queued frame if its request no longer waits. The caller holds
// s.mu.
func (s *servedSession) dropQueued() {
	if !s.machine.Waits() {
		s.queued.giveBack()
	}
}

// answer sends a response other than the data of a method, and reports the end of the
// write to the machine. A write that fails has no end there, so that the session is not
// taken for one that has answered everything.
func (s *servedSession) answer(r onecall.Response) error {
	err := s.write(onecall.AppendResponse(nil, r))
	if err == nil {
		s.wrote()
	}
	return err
}

func (s *servedSession) write(frame []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	n, err := s.stream.Write(frame)
	s.bytesOut.Add(uint64(n))
	return err
}

func (s *servedSession) wrote() {
	now := s.shared.trunk.Now()
	s.mu.Lock()
	s.machine.Wrote(now)
	s.mu.Unlock()
}

// run performs the role of running methods: for one call, and for a call that is queued
// meanwhile. After that the task goes on reading, unless another task reads: then run
// returns errHandedOver.
func (s *servedSession) run(ctx context.Context, call onecall.CallInfo, payload []byte) error {
	body := s.in.detach()
	ended := false
	defer func() {
		if !ended { // the method has ended its goroutine
			body.giveBack()
			s.end()
			s.mu.Lock()
			defer s.mu.Unlock()
			s.queued.giveBack()
		}
	}()
	for {
		err := s.call(ctx, call, payload)
		body.giveBack()
		if s.out != nil {
			putBuffer(s.out)
			s.out = nil
		}
		now := s.shared.trunk.Now()
		s.mu.Lock()
		next := s.machine.Done(now)
		s.cancel = nil
		if err == nil && next != nil && !s.over {
			s.calls++
			body, s.queued = s.queued, heldFrame{}
			s.mu.Unlock()
			call, payload = next.Call, next.Payload
			continue
		}
		s.queued.giveBack()
		ended = true
		handedOver := s.split
		s.split = false
		s.mu.Unlock()
		if err != nil {
			s.end()
		} else {
			s.tellLeft(ctx)
		}
		if handedOver { // the reading task sees the end itself
			return errHandedOver
		}
		return err
	}
}

// call runs one method and sends its answer. An error ends the session.
func (s *servedSession) call(ctx context.Context, call onecall.CallInfo, payload []byte) error {
	method, ok := s.service.methods[call.Method]
	if !ok {
		return s.finish(rpc.UnsupportedMethod, unsupported(call.Method))
	}
	inner, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	s.mu.Lock()
	if s.over { // cut before the method has begun
		s.mu.Unlock()
		return errSessionOver
	}
	s.cancel = cancel
	if _, _, wanted := s.machine.Running(); !wanted {
		cancel(errGivenUp)
	}
	serial := s.calls
	s.mu.Unlock()
	s.conn.Link().Live.CallBegins(s.service.Protocol)
	defer s.conn.Link().Live.CallEnds()
	caller := s.caller
	if method.Streams() {
		supervisor.Tell(ctx, methodRuns{serial})
	} else {
		s.shared.monitor.wake(s.shared)
		caller.Deadline = call.Deadline
	}
	a := responseWriter{s: s, stream: method.Streams()}
	_, err := s.shared.serve(inner, s.service, method, func() error { return method.Serve(rpc.WithCaller(inner, &caller), payload, a.send) })
	if panicked, ok := err.(*methodPanicked); ok {
		if err = a.broken; err == nil {
			err = s.finish(rpc.General, serviceFailed)
		}
		supervisor.Tell(ctx, *panicked) // after the answer: the policy may end the session
		return err
	}
	switch {
	case a.broken != nil:
		return a.broken
	case err == nil && a.stream:
		return s.finish(rpc.OK, "")
	case err == nil && !a.sent:
		err = errNoAnswerMade
	case err == nil:
		return nil
	}
	if errors.Is(err, errNobodyWants) || inner.Err() != nil && errors.Is(err, inner.Err()) {
		return s.finish(rpc.Timeout, "") // finish sends nothing: the answer has ended already
	}
	status, details, private := onecall.StatusOf(err)
	if private {
		supervisor.Tell(ctx, methodFailed{method: method, err: err})
	}
	return s.finish(status, details)
}

// serveMethod runs the user's function. A panic in it becomes an error.
func serveMethod(m rpc.Method, serve func() error) (err error) {
	done := false
	defer func() {
		if done {
			return
		}
		value := recover()
		if value == nil {
			return // runtime.Goexit ends the task
		}
		err = &methodPanicked{m, value, debug.Stack()}
	}()
	err = serve()
	done = true
	return err
}

// responseWriter sends the answers of a method.
type responseWriter struct {
	s      *servedSession
	stream bool
	sent   bool
	broken error // the session cannot go on
}

func (a *responseWriter) send(encode func([]byte) ([]byte, error)) error {
	s := a.s
	if !a.stream && a.sent {
		return errTwoAnswers
	}
	var room [onecall.Room]byte
	if s.out == nil {
		s.out = getBuffer()
	}
	buf, err := encode(append(s.out[:0], room[:]...))
	if err != nil {
		return err
	}
	s.out = buf[:0]
	now := s.shared.trunk.Now()
	s.mu.Lock()
	var r onecall.Response
	var wanted bool
	if a.stream {
		r, wanted = s.machine.Item(now)
	} else {
		r, wanted = s.machine.Finish(now, rpc.OK)
	}
	wanted = wanted && !s.over
	s.mu.Unlock()
	if !wanted {
		return errNobodyWants
	}
	a.sent = true
	framed := onecall.FrameResponse(buf, r)
	if n := len(framed) - frame.HeaderLen; n > s.service.limit {
		return a.tooLarge(now, r, n)
	}
	if a.broken = s.write(framed); a.broken != nil {
		return errNobodyWants
	}
	s.wrote()
	return nil
}

// tooLarge answers with an error in place of a response above the service's limit. The
// session goes on (spec: comms 9.4, V 16).
func (a *responseWriter) tooLarge(now time.Time, r onecall.Response, n int) error {
	text := fmt.Sprintf("response of %d bytes; at most %d are sent", n, a.s.service.limit)
	if a.stream {
		a.s.wrote()
		return rpc.Errorf(rpc.MalformedResponse, "%s", text)
	}
	r.Status, r.Payload = rpc.MalformedResponse, []byte(text)
	a.broken = a.s.answer(r)
	return nil
}

// finish sends the last response of a call, if the client still waits for it.
func (s *servedSession) finish(status rpc.Status, details string) error {
	now := s.shared.trunk.Now()
	s.mu.Lock()
	r, wanted := s.machine.Finish(now, status)
	wanted = wanted && !s.over
	s.mu.Unlock()
	if !wanted {
		return nil
	}
	r.Payload = []byte(details)
	return s.answer(r)
}

// clientLeft handles the end of the client's half of the substream. It cuts the session if
// a call runs; otherwise it ends the session in order.
func (s *servedSession) clientLeft() {
	if s.many != nil && s.many.runsAny() {
		s.end()
		return
	}
	s.mu.Lock()
	running := false
	if s.machine != nil {
		_, running, _ = s.machine.Running()
	}
	s.mu.Unlock()
	if running {
		s.end()
		return
	}
	s.leave()
}

// close makes the session accept no further request. It reports whether the session can
// end now; otherwise callsOver follows. A handshake under way can, with a refusal.
func (s *servedSession) close() (left bool) {
	if many := s.carries(); many != nil {
		return many.close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shut()
}

// shut does what close does. The caller holds s.mu.
func (s *servedSession) shut() (left bool) {
	if s.machine == nil {
		s.over, s.rejects = true, true
		return true
	}
	s.machine.Leave()
	return s.left()
}

// carries returns the calls of a session that carries many; nil: it carries one, or its handshake goes on.
func (s *servedSession) carries() *servedCalls {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.many
}

// doing returns what the session does, and since when.
func (s *servedSession) doing() (doing, time.Time) {
	if many := s.carries(); many != nil {
		return many.doing()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over, s.stream == nil:
	case s.machine == nil:
		return silent, s.since
	default:
		if since, ok := s.machine.Idle(); ok {
			return idle, since
		}
	}
	return busy, time.Time{}
}

// makeWay closes the session to further requests if it has nothing to do, and reports whether it
// did. A handshake under way will be answered with a refusal.
func (s *servedSession) makeWay() bool {
	if many := s.carries(); many != nil {
		return many.makeWay()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.stream == nil {
		return false
	}
	if s.machine != nil {
		if _, ok := s.machine.Idle(); !ok {
			return false
		}
	}
	return s.shut()
}

// left reports whether the session can end in order. From then on it ignores everything.
// The caller holds s.mu.
func (s *servedSession) left() bool {
	if !s.machine.Left() {
		return false
	}
	s.over = true
	return true
}

// tellLeft sends callsOver if the session can end in order.
func (s *servedSession) tellLeft(ctx context.Context) {
	s.mu.Lock()
	left := s.left()
	s.mu.Unlock()
	if left {
		supervisor.Tell(ctx, callsOver{})
	}
}

// leave ends the session in order: it sends our end, to a handshake a refusal before. The reading task waits for the
// client's end for at most [connections.FinishLimit].
func (s *servedSession) leave() {
	s.mu.Lock()
	s.over = true
	rejects := s.rejects
	s.mu.Unlock()
	if s.stream == nil {
		return // begin refuses it
	}
	if many := s.carries(); many != nil {
		many.leave()
	}
	s.writing.Lock()
	if rejects {
		_, _ = s.stream.Write(frame.Append(nil, onecall.AppendRejected(nil, rpc.NoServerSessions))) // a client that is gone needs no refusal
	}
	s.stream.CloseWrite()
	s.writing.Unlock()
	s.stream.SetReadDeadline(s.shared.trunk.Now().Add(connections.FinishLimit))
}

// end cuts the session: nothing more is read or written, and the context of a running
// method is cancelled.
func (s *servedSession) end() {
	s.mu.Lock()
	s.over = true
	if s.cancel != nil {
		s.cancel(errSessionOver)
	}
	stream, many := s.stream, s.many
	s.mu.Unlock()
	if many != nil {
		many.end()
	}
	if stream != nil {
		stream.Close()
	}
}

// begin gives the session its substream. It returns false if the session has ended
// before: a service may be removed while the session's actor has not started yet.
func (s *servedSession) begin(stream protocol.Stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.stream = stream
	return true
}

// look is called at each check of the monitor. running reports whether a call runs while
// no task reads. slow reports whether the same call did so at the last check.
func (s *servedSession) look() (call uint64, running, slow bool) {
	if many := s.carries(); many != nil {
		return many.look()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	running = s.machine != nil && s.cancel != nil && !s.split
	slow = running && s.calls == s.seen
	s.seen = s.calls
	return s.calls, running, slow
}

// takeOver marks the reading as taken over by another task, if the call still runs. It
// reports whether it did so.
func (s *servedSession) takeOver(call uint64) bool {
	if many := s.carries(); many != nil {
		return many.takeOver(call)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.split || s.over || s.cancel == nil || s.calls != call {
		return false
	}
	s.split = true
	return true
}

// callMonitor wakes the rpc actor when a call begins, unless it is awake.
type callMonitor struct{ awake atomic.Bool }

// monitorWake asks the rpc actor to check the running calls regularly.
type monitorWake struct{}

func (m *callMonitor) wake(k *Calls) {
	if !m.awake.Load() && m.awake.CompareAndSwap(false, true) {
		k.trunk.System().Root.Send(k.Server, monitorWake{})
	}
}
