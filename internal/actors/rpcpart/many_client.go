package rpcpart

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/actors/park"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/protocol/manycalls"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/turns"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/transport"
)

// manyCalls is the client's side of a session that carries many calls. Callers do the work on their own goroutines: of
// those that wait, one reads, for all. While nobody waits, nobody reads.
type manyCalls struct {
	s       *Session
	reading turns.Baton // who has it reads; in is its

	mu           sync.Mutex
	machine      *manycalls.Session
	gather       gather
	callers      int // that have acquired the session
	begun        uint64
	freed        time.Time
	over         bool  // no caller is let in any more
	err          error // why the session has ended
	pings        map[uint64]*manyCall
	shared       sharedCredit
	pinged       uint64
	rest, drains bool // calls were left, and a task reads what the server had sent for them
	bare         bool // in has no buffers any more
	reader       *manyCall
	writer       *manyCall // it writes, or is about to
}

// manyCall is one call. The session's mu guards all fields but the bells.
type manyCall struct {
	c    *manycalls.Call
	wake turns.Bell // something has happened for who receives, or sends the one request
	more turns.Bell // there is more credit, for who sends one of many requests; it is wake if there is one
	at   uint64     // the first byte of its first frame, as gather counts
	sent bool       // its request has gone whole

	limit    time.Duration
	patience time.Duration // for the next message, of a call whose ctx has no deadline
	until    time.Time     // when the next message must have come; zero: the caller's ctx decides
	hasten   bool          // its ctx has ended, or until has passed
	method   uint32
	metadata rpc.Metadata
	stream   bool
	ping     bool
	began    time.Time
	deadline time.Time

	memory   memory
	got      int // cost of the items since window has grown
	window   int // bytes that memory has for messages that are not taken
	charge   int // bytes that a message needs more, and its serial
	serial   int
	unpay    func() // ends the waiting for them
	charged  int    // bytes that memory has for the message that comes
	assembly assembly
	queue    queue
	given    bool // the one answer was taken
	done     bool // the server has ended the call
	err      error
	refused  bool // the server does not run it
}

// newManyCalls returns the calls of a session with one caller, to whom rpc-client gives it.
func newManyCalls(s *Session) *manyCalls {
	m := &manyCalls{s: s, reading: turns.NewBaton(), pings: make(map[uint64]*manyCall), machine: manycalls.NewClient(rpc.MaxFrame), callers: 1, freed: s.shared.trunk.Now()}
	m.gather = gather{mu: &m.mu, news: turns.News{L: &m.mu}, stream: s.stream, rest: func() { s.shared.trunk.System().Root.Send(s.pid, restOfFrames{}) }}
	s.in.uncharged = true
	if m.shared.take(s.credit) {
		m.machine.Share(manycalls.Shared)
		m.gather.control(m.machine) // goes with the first call
	}
	return m
}

// gone gives the memory of the session back.
func (m *manyCalls) gone() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shared.giveBack()
}

// acquire lets a caller in.
func (m *manyCalls) acquire() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over || m.callers >= manycalls.MaxCalls || m.machine.Left() || m.s.conn.Retired() {
		return false
	}
	m.callers++
	return true
}

// release lets a caller out. It may end the session.
func (m *manyCalls) release() {
	m.mu.Lock()
	closes := m.out()
	m.mu.Unlock()
	m.released(closes)
}

// out lets a caller out, and reports whether the session ends. The caller holds mu, and calls released without it.
func (m *manyCalls) out() (closes bool) {
	if m.callers--; m.callers > 0 {
		return false
	}
	m.freed = m.s.shared.trunk.Now()
	closes = !m.over && (m.machine.Left() || m.s.conn.Retired() || m.s.closesWhenIdle() && m.s.pool.waiting.Load() == 0)
	m.over = m.over || closes
	return closes
}

// released tells the actors that a caller is out.
func (m *manyCalls) released(closes bool) {
	switch {
	case closes:
		m.s.shared.trunk.System().Root.Send(m.s.pid, closeSession{})
	case m.s.pool.waiting.Load() > 0:
		m.s.shared.trunk.System().Root.Send(m.s.shared.Client, sessionFree{m.s.key})
	}
}

