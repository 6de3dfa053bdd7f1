package rpcpart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/protocol/manycalls"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/internal/turns"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// servedCalls is the server's side of a session that carries many calls. One task reads. It runs methods that have been
// quick so far itself, and another task takes over the reading if one is not. Other methods have tasks of their own.
type servedCalls struct {
	s *servedSession

	mu      sync.Mutex
	machine *manycalls.Session
	gather  gather
	running map[*servedCall]struct{} // whose methods have not returned
	shared  sharedCredit
	places  callPlaces // those that its calls have among those of all peers
	begun   uint64
	since   time.Time // when the last call ended
	over    bool      // nothing more is accepted or answered
	inlined bool      // the reading task has run methods whose answers may wait for it to write them
	inline  uint64    // the call that the reading task runs; 0: none
	seen    uint64    // value of inline at the monitor's last check
	split   bool      // another task has taken over the reading
	idle    int       // tasks that wait for a call
	asked   bool      // the actor is about to look at the time limits
	wakeAt  time.Time // when the actor looks at the time limits next

	work turns.Hand[*servedCall] // for the tasks that wait; nil ends one
}

// servedCall is one call. The session's mu guards its fields, but those that only its method uses.
type servedCall struct {
	c        *manycalls.Call
	serial   uint64
	number   uint32
	metadata rpc.Metadata
	limit    time.Duration
	until    time.Time // for the answer, or for the next item
	opened   time.Time

	memory   memory
	assembly assembly
	begins   bool // its method runs or is about to
	requests bool // the method takes a stream of requests
	request  arrived
	queue    queue     // requests of a stream that wait
	got      int       // cost of those that were taken since the window has grown
	wanted   callWants // memory that is to be taken for a request; a serial of 0: none
	asks     bool      // a task takes it, or is about to
	charged  int       // bytes that memory has for the request that comes
	waits    int       // for the client: of the method for a request, and of its answers for credit and room
	begun    bool      // its method runs
	placed   bool      // it has a place among those of all peers

	wake   turns.Bell // there is more credit; made when the call first waits for it
	came   turns.Bell // a request of a stream, or their end
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// Messages of the tasks to their actor.
type (
	// callRuns asks for a task that runs a call.
	callRuns struct{ call *servedCall }
	// callAsks asks for a task that takes the memory that a call wants.
	callAsks struct{ call *servedCall }
)

// callWants is memory that a call wants for a request.
type callWants struct{ n, serial int }

// unreadMost is how many bytes may wait for a peer that reads nothing before its requests and short answers wait as well, or calls of
// its services.
const unreadMost = 4 << 20

// idleTasks is how many tasks of a session may wait for a call.
const idleTasks = 4

func newServedCalls(s *servedSession, now time.Time, rest func()) *servedCalls {
	m := &servedCalls{s: s, machine: manycalls.NewServer(rpc.MaxRequest), running: make(map[*servedCall]struct{}), since: now, work: turns.NewHand[*servedCall](), places: s.shared.limit.join(s.holder)}
	m.gather = gather{mu: &m.mu, news: turns.News{L: &m.mu}, stream: s.stream, rest: rest}
	return m
}

// start gives the client what its calls share, if there is memory.
func (m *servedCalls) start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.over && m.shared.take(m.s.account) {
		m.machine.Share(manycalls.Shared)
		m.gather.control(m.machine)
		m.gather.later()
	}
}

// read performs the reading role, as servedSession.read does.
func (m *servedCalls) read(ctx context.Context) error {
	s := m.s
	for {
		if err := s.await(); err != nil {
			m.dismiss()
			return err
		}
		m.mu.Lock()
		err := m.gather.await(ctx, unreadMost, func() bool { return m.over })
		m.mu.Unlock()
		var body []byte
		if err == nil {
			body, _, err = s.in.next(ctx, manycalls.MaxFrame)
		}
		if err == nil {
			s.bytesIn.Add(uint64(s.in.n + frame.HeaderLen))
			err = m.frame(ctx, body)
		}
		if err != nil {
			return s.readEnds(err)
		}
	}
}

// dismiss ends the tasks that wait for a call.
func (m *servedCalls) dismiss() {
	m.mu.Lock()
	n := m.idle
	m.idle = 0
	m.mu.Unlock()
	for range n {
		m.work.Give(nil)
	}
}