// leaving reports whether the session takes no further callers.
func (m *manyCalls) leaving() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.over || m.machine.Left() || m.s.conn.Retired()
}

// closeIdle ends the session for callers if it has none.
func (m *manyCalls) closeIdle() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.callers > 0 || m.over {
		return false
	}
	m.over = true
	return true
}

// invoke makes a call: see [Session.Invoke].
func (m *manyCalls) invoke(ctx context.Context, method uint32, stream bool, encode func([]byte) ([]byte, error), got func([]byte) error) (again onecall.Repeat, err error) {
	began := false
	defer func() {
		if !began { // also when encode ends the goroutine
			m.s.release()
		}
	}()
	buf, err := encodeRequest(encode, 0)
	defer func() { putBuffer(buf) }()
	if err != nil {
		return onecall.RepeatNever, err
	}
	k, err := m.prepare(ctx, method, stream)
	if err != nil {
		return onecall.RepeatNever, err
	}
	k.more = k.wake
	began = true
	defer m.conduct(ctx, k)() // also when got ends the goroutine
	m.mu.Lock()
	defer m.mu.Unlock()
	f, again, err := m.begin(ctx, k)
	if err != nil {
		return again, err
	}
	m.send(ctx, k, f, buf, true)
	return m.receive(ctx, k, got)
}

var emptyRoom [onecall.Room]byte

// encodeRequest returns a request behind room bytes, and its buffer also with an error.
func encodeRequest(encode func([]byte) ([]byte, error), room int) (buf []byte, err error) {
	buf, err = encode(append(getBuffer(), emptyRoom[:room]...))
	if err == nil && len(buf)-room > rpc.DefaultSend-onecall.Room {
		err = ErrRequestTooLarge
	}
	return buf, err
}

// prepare returns a call that has not begun.
func (m *manyCalls) prepare(ctx context.Context, method uint32, stream bool) (*manyCall, error) {
	metadata := rpc.MetadataOf(ctx)
	if err := cmp.Or(metadata.Validate(), ctx.Err()); err != nil {
		return nil, err
	}
	k := &manyCall{metadata: metadata, wake: turns.NewBell(), limit: m.s.limit(ctx), method: method, stream: stream, memory: memory{of: m.s.credit}}
	k.patience = k.limit + onecall.Grace
	if stream {
		k.window = k.memory.firstWindow()
	}
	return k, nil
}

// conduct makes the end of ctx end a call that is about to begin. The function that it returns ends the call.
func (m *manyCalls) conduct(ctx context.Context, k *manyCall) (ends func()) {
	live := m.s.conn.Link().Live
	live.CallBegins(m.s.key.Protocol)
	stop := func() bool { return false }
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, func() { m.interrupt(k) })
	}
	return func() {
		stop()
		m.ends(k)
		live.CallEnds()
	}
}

// begin begins a call. The caller holds mu, and sends the frame with or without a part of a message. While too much waits to be written,
// begin unlocks mu.
func (m *manyCalls) begin(ctx context.Context, k *manyCall) (f manycalls.Frame, again onecall.Repeat, err error) {
	if err := m.room(ctx, k, unreadMost); err != nil && ctx.Err() != nil {
		return f, onecall.RepeatNever, callEnded(ctx)
	}
	if m.err == nil && m.s.conn.Ended() {
		m.fail(mux.ErrSessionEnded)
	}
	if m.err != nil {
		again, err = m.failed(ctx, k)
		return f, again, err
	}
	if k.hasten { // an id that is not sent would be misplaced in a Cancel
		return f, onecall.RepeatNever, callEnded(ctx)
	}
	if k.c = m.machine.Begin(k.window, k); k.c == nil {
		return f, onecall.RepeatAnyTime, fmt.Errorf("%w: the server ends the session", rpc.ErrSessionLost)
	}
	m.begun++
	k.at = m.gather.added
	k.began = m.s.shared.trunk.Now()
	k.deadline = k.began.Add(k.limit)
	m.extend(ctx, k)
	f = manycalls.Frame{Call: k.c.ID, Kind: manycalls.Open, Number: uint64(k.method), Deadline: milliseconds(k.limit), Window: uint64(k.window)}
	if len(k.metadata) > 0 {
		for _, name := range slices.Sorted(maps.Keys(k.metadata)) {
			f.Metadata = append(f.Metadata, manycalls.Pair{Name: name, Value: k.metadata[name]})
		}
	}
	return f, 0, nil
}

// send sends a request, whose first part goes with f. It is false if the call is over before: then receive says why. The caller holds mu.
func (m *manyCalls) send(ctx context.Context, k *manyCall, f manycalls.Frame, body []byte, last bool) (whole bool) {
	for rest, first := body, true; ; {
		if f.Kind != manycalls.Open && m.room(ctx, k, gathered) != nil || k.over() || k.hasten {
			return false
		}
		n, shared, ok := m.machine.Part(k.c, len(body), len(rest))
		if !ok {
			m.mu.Unlock()
			m.wait(k, k.more, false)
			m.mu.Lock()
			continue
		}
		if f.Shared, f.Payload = uint64(shared), rest[:n]; n < len(rest) && first {
			f.Length = uint64(len(body))
		}
		rest, first = rest[n:], false
		f.Last = len(rest) == 0 && last
		m.gather.add(&f)
		m.flush(k)
		if len(rest) == 0 {
			k.sent = last
			return true
		}
		f = manycalls.Frame{Call: k.c.ID, Kind: manycalls.Message}
	}
}

// room waits until at most most bytes wait to be written, or the call is over. The caller holds mu, which room unlocks meanwhile.
func (m *manyCalls) room(ctx context.Context, k *manyCall, most int) error {
	if len(m.gather.out) <= most {
		return nil
	}
	m.flush(k)
	return m.gather.await(ctx, most, func() bool { return k.hasten || k.over() })
}

// over reports whether nothing more comes for the call.
func (k *manyCall) over() bool { return k.done || k.err != nil || k.refused }

// flush writes what has gathered. The caller holds mu.
func (m *manyCalls) flush(k *manyCall) {
	switch {
	case k.hasten:
		m.gather.later()
	case !m.gather.busy:
		m.writer = k
		m.gather.flush(m.machine.Calls() > 1)
		m.writer = nil
	}
	if m.gather.err != nil {
		m.fail(m.gather.err)
	}
}

// receive takes the answer, or all items. The caller holds mu.
func (m *manyCalls) receive(ctx context.Context, k *manyCall, got func([]byte) error) (again onecall.Repeat, err error) {
	for {
		given, again, err := m.next(ctx, k, got)
		if !given || err != nil || !k.stream {
			return again, err
		}
	}
}

// next takes the next answer. given is false at the end of the call. The caller holds mu.
func (m *manyCalls) next(ctx context.Context, k *manyCall, got func([]byte) error) (given bool, again onecall.Repeat, err error) {
	for {
		switch {
		case k.queue.len() > 0:
			a := k.queue.pop()
			k.until = time.Time{} // the caller may take its time
			m.paid(k, a)
			if err := m.give(a, got); err != nil || !k.stream {
				k.given = true
				return true, onecall.RepeatNever, err
			}
			m.extend(ctx, k)
			m.taken(k, a)
			return true, onecall.RepeatNever, nil
		case k.done && k.err == nil && !k.stream && !k.ping && !k.given:
			return false, onecall.RepeatNever, errNoneGiven
		case k.done && k.err == nil:
			return false, onecall.RepeatNever, nil
		case k.err != nil, k.refused:
			again, err = m.failed(ctx, k)
			return false, again, err
		case k.hasten:
			if ctx.Err() != nil {
				return false, onecall.RepeatNever, callEnded(ctx)
			}
			return false, onecall.RepeatNever, errNoResponse
		case k.charge > 0:
			if err := m.pay(ctx, k); err != nil && !k.over() && !k.hasten {
				return false, onecall.RepeatNever, callEnded(ctx)
			}
		default:
			m.mu.Unlock()
			m.wait(k, k.wake, true)
			m.mu.Lock()
		}
	}
}

// errNoneGiven reports a call for one answer that has none.
var errNoneGiven = fmt.Errorf("%w: the server has ended a call with one answer without an answer", rpc.ErrProtocol)

// give hands a message to the caller, without the session's lock, which the caller holds.
func (m *manyCalls) give(a arrived, got func([]byte) error) error {
	m.mu.Unlock()
	defer m.mu.Lock() // also when got panics
	defer a.frame.giveBack()
	return got(a.body)
}