// frame handles a frame of the client's.
func (m *servedCalls) frame(ctx context.Context, body []byte) error {
	f, err := manycalls.Decode(body)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over {
		return nil
	}
	e, err := m.machine.Received(&f)
	if err != nil {
		return err
	}
	m.gather.control(m.machine)
	if e.All() {
		for _, c := range m.machine.All() {
			c.User.(*servedCall).wake.Ring()
		}
	} else if e.Call != nil {
		if err := m.event(ctx, &f, e); err != nil {
			return err
		}
	}
	switch {
	case m.s.in.frames.Ready() && len(m.gather.out) <= gathered: // what answers the next frame leaves with this
	case m.inlined && m.split: // another task reads, and runs calls
		m.inlined = false
		m.flush()
	case m.inlined: // as a call that runs here, so that another task reads if this one must wait
		m.inlined, m.inline = false, m.begun
		m.flush()
		if m.inline = 0; m.split {
			m.split = false
			return errHandedOver
		}
	default:
		m.gather.later()
	}
	return nil
}

// event handles a frame of a call.
func (m *servedCalls) event(ctx context.Context, f *manycalls.Frame, e manycalls.Event) error {
	k, _ := e.Call.User.(*servedCall)
	if f.Kind == manycalls.Open {
		now := m.s.shared.trunk.Now()
		m.begun++
		k = &servedCall{
			c: e.Call, serial: m.begun, number: uint32(f.Number), limit: min(time.Duration(min(f.Deadline, uint64(rpc.MaxDeadline/time.Millisecond)))*time.Millisecond, rpc.MaxDeadline),
			opened: now, memory: memory{of: m.s.account},
		}
		k.until = now.Add(k.limit)
		k.ctx, k.cancel = context.WithCancelCause(context.Background())
		e.Call.User = k
		if len(f.Metadata) > 0 {
			k.metadata = make(rpc.Metadata, len(f.Metadata))
		}
		for _, p := range f.Metadata {
			k.metadata[p.Name] = p.Value
		}
		if err := m.places.take(); err != nil {
			m.refuse(k, rpc.Exhausted, err.Error())
			return nil
		}
		k.placed = true
		m.looksAt(k.until)
	}
	switch f.Kind {
	case manycalls.Open, manycalls.Message:
		return m.request(ctx, k, f, e)
	case manycalls.End:
		if !k.begins {
			m.refuse(k, rpc.BadRequest, noRequest)
			return nil
		}
		k.came.Ring()
	case manycalls.Cancel:
		m.machine.End(k.c)
		m.gather.control(m.machine)
		why := errGivenUp
		if !m.s.shared.trunk.Now().Before(k.until) { // due has not looked yet
			why = errExpired
		}
		k.cancel(why)
		m.forget(k)
		m.tellLeft(ctx)
	case manycalls.Credit:
		k.wake.Ring()
	}
	return nil
}

// request handles a part of a request, or a call that begins without one.
func (m *servedCalls) request(ctx context.Context, k *servedCall, f *manycalls.Frame, e manycalls.Event) error {
	switch {
	case k.begins && !k.requests:
		m.refuse(k, rpc.BadRequest, "the method takes one request")
		return nil
	case e.TooLong:
		m.refuse(k, rpc.BadRequest, fmt.Sprintf("a request of %d bytes; at most %d are taken", e.Length, rpc.MaxRequest))
		return nil
	}
	method, ok := m.s.service.methods[k.number]
	switch {
	case f.Bare && !m.runnable(k, ok):
		return nil
	case f.Kind == manycalls.Open && method.TakesStream() && k.limit > 0:
		k.begins, k.requests, k.came = true, true, turns.NewBell()
		if n := k.memory.firstWindow(); n > 0 {
			m.machine.Grow(k.c, n)
			m.gather.control(m.machine)
		}
		defer func() {
			m.running[k] = struct{}{}
			_ = m.dispatch(ctx, k)
		}()
	}
	if f.Bare {
		return nil
	}
	if e.Charge > 0 {
		if k.memory.tryTake(e.Charge) {
			k.charged = e.Charge
			m.machine.Charged(k.c, e.Serial)
			m.gather.control(m.machine)
		} else if k.wanted = (callWants{e.Charge, e.Serial}); !k.asks {
			k.asks = true
			supervisor.Tell(ctx, callAsks{k})
		}
	}
	request, whole := k.assembly.add(&m.s.in, e, f.Payload, !k.requests || k.waits > 0 && k.queue.len() == 0)
	switch {
	case !whole:
	case k.requests:
		request.charge, k.charged = k.charged, 0
		k.queue.push(request)
		k.came.Ring()
	default:
		k.request, k.begins = request, true
		return m.begin(ctx, k)
	}
	return nil
}

// receive hands the next request of a stream to the method. ctx is that of the method's call, or ends before.
func (m *servedCalls) receive(ctx context.Context, k *servedCall, got func([]byte) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k.queue.len() == 0 {
		switch {
		case k.c.Over() || m.over || k.ctx.Err() != nil:
			return errNobodyWants
		case k.c.Ended():
			return io.EOF
		case ctx.Err() != nil:
			return ctx.Err()
		}
		m.await(ctx, k, k.came)
	}
	a := k.queue.pop()
	if a.charge > 0 {
		k.memory.giveBack(a.charge)
	} else if k.wanted.serial == a.serial { // it needs no memory any more
		k.wanted = callWants{}
		m.machine.Charged(k.c, a.serial)
	}
	m.goesOn(k)
	err := m.give(a, got)
	if err == nil && !k.c.Over() && !m.over {
		k.got += a.cost
		m.machine.Taken(k.c, a.cost, k.memory.growth(&k.got, k.c.Window(), k.queue.len()))
		m.gather.control(m.machine)
		m.flushAfter(k)
	}
	return err
}

// give hands a request to the method, without the session's lock, which the caller holds.
func (m *servedCalls) give(a arrived, got func([]byte) error) error {
	m.mu.Unlock()
	defer m.mu.Lock() // also when got panics
	defer a.frame.giveBack()
	return got(a.body)
}

// await waits for the client, for the bell that says what it waits for. The caller holds mu, which await unlocks meanwhile.
func (m *servedCalls) await(ctx context.Context, k *servedCall, bell turns.Bell) {
	k.waits++
	m.goesOn(k)
	m.mu.Unlock()
	bell.Await(ctx)
	m.mu.Lock()
	k.waits--
	m.goesOn(k)
}

// goesOn gives the method its time again, for the answer or the next item. While it waits for its client, that is the client's.
func (m *servedCalls) goesOn(k *servedCall) {
	limit := k.limit
	if k.waits > 0 {
		limit = rpc.MaxDeadline
	}
	k.until = m.s.shared.trunk.Now().Add(limit)
	m.looksAt(k.until)
}

// looksAt has the actor look at the time limits at that time, or before.
func (m *servedCalls) looksAt(at time.Time) {
	if (at.Before(m.wakeAt) || m.wakeAt.IsZero()) && !m.asked {
		m.asked, m.wakeAt = true, at
		m.s.tell(machineDue{})
	}
}

// wants takes the memory that a call wants, until it wants no more. A task calls it.
func (m *servedCalls) wants(k *servedCall) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k.wanted.serial != 0 {
		w := k.wanted
		m.mu.Unlock()
		err := m.s.account.Take(k.ctx, w.n)
		m.mu.Lock()
		if err != nil {
			break
		}
		if k.wanted == w {
			m.has(k, w)
		} else { // the call has ended, or wants something else
			m.s.account.Return(w.n)
		}
	}
	k.asks = false
}

// has is told that the memory was taken that a call wanted.
func (m *servedCalls) has(k *servedCall, w callWants) {
	k.wanted = callWants{}
	k.memory.took(w.n)
	if a := k.queue.find(w.serial); a != nil {
		a.charge = w.n
	} else {
		k.charged = w.n
	}
	m.machine.Charged(k.c, w.serial)
	m.gather.control(m.machine)
	m.gather.later()
}

// refuse answers a call whose method has not begun.
func (m *servedCalls) refuse(k *servedCall, status rpc.Status, details string) {
	_, runs := m.running[k] // it has sent more than its request
	m.done(k, status, details, !runs)
	k.cancel(nil)
	m.forget(k)
}

// done answers a call with a status, if the client still waits.
func (m *servedCalls) done(k *servedCall, status rpc.Status, details string, unrun bool) {
	if k.c.Over() {
		return
	}
	m.machine.End(k.c)
	m.gather.control(m.machine)
	m.gather.add(&manycalls.Frame{Call: k.c.ID, Kind: manycalls.Done, Number: uint64(status), Last: unrun, Payload: []byte(details)})
}

// tellLeft tells the actor if the session can end. The caller holds mu.
func (m *servedCalls) tellLeft(ctx context.Context) {
	if m.left() {
		supervisor.Tell(ctx, callsOver{})
	}
}