// paid gives back the memory of a message that is about to be taken: got may make another call to the same peer.
func (m *manyCalls) paid(k *manyCall, a arrived) {
	if a.charge > 0 {
		k.memory.giveBack(a.charge)
	} else if k.charge > 0 && k.serial == a.serial { // it needs no memory any more
		k.charge = 0
		m.machine.Charged(k.c, a.serial)
	}
}

// taken says that an item was taken, so that more can come.
func (m *manyCalls) taken(k *manyCall, a arrived) {
	if k.over() {
		return
	}
	k.got += a.cost
	add := k.memory.growth(&k.got, k.c.Window(), k.queue.len())
	m.machine.Taken(k.c, a.cost, add)
	m.gather.control(m.machine)
	m.flush(k)
}

// pay takes the memory that a message needs, unless the call ends before.
func (m *manyCalls) pay(ctx context.Context, k *manyCall) error {
	n, serial := k.charge, k.serial
	ctx, k.unpay = context.WithCancel(ctx)
	defer k.unpay()
	m.mu.Unlock()
	err := m.s.credit.Take(ctx, n)
	m.mu.Lock()
	k.unpay = nil
	switch {
	case err != nil:
		return err
	case k.over() && k.queue.len() == 0:
		m.s.credit.Return(n)
		return nil
	}
	k.memory.took(n)
	if k.serial == serial { // otherwise the next message needs memory as well
		k.charge = 0
	}
	if a := k.queue.find(serial); a != nil {
		a.charge = n
	} else {
		k.charged = n
	}
	m.machine.Charged(k.c, serial)
	m.gather.control(m.machine)
	m.flush(k)
	return nil
}

// failed returns the error of a call that the server has ended, or refused, or whose session has ended.
func (m *manyCalls) failed(ctx context.Context, k *manyCall) (again onecall.Repeat, err error) {
	switch {
	case k.c == nil && k.at == 0:
		return onecall.RepeatAnyTime, fmt.Errorf("%w: %w", rpc.ErrSessionLost, m.err)
	case k.refused:
		return onecall.RepeatAnyTime, fmt.Errorf("%w: the server has ended the session", rpc.ErrSessionLost)
	case k.done:
		return onecall.RepeatNever, k.err
	case errors.Is(m.err, manycalls.ErrProtocol):
		return onecall.RepeatNever, fmt.Errorf("%w: %w", rpc.ErrProtocol, m.err)
	case errors.Is(m.err, frame.ErrTooLong), k.err != nil && k.err != m.err:
		return onecall.RepeatNever, k.err
	case ctx.Err() != nil:
		return onecall.RepeatNever, callEnded(ctx)
	case m.gather.given <= k.at:
		again = onecall.RepeatAnyTime
	}
	return again, fmt.Errorf("%w: %w", rpc.ErrSessionLost, m.err)
}

// ends forgets a call, and tells the server if that still runs it.
func (m *manyCalls) ends(k *manyCall) {
	m.mu.Lock()
	if k.c != nil && !k.c.Over() {
		m.machine.End(k.c)
		if m.err == nil {
			m.gather.add(&manycalls.Frame{Call: k.c.ID, Kind: manycalls.Cancel})
			m.gather.control(m.machine)
			m.gather.later()
			if m.rest = true; !m.drains {
				m.drains = true
				m.callers++ // the task
				m.s.shared.trunk.System().Root.Send(m.s.pid, restOfAnswers{})
			}
		}
	}
	queue := k.queue.take()
	k.memory.release()
	closes := m.out()
	m.mu.Unlock()
	for i := range queue {
		queue[i].frame.giveBack()
	}
	m.released(closes)
}

// extend sets the time limit for the next message of a call whose ctx has no deadline.
func (m *manyCalls) extend(ctx context.Context, k *manyCall) {
	if _, ok := ctx.Deadline(); !ok {
		k.until = m.s.shared.trunk.Now().Add(k.patience)
	}
}

// late interrupts the calls whose next message is late.
func (m *manyCalls) late(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.all() {
		if !k.until.IsZero() && !now.Before(k.until) {
			m.end(k)
		}
	}
}

// all returns the calls and pings.
func (m *manyCalls) all() []*manyCall {
	list := slices.Collect(maps.Values(m.pings))
	for _, c := range m.machine.All() {
		list = append(list, c.User.(*manyCall))
	}
	return list
}

// interrupt ends the waiting of a call, and the reading and writing that it does.
func (m *manyCalls) interrupt(k *manyCall) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end(k)
}

// end is interrupt for who holds mu.
func (m *manyCalls) end(k *manyCall) {
	k.hasten = true
	if m.reader == k {
		m.s.stream.SetReadDeadline(park.Expired)
	}
	if m.writer == k {
		m.s.stream.SetWriteDeadline(park.Expired)
	}
	m.gather.news.Tell()
	k.ring()
}

// ring wakes both who receives and who sends, because the call ends.
func (k *manyCall) ring() {
	if k.unpay != nil {
		k.unpay()
	}
	k.wake.Ring()
	k.more.Ring()
}

// wait returns when something may have happened for who waits for the bell, which is one of the call. Meanwhile it reads for all, if
// nobody does.
func (m *manyCalls) wait(k *manyCall, bell turns.Bell, receives bool) {
	if m.reading.AwaitOr(bell) {
		m.lead(k, bell, receives)
		m.reading.Pass()
		m.mu.Lock()
		m.flush(k)
		m.mu.Unlock()
	}
}

// lead reads frames until there is something for who waits for the bell, or something to write. It never writes: the server may wait
// until somebody reads.
func (m *manyCalls) lead(k *manyCall, bell turns.Bell, receives bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.err == nil {
		if bell.Rang() || k.over() || k.hasten || receives && (k.queue.len() > 0 || k.charge > 0) || len(m.gather.out) > 0 && !m.gather.busy {
			if k.hasten || !m.s.in.frames.Ready() { // what is there for others costs less now than another reader
				break
			}
		}
		m.reader = k
		m.read()
		m.reader = nil
	}
	m.rested()
}

// look reads what has come while nobody read, without waiting for more: the server may have ended the session.
func (m *manyCalls) look() {
	if !m.reading.Try() {
		return
	}
	defer m.reading.Pass()
	m.mu.Lock()
	defer m.mu.Unlock()
	for there := true; there && m.err == nil; {
		m.s.stream.SetReadDeadline(park.Expired)
		there = m.read()
	}
	m.rested()
}

// read reads a frame. It is false if that was interrupted. The caller holds mu, which read unlocks meanwhile, and has the reading.
func (m *manyCalls) read() bool {
	m.mu.Unlock()
	body, _, err := m.s.in.next(context.Background(), manycalls.MaxFrame)
	m.mu.Lock()
	switch {
	case err == nil:
		m.s.bytesIn.Add(uint64(m.s.in.n + frame.HeaderLen))
		err = m.frame(body)
	case transport.IsTimeout(err): // of this caller, or of one that has read before
		m.s.stream.SetReadDeadline(time.Time{})
		m.s.in.frames.Resume()
		return false
	}
	if err != nil {
		m.fail(err)
	}
	return true
}

// rested gives buffers back that reading does not need now. The caller holds mu, and has the reading.
func (m *manyCalls) rested() {
	if m.err != nil {
		if !m.bare {
			m.bare = true
			m.s.in.release()
		}
	} else if m.machine.Calls() == 0 {
		m.s.in.rest()
	}
}