// forget gives back what a call holds, unless its method runs.
func (m *servedCalls) forget(k *servedCall) {
	if _, runs := m.running[k]; runs {
		return
	}
	if k.placed {
		k.placed = false
		m.places.giveBack()
	}
	k.request.frame.giveBack()
	for _, a := range k.queue.take() {
		a.frame.giveBack()
	}
	k.wanted = callWants{}
	k.memory.release()
	if m.since = m.s.shared.trunk.Now(); m.nothing() {
		m.looksAt(m.since.Add(m.s.shared.Idle)) // the last look may have been in the call
	}
}

// begin runs the method of a call: at once, or on a task of its own. The caller holds mu, which begin unlocks meanwhile.
func (m *servedCalls) begin(ctx context.Context, k *servedCall) error {
	method, ok := m.s.service.methods[k.number]
	if !m.runnable(k, ok) {
		return nil
	}
	m.running[k] = struct{}{}
	if method.Streams() || m.split || m.inline != 0 || m.s.service.slow[k.number].Load() > 0 {
		return m.dispatch(ctx, k)
	}
	m.inline, m.inlined = k.serial, true
	m.mu.Unlock()
	m.s.shared.monitor.wake(m.s.shared)
	returned := false
	defer func() {
		if !returned { // the method has ended its goroutine
			m.s.end()
			m.mu.Lock()
		}
	}()
	m.run(ctx, k)
	returned = true
	m.mu.Lock()
	m.inline = 0
	if m.split {
		m.split = false
		m.flush()
		return errHandedOver
	}
	return nil
}

// runnable refuses a call whose method is not there, or has no time.
func (m *servedCalls) runnable(k *servedCall, there bool) bool {
	switch {
	case !there:
		m.refuse(k, rpc.UnsupportedMethod, unsupported(k.number))
	case k.limit <= 0:
		m.refuse(k, rpc.BadRequest, "a deadline of nothing")
	default:
		return true
	}
	return false
}

// dispatch has a task run the call.
func (m *servedCalls) dispatch(ctx context.Context, k *servedCall) error {
	if m.idle == 0 {
		supervisor.Tell(ctx, callRuns{k})
		return nil
	}
	m.idle--
	m.mu.Unlock()
	m.work.Give(k)
	m.mu.Lock()
	return nil
}

// runs is a task that runs calls.
func (m *servedCalls) runs(ctx context.Context, k *servedCall) error {
	for k != nil {
		m.run(ctx, k)
		m.mu.Lock()
		waits := m.idle < idleTasks && !m.over && !m.machine.Left()
		if waits {
			m.idle++
		}
		m.mu.Unlock()
		if !waits {
			return nil
		}
		k = m.work.Take()
	}
	return nil
}

// run runs the method of a call and answers it.
func (m *servedCalls) run(ctx context.Context, k *servedCall) {
	s := m.s
	m.mu.Lock()
	_, waits := m.running[k]
	k.begun = true
	m.mu.Unlock()
	if !waits { // cut meanwhile
		return
	}
	returned := false
	defer func() {
		if !returned { // also when the method ends its goroutine
			m.mu.Lock()
			m.done(k, rpc.General, serviceFailed, false)
			m.gather.later()
			m.mu.Unlock()
		}
		m.ended(ctx, k)
	}()
	method := s.service.methods[k.number]
	caller := s.caller
	caller.Metadata = k.metadata
	if !method.Streams() && !k.requests {
		caller.Deadline = k.until
	}
	s.conn.Link().Live.CallBegins(s.service.Protocol)
	defer s.conn.Link().Live.CallEnds()
	w := callWriter{m: m, k: k, stream: method.Streams()}
	defer func() { putBuffer(w.buf) }()
	took, err := s.shared.serve(k.ctx, s.service, method, func() error {
		if ctx := rpc.WithCaller(k.ctx, &caller); !k.requests {
			return method.Serve(ctx, k.request.body, w.send)
		} else {
			defer context.AfterFunc(k.ctx, k.came.Ring)() // an interceptor may have made another ctx
			return method.ServeStream(ctx, func(ctx context.Context, got func([]byte) error) error { return m.receive(ctx, k, got) }, w.send)
		}
	})
	returned = true
	m.finish(ctx, k, &w, err)
	pace := s.service.slow[k.number]
	if took > slowCall {
		pace.Store(slowTurns)
	} else if n := pace.Load(); n > 0 {
		pace.CompareAndSwap(n, n-1)
	}
}

const (
	// slowCall is how long a method may take that the reading task runs. slowTurns is how many calls must be quicker
	// until it does so again.
	slowCall  = time.Millisecond
	slowTurns = 16
)

// finish answers a call whose method has returned err.
func (m *servedCalls) finish(ctx context.Context, k *servedCall, w *callWriter, err error) {
	status, details := rpc.OK, ""
	var after any
	panicked, isPanic := err.(*methodPanicked)
	switch {
	case isPanic:
		status, details, after = rpc.General, serviceFailed, *panicked
	case err == nil && !w.stream && !w.sent:
		err = errNoAnswerMade
		fallthrough
	case err != nil:
		if errors.Is(err, errNobodyWants) || k.ctx.Err() != nil && errors.Is(err, k.ctx.Err()) {
			status = rpc.Timeout // done sends nothing, unless the session is about to end: the answer has ended already
			break
		}
		var private bool
		if status, details, private = onecall.StatusOf(err); private {
			after = methodFailed{method: m.s.service.methods[k.number], err: err}
		}
	}
	m.mu.Lock()
	m.done(k, status, details, false)
	m.flushAfter(k)
	m.mu.Unlock()
	if after != nil { // after the answer: the policy may end the session
		supervisor.Tell(ctx, after)
	}
}

// flush writes what has gathered. The caller holds mu.
func (m *servedCalls) flush() {
	m.gather.flush(len(m.running) > 1)
	if m.gather.err != nil && !m.over {
		m.cut()
		_ = m.s.stream.Close() // the reading task sees it, and ends the session
	}
}

// flushAfter is flush, unless the reading task runs the call: then it writes soon.
func (m *servedCalls) flushAfter(k *servedCall) {
	if m.inline != k.serial || m.split {
		m.flush()
	}
}

// ended forgets a call whose method has returned.
func (m *servedCalls) ended(ctx context.Context, k *servedCall) {
	k.cancel(nil)
	m.mu.Lock()
	delete(m.running, k)
	m.forget(k)
	m.tellLeft(ctx)
	m.mu.Unlock()
}

// callWriter sends the answers of a method.
type callWriter struct {
	m      *servedCalls
	k      *servedCall
	stream bool
	sent   bool
	buf    []byte
}

func (w *callWriter) send(encode func([]byte) ([]byte, error)) error {
	m, k := w.m, w.k
	if !w.stream && w.sent {
		return errTwoAnswers
	}
	var room [manycalls.Room]byte
	if w.buf == nil {
		w.buf = getBuffer()
	}
	buf, err := encode(append(w.buf[:0], room[:]...))
	if err != nil {
		return err
	}
	w.buf = buf
	body := buf[manycalls.Room:]
	if err := m.s.service.fits(body); err != nil {
		return err
	}
	w.sent = true
	m.mu.Lock()
	defer m.mu.Unlock()
	m.goesOn(k)
	most := gathered
	if !w.stream { // quick answers gather
		most = unreadMost
	}
	for rest := body; ; most = gathered {
		if m.room(k, most) != nil || k.c.Over() || m.over {
			return errNobodyWants
		}
		n, shared, ok := m.machine.Part(k.c, len(body), len(rest))
		if !ok {
			if k.wake == (turns.Bell{}) {
				k.wake = turns.NewBell()
			}
			m.await(k.ctx, k, k.wake) // the client takes its time, which is not the method's
			continue
		}
		f := manycalls.Frame{Call: k.c.ID, Kind: manycalls.Message, Shared: uint64(shared), Last: n == len(rest) && !w.stream}
		if n == len(body) {
			if m.gather.addWhole(buf, &f) {
				w.buf = nil
			}
		} else {
			if f.Payload = rest[:n]; len(rest) == len(body) {
				f.Length = uint64(len(body))
			}
			m.gather.add(&f)
		}
		rest = rest[n:]
		if f.Last {
			m.machine.End(k.c)
			m.gather.control(m.machine)
		}
		if len(rest) == 0 {
			m.flushAfter(k)
			if w.buf == nil && !m.gather.busy { // gather had it
				w.buf, m.gather.spare = m.gather.spare, nil
			}
			return nil
		}
		m.flush()
	}
}