// frame handles a frame of the server's.
func (m *manyCalls) frame(body []byte) error {
	f, err := manycalls.Decode(body)
	if err != nil {
		return err
	}
	e, err := m.machine.Received(&f)
	if err != nil {
		return err
	}
	defer m.gather.control(m.machine)
	for _, c := range e.Refused {
		k := c.User.(*manyCall)
		k.refused = true
		k.ring()
	}
	if e.All() {
		for _, c := range m.machine.All() {
			if k := c.User.(*manyCall); !k.sent {
				k.more.Ring()
			}
		}
		return nil
	}
	if k := m.pings[e.Pong]; k != nil {
		k.done = true
		k.wake.Ring()
	}
	if e.Call == nil {
		return nil
	}
	k := e.Call.User.(*manyCall)
	switch f.Kind {
	case manycalls.Credit:
		k.more.Ring()
		return nil
	case manycalls.Message:
		if e.TooLong {
			m.leaves(k, fmt.Errorf("%w: an answer of %d bytes", frame.ErrTooLong, e.Length))
			break
		}
		if f.Last && k.stream {
			m.leaves(k, rpc.ErrOneAnswer)
			break
		}
		if e.Charge > 0 {
			k.charge, k.serial = e.Charge, e.Serial
		}
		a, whole := k.assembly.add(&m.s.in, e, f.Payload, k.queue.len() == 0)
		if whole {
			a.charge, k.charged = k.charged, 0
			k.queue.push(a)
		}
		if k.done = f.Last; k.done {
			m.machine.End(e.Call)
		}
		if !whole && k.charge == 0 {
			return nil
		}
	case manycalls.Done:
		m.machine.End(e.Call)
		k.done = true
		if rpc.Status(f.Number) != rpc.OK {
			k.err = onecall.ErrorOf(rpc.Status(f.Number), f.Payload)
			if f.Last {
				k.err = rpc.NotRun(k.err)
			}
		}
	}
	if k.wake.Ring(); k.over() {
		k.ring()
	}
	return nil
}

// leaves ends a call because of its answer, which is no fault of the session. The caller holds mu.
func (m *manyCalls) leaves(k *manyCall, err error) {
	k.err = err
	m.machine.End(k.c)
	m.gather.add(&manycalls.Frame{Call: k.c.ID, Kind: manycalls.Cancel})
}

// fail ends the session for all its calls. The caller holds mu.
func (m *manyCalls) fail(err error) {
	if m.err != nil {
		return
	}
	m.err, m.over = err, true
	m.gather.err = cmp.Or(m.gather.err, err)
	m.gather.news.Tell()
	m.s.state.Store(sessionOver)
	for _, k := range m.all() {
		k.err = err
		k.ring()
	}
	m.s.shared.trunk.System().Root.Send(m.s.pid, sessionBroken{err})
}

// idleSince is [Session.idleSince].
func (m *manyCalls) idleSince() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.callers > 0 || m.over {
		return time.Time{}
	}
	return m.freed
}

// lost ends the session because a task could not write.
func (m *manyCalls) lost(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail(err)
}

// ping measures how long the service takes to answer.
func (m *manyCalls) ping(ctx context.Context) (took time.Duration, again onecall.Repeat, err error) {
	began := m.s.shared.trunk.Now()
	k := &manyCall{wake: turns.NewBell(), ping: true, limit: m.s.limit(ctx), memory: memory{of: m.s.credit}}
	k.more, k.patience = k.wake, k.limit+onecall.Grace
	defer m.ends(k)
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, func() { m.interrupt(k) })()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pinged++
	number := m.pinged
	m.pings[number] = k
	k.at = m.gather.added
	m.extend(ctx, k)
	m.gather.add(&manycalls.Frame{Kind: manycalls.Ping, Number: number})
	m.flush(k)
	k.err = m.err
	again, err = m.receive(ctx, k, func([]byte) error { return nil })
	delete(m.pings, number)
	return m.s.shared.trunk.Now().Sub(began), again, err
}

// drain reads what the server had sent for calls that were left, so that their methods do not wait: nobody else may read. A task
// calls it.
func (m *manyCalls) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tellLimit)
	defer cancel()
	for again := true; again; {
		m.mu.Lock()
		m.rest = false
		m.callers++ // ping lets one go
		m.mu.Unlock()
		_, _, err := m.ping(ctx)
		m.mu.Lock()
		again = m.rest && err == nil
		m.drains = again
		m.mu.Unlock()
	}
	m.s.release()
}

// stats adds what the session does.
func (m *manyCalls) stats(st *SessionStats) {
	m.mu.Lock()
	defer m.mu.Unlock()
	st.Calls, st.Running, st.Most = m.begun, m.machine.Calls(), manycalls.MaxCalls
	st.BytesOut = m.gather.written
	for _, c := range m.machine.All() {
		if k := c.User.(*manyCall); st.Began.IsZero() || k.began.Before(st.Began) {
			st.Method, st.Began, st.Deadline = k.method, k.began, k.deadline
		}
	}
}