// room waits until at most most bytes wait to be written. The caller holds mu, which room unlocks meanwhile.
func (m *servedCalls) room(k *servedCall, most int) error {
	if len(m.gather.out) <= most {
		return nil
	}
	m.flush()
	k.waits++ // the client takes its time
	m.goesOn(k)
	err := m.gather.await(k.ctx, most, k.c.Over)
	k.waits--
	m.goesOn(k)
	return err
}

// due ends the calls whose time is over. It returns when it is to be called next, and whether the session can end.
func (m *servedCalls) due(now time.Time, idle time.Duration) (next time.Time, left bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = false
	if m.over {
		return time.Time{}, false
	}
	for _, c := range m.machine.All() {
		k := c.User.(*servedCall)
		if now.Before(k.until) {
			if next.IsZero() || k.until.Before(next) {
				next = k.until
			}
			continue
		}
		m.done(k, rpc.Timeout, "", false)
		k.cancel(errExpired)
		m.forget(k)
	}
	if m.nothing() {
		if next = m.since.Add(idle); !now.Before(next) {
			m.shut()
		}
	} else if next.IsZero() {
		next = now.Add(idle)
	}
	left = m.left()
	m.gather.later()
	if now.Before(m.wakeAt) && m.wakeAt.Before(next) { // or each of many quick calls would have the actor look
		next = m.wakeAt
	}
	m.wakeAt = next
	return next, left
}

// nothing reports whether no call is under way.
func (m *servedCalls) nothing() bool { return m.machine.Calls() == 0 && len(m.running) == 0 }

// shut makes the session take no further call. The caller holds mu.
func (m *servedCalls) shut() {
	m.machine.Leave()
	m.gather.control(m.machine)
	m.gather.later()
}

// close is [servedSession.close].
func (m *servedCalls) close() (left bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shut()
	return m.left()
}

// left reports whether the session can end in order. From then on it ignores everything. The caller holds mu.
func (m *servedCalls) left() bool {
	if m.over || !m.machine.Left() || !m.nothing() {
		return false
	}
	m.over = true
	return true
}

// doing is [servedSession.doing].
func (m *servedCalls) doing() (doing, time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.over && !m.machine.Left() && m.nothing() {
		return idle, m.since
	}
	return busy, time.Time{}
}

// makeWay is [servedSession.makeWay].
func (m *servedCalls) makeWay() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over || m.machine.Left() || !m.nothing() {
		return false
	}
	m.shut()
	return m.left()
}

// runsAny reports whether a method runs.
func (m *servedCalls) runsAny() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.nothing()
}

// leave writes what is left, and then nothing more.
func (m *servedCalls) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.over = true
	m.gather.finish()
	m.mu.Unlock()
	m.dismiss()
	m.mu.Lock()
}

// cut cancels all methods. The caller holds mu.
func (m *servedCalls) cut() {
	m.over = true
	for k := range m.running {
		k.cancel(errSessionOver)
		if !k.begun { // nobody will run it
			delete(m.running, k)
			m.forget(k)
		}
	}
	for _, c := range m.machine.All() {
		k := c.User.(*servedCall)
		k.cancel(errSessionOver)
		m.machine.End(c)
		m.forget(k)
	}
	m.gather.err = errors.Join(m.gather.err, errSessionOver)
	m.gather.news.Tell()
}

// end cuts the session.
func (m *servedCalls) end() {
	func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.cut()
		m.shared.giveBack()
		m.places.leave()
	}()
	m.dismiss()
}

// look is [servedSession.look].
func (m *servedCalls) look() (call uint64, running, slow bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	running = m.inline != 0 && !m.split
	slow = running && m.inline == m.seen
	m.seen = m.inline
	return m.inline, running, slow
}

// takeOver is [servedSession.takeOver].
func (m *servedCalls) takeOver(call uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.split || m.over || m.inline != call || call == 0 {
		return false
	}
	m.split = true
	for k := range m.running {
		if k.serial == call {
			m.s.service.slow[k.number].Store(slowTurns)
		}
	}
	m.gather.later()
	return true
}

// stats adds what the session does.
func (m *servedCalls) stats(st *SessionStats) {
	m.mu.Lock()
	defer m.mu.Unlock()
	st.Calls, st.Running, st.Most = m.begun, len(m.running), manycalls.MaxCalls
	st.BytesOut = m.gather.written
	for k := range m.running {
		if st.Began.IsZero() || k.opened.Before(st.Began) {
			st.Method, st.Began, st.Deadline = k.number, k.opened, k.until
		}
	}
}
