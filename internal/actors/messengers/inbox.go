package messengers

import (
	"bytes"
	"cmp"
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
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/park"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// inbox is the inbound half of a messaging session. It reads one of the peer's
// substreams at a time. A newer substream takes over when all whole frames that
// have arrived on the older one are delivered (V14).
type inbox struct {
	room     *Room
	protocol *Messaging
	peer     identity.NodeID
	account  *credit.Account
	whole    *credit.Budget // the account draws on it
	arriving *credit.Budget // … and on this one while a large message arrives

	reading  *inStream // a task reads it, or it is parked
	queue    []*inStream
	recent   []time.Time // times of the counted takeovers in the last second
	serial   uint64
	stallAt  *supervisor.Timer
	idleAt   *supervisor.Timer // for the next readerTick
	received atomic.Uint64
	waiting  atomic.Int64 // when the reader began to wait for credit, Unix ns; 0: it does not wait

	stops  atomic.Bool // the node stops: only what has arrived is read
	late   bool        // … and no longer waited for credit or the handler
	cancel func()      // of the task that reads

	accepting map[string]*inStream // whose acceptance is being written, by the name of the task
}

// inStream is one messaging substream of the peer.
type inStream struct {
	name       string
	conn       *actors.ConnRef
	parker     *park.Parker // holds the substream
	taker      taker        // reads it while it is parked
	detach     func()
	superseded atomic.Bool // a newer substream has come, or the node stops
	writes     sync.Mutex  // of two tasks: the acceptance, and the end of this node's half
	ends       atomic.Bool // a task ends this node's half, or has
	last       int         // bytes read since the node stops; only tasks use it, one after the other
}

// readerBlocked reports that the reader waits for credit.
type readerBlocked struct{}

// stallTick makes the actor check whether the reader still waits for credit.
type stallTick struct{}

// readerTick makes the actor check whether the reader has waited for bytes since
// the last readerTick.
type readerTick struct{}

// lateTick ends the waiting of the reader in a stop.
type lateTick struct{}

const (
	maxDraining  = 4  // substreams that may wait for their turn
	maxTakeovers = 10 // per second
	// readerIdle is the interval of readerTick. A reader that waits for a message
	// gives its goroutine back after one to two intervals.
	readerIdle = time.Second
	stallLimit = 10 * time.Second
	// frameGrace is how far a message that has begun may fall behind
	// [frame.MinRate], and the longest pause in it.
	frameGrace = 20 * time.Second
	// bodyStep is the first allocation for a body that has not arrived yet, and the
	// largest single read of it. A longer body counts as large.
	bodyStep = credit.Large
)

var (
	errSuperseded = errors.New("actors: a newer substream has taken over")
	errLast       = errors.New("actors: the node stops, and all that has arrived is read")
)

func (b *inbox) start(m *Messaging, peer identity.NodeID) {
	b.room, b.protocol, b.peer = m.room, m, peer
	b.whole, b.arriving = b.room.Budgets.Plain, b.room.Budgets.Messages
	if m.frames() {
		b.whole, b.arriving = b.room.Budgets.Inbound, b.room.Budgets.Frames
	}
	b.account = b.whole.Account(b.room.PeerCredit)
	if !m.frames() { // of frames most are discarded with a good reason; see Messaging.Lost
		b.account.CountDropped(func(n int) { m.dropped.add(peer, 1, n) })
	}
}

func (b *inbox) opened(c actor.Context, m actors.SubstreamOpened) {
	taken, ok := m.Stream.Take()
	if !ok {
		return
	}
	stream, ok := taken.(park.Stream)
	if !ok || b.protocol.refuses() || !b.takesOver(supervisor.Now(c)) {
		taken.Close()
		return
	}
	b.serial++
	in := &inStream{name: fmt.Sprintf("reader-%d", b.serial), conn: m.Conn}
	in.parker = park.New(c, in.name, stream)
	in.detach = supervisor.Own(c, stream)
	b.accept(c, in, connections.AgreementOf(m).Owed)
	if b.reading == nil {
		b.read(c, in)
		return
	}
	b.reading.supersede()
	if b.reading.parker.Parked() {
		b.wake(c) // a task must end the reading, and a parked substream has none
	}
	for _, older := range b.queue {
		older.supersede()
	}
	b.queue = append(b.queue, in)
}

// takesOver reports whether a newer substream may take over now, and counts that. If the peer
// has ended the one before, or its connection has ended, the newer one only waits until that
// is read, and does not count: a peer may end substreams and connections as often as it likes.
func (b *inbox) takesOver(now time.Time) bool {
	switch {
	case b.reading == nil:
		return true
	case len(b.queue) >= maxDraining:
		return false
	case b.newest().ended():
		return true
	}
	for len(b.recent) > 0 && now.Sub(b.recent[0]) >= time.Second {
		b.recent = b.recent[1:]
	}
	if len(b.recent) >= maxTakeovers {
		return false
	}
	b.recent = append(b.recent, now)
	return true
}

// newest returns the last substream that the peer has opened. There is one.
func (b *inbox) newest() *inStream {
	if n := len(b.queue); n > 0 {
		return b.queue[n-1]
	}
	return b.reading
}

// ended reports whether nothing more can arrive on the substream.
func (in *inStream) ended() bool {
	_, ended := in.parker.Stream.PeerEnded()
	return ended
}

// supersede makes the reader deliver the messages that have arrived and then end.
func (in *inStream) supersede() {
	in.superseded.Store(true)
	in.parker.Stream.SetReadDeadline(park.Expired)
}

// allow sets the read deadline. After supersede the deadline stays in the past: the
// reader takes only bytes that have arrived, even in the middle of a frame.
func (in *inStream) allow(until time.Time) {
	in.parker.Stream.SetReadDeadline(until)
	if in.superseded.Load() {
		in.parker.Stream.SetReadDeadline(park.Expired)
	}
}

func (b *inbox) read(c actor.Context, in *inStream) {
	b.reading = in
	b.wake(c)
}

// wake starts a task that reads the current substream.
func (b *inbox) wake(c actor.Context) {
	in := b.reading
	ahead, broke := in.taker.stop()
	limit := b.room.Profile.Limits.MessageBody
	in.parker.Unpark()
	in.allow(time.Time{})
	r := reader{
		messages: messages{box: b, intake: b.protocol.receiver.Open(in.conn)},
		in:       in,
		broke:    broke,
		limit:    limit,
		frames:   frame.NewReader(io.MultiReader(bytes.NewReader(ahead), in.parker.Stream), limit),
	}
	b.cancel = supervisor.Go(c, in.name, in.parker, r.run)
	if b.late {
		b.cancel()
	}
	if b.idleAt != nil {
		b.idleAt.Stop()
	}
	b.idleAt = supervisor.After(c, readerIdle, readerTick{})
}

// refuse resets all substreams of the peer. Nothing more is read from them; their tasks end,
// and a parked one starts a task that ends.
func (b *inbox) refuse() {
	if b.reading != nil {
		b.reading.parker.Stream.Close()
	}
	for _, in := range b.queue {
		in.parker.Stream.Close()
	}
}

// heard handles the arrival of bytes on a substream that is parked or about to be.
// It starts a task if the substream is parked.
func (b *inbox) heard(c actor.Context, m park.Arrival) {
	if b.reading != nil && b.reading.name == m.Name && b.reading.parker.Arrives() {
		b.wake(c)
	}
}

// tick interrupts a reader that has waited since the last tick; the reader then
// parks its substream.
func (b *inbox) tick(c actor.Context) {
	b.idleAt = nil
	if b.reading != nil && !b.reading.parker.Parked() {
		b.reading.parker.Interrupt()
		b.idleAt = supervisor.After(c, readerIdle, readerTick{})
	}
}

// readerDone handles the end of the reader task. It returns false for any other
// task.
func (b *inbox) readerDone(c actor.Context, m supervisor.TaskDone) bool {
	if b.reading == nil || m.Name != b.reading.name {
		return false
	}
	in := b.reading
	if errors.Is(m.Err, park.ErrParked) {
		if in.parker.ParkedNow() || in.superseded.Load() {
			b.wake(c)
		}
		return true
	}
	b.reading = nil
	b.waiting.Store(0)
	if !errors.Is(m.Err, errLast) { // otherwise the substream ends with the actor, behind the FIN
		in.detach()
	}
	if errors.Is(m.Err, protocol.ErrViolation) {
		c.Send(b.room.Connectivity, base.Violated(in.conn, m.Err))
	}
	if len(b.queue) > 0 {
		next := b.queue[0]
		b.queue = b.queue[1:]
		b.read(c, next)
	}
	return true
}

// stop makes the inbox read no more than what has arrived, because the node stops. The node
// confirms nothing any more, so what has arrived is at least all that was confirmed. FIN tells
// the peer that it gets no more proofs. From late on nothing waits for credit or for the
// handler: what is left is counted as dropped.
func (b *inbox) stop(c actor.Context, late time.Time) {
	b.stops.Store(true)
	if b.reading == nil {
		return
	}
	for _, in := range append([]*inStream{b.reading}, b.queue...) {
		in.supersede()
		b.fin(c, in)
	}
	if b.reading.parker.Parked() {
		b.wake(c)
	}
	supervisor.At(c, late, lateTick{})
}

// fin ends this node's half, behind the acceptance.
func (b *inbox) fin(c actor.Context, in *inStream) {
	if b.accepting[acceptName(in)] == nil { // otherwise acceptDone does it
		supervisor.Go(c, "fin-"+in.name, nil, func(context.Context) error { return in.closeWrite() })
	}
}

// giveUp ends the waiting for credit and for the handler.
func (b *inbox) giveUp() {
	b.late = true
	if b.reading != nil {
		b.cancel()
	}
}

// readAll reports whether all that had arrived when the node began to stop is read.
func (b *inbox) readAll() bool { return b.stops.Load() && b.reading == nil }

// idle reports whether the peer has no substream here.
func (b *inbox) idle() bool { return b.reading == nil }

// handled reports whether the handler has finished all messages that were read.
func (b *inbox) handled() bool { return b.account.Used() == 0 }

// blocked starts a timer when the reader begins to wait for credit. If the reader
// has then waited for stallLimit, stalled logs a warning.
func (b *inbox) blocked(c actor.Context) {
	if b.stallAt == nil {
		b.stallAt = supervisor.After(c, stallLimit, stallTick{})
	}
}

func (b *inbox) stalled(c actor.Context) {
	b.stallAt = nil
	since := b.waiting.Load()
	if since == 0 {
		return
	}
	if waited := supervisor.Now(c).Sub(time.Unix(0, since)); waited < stallLimit {
		b.stallAt = supervisor.After(c, stallLimit-waited, stallTick{})
		return
	}
	supervisor.Log(c).Warn("messages wait: a memory limit is reached", "peer", b.peer, "why", b.holder())
}

func (b *inbox) String() string {
	s := fmt.Sprintf(", in %d", b.received.Load())
	if since := b.waiting.Load(); since != 0 {
		if waited := b.room.Now().Sub(time.Unix(0, since)); waited >= time.Second {
			s += fmt.Sprintf(", stalled %s: %s", waited.Round(time.Second), b.holder())
		}
	}
	return s
}

// holder describes who holds the credit that the reader waits for.
func (b *inbox) holder() string {
	if used := b.account.Used(); used != 0 {
		return fmt.Sprintf("handlers and copies for others hold %d bytes", used)
	}
	if b.protocol.frames() {
		return "other peers use the node's memory limit"
	}
	return "other peers use what the node's memory limit leaves to messages of connected peers"
}

// reader is the task that reads one substream.
type reader struct {
	messages
	in     *inStream
	frames *frame.Reader
	limit  int   // of a message
	alone  int   // so many messages that a taker takes have come alone, each after a wait
	broke  error // a panic of the taker: it is the task's
	counts bool  // there is no credit for a message of lost bytes, whose header was read
	lost   int
}

// messages makes the actor's messages from bodies.
type messages struct {
	box     *inbox
	intake  Intake
	permits []credit.Permit
	slab    int               // size of the last allocation of permits
	bodies  []byte            // unused memory for small bodies
	whole   supervisor.Bundle // messages read and not delivered yet
	owes    bool              // they hold credit for a message of owed bytes that is not made yet
	owed    int
}

// drop gives back everything that they hold.
func (r *messages) drop() {
	r.whole.Discard()
	r.whole = nil
	if r.owes {
		r.owes = false
		r.box.account.Return(r.owed)
	}
}

func (r *reader) run(ctx context.Context) error {
	defer r.end()
	if r.broke != nil {
		panic(r.broke)
	}
	err := r.read(ctx)
	if !r.box.stops.Load() {
		return err
	}
	gaveUp := ctx.Err() != nil || errors.Is(err, errNoHandler)
	switch {
	case gaveUp:
		r.tally()
	case !errors.Is(err, errSuperseded) && !transport.IsTimeout(err):
		return err // the peer has ended the substream, or broken the rules
	}
	_ = r.in.parker.Park() // the substream stays open until the FIN is written
	return errLast
}

// lastBytes is how much a stopping node reads at most of one substream: all that may have
// arrived by then. That is the multiplexer's window and what the reader has of it already.
func (b *inbox) lastBytes() int { return b.room.needs.Window() + readAhead }

// readAhead is at least what a reader and a taker read ahead, in bytes.
const readAhead = 64 << 10

// tally counts the messages that have arrived and that nobody will handle.
func (r *reader) tally() {
	n, err := r.lost, error(nil)
	if r.counts {
		r.in.last -= frame.HeaderLen + n // read has counted it
	} else {
		n, err = r.frames.Next()
	}
	skipped := make([]byte, bodyStep)
	for err == nil && r.in.last < r.box.lastBytes() {
		r.in.last += frame.HeaderLen + n
		for left := n; left > 0 && err == nil; left -= bodyStep {
			err = r.frames.Part(skipped[:min(left, bodyStep)])
		}
		if err != nil {
			return // it has not arrived whole, so it was not confirmed
		}
		r.box.protocol.dropped.add(r.box.peer, 1, n)
		n, err = r.frames.Next()
	}
}

func (r *reader) read(ctx context.Context) error {
	last := 0 // length of the last message
	for {
		if len(r.whole) > 0 && (len(r.whole) >= maxWhole || !r.frames.Ready()) {
			r.count(last)
			if err := r.deliver(ctx); err != nil {
				return err
			}
		}
		n, err := r.next()
		if err != nil {
			if undelivered := r.deliver(ctx); undelivered != nil {
				return undelivered
			}
			return r.ended(err)
		}
		if r.box.stops.Load() {
			if r.in.last += frame.HeaderLen + n; r.in.last > r.box.lastBytes()+n {
				return cmp.Or(r.deliver(ctx), errSuperseded)
			}
		}
		if err := r.message(ctx, n); err != nil {
			return err
		}
		last = n
	}
}

// aloneMessages is after how many messages that came alone the reader parks the substream, so
// that its taker reads the next ones. A task that starts again costs as much as some messages.
const aloneMessages = 16

// count counts the messages that came alone. The last message has n bytes.
func (r *reader) count(n int) {
	if len(r.whole) == 1 && r.frames.Buffered() == 0 && takes(r.intake, n) {
		r.alone++
	} else {
		r.alone = 0
	}
}

// next returns the length of the next message. If the actor interrupts the wait
// before any byte of a message has come, or if messages come alone, next parks the
// substream and returns park.ErrParked.
func (r *reader) next() (int, error) {
	if r.frames.Ready() {
		return r.frames.Next()
	}
	p := r.in.parker
	if r.alone >= aloneMessages && !r.in.superseded.Load() {
		r.alone = 0
		p.Stream.SetReadDeadline(park.Expired)
		if n, err := r.park(); !transport.IsTimeout(err) {
			return n, err
		}
	}
	for {
		// An interrupt may come together with bytes, perhaps only a part of a
		// header. The frame reader keeps the timeout and would return it in place
		// of the error or end that follows these bytes. Resume clears the timeout.
		r.frames.Resume()
		p.Begin()
		n, err := r.frames.Next()
		if !p.End() || r.in.superseded.Load() {
			return n, err
		}
		if r.nothing(err) {
			n, err = r.park()
		} else {
			r.in.allow(time.Time{})
		}
		if !transport.IsTimeout(err) {
			return n, err
		}
	}
}

// nothing reports whether a read after the deadline has found no byte.
func (r *reader) nothing(err error) bool {
	return transport.IsTimeout(err) && r.frames.Buffered() == 0
}

// park leaves the substream to its taker, and returns park.ErrParked, if there is nothing to read.
// Otherwise it returns what next does, or a timeout, and the reading goes on. The read
// deadline must have passed.
func (r *reader) park() (int, error) {
	p, t := r.in.parker, &r.in.taker
	t.mu.Lock()
	defer t.mu.Unlock()
	p.ListenUnless(t.take)
	r.frames.Resume()
	n, err := r.frames.Next()
	if r.nothing(err) {
		t.start(r)
		return 0, p.Park()
	}
	p.Ignore()
	r.in.allow(time.Time{})
	return n, err
}

// end releases the buffers, undelivered messages and credit that the task still
// holds, however the task ends.
func (r *reader) end() {
	r.frames.Release()
	if n := len(r.whole); n > 0 {
		r.intake.Drop(n)
	}
	r.drop()
	r.box.account.Move(r.box.whole)
}

// ended returns the error of the task for a read error, which ended the substream
// between two messages or inside one.
func (r *reader) ended(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return r.in.closeWrite()
	case errors.Is(err, frame.ErrTooLong):
		return protocol.Violated("messaging", protocol.BanMedium, err)
	case r.in.superseded.Load() && transport.IsTimeout(err):
		return errSuperseded
	}
	return err
}

// message reads the next message, which has n bytes.
//
//go:noinline
func (r *reader) message(ctx context.Context, n int) error {
	large := n > bodyStep
	if large {
		r.box.account.Move(r.box.arriving)
	}
	if err := r.take(ctx, n); err != nil {
		r.counts, r.lost = true, n
		return err
	}
	r.owes, r.owed = true, n
	body, err := r.body(n)
	if err != nil {
		return err
	}
	if large {
		r.box.account.Move(r.box.whole)
	}
	r.received(body)
	return nil
}

// take takes credit for a message of n bytes, and waits for it if necessary. While
// handlers hold all of a peer's credit, nothing more is read from that peer. The
// credit of a whole message is taken before its first byte is read, so that two
// half-read messages never wait for each other's credit.
func (r *reader) take(ctx context.Context, n int) error {
	if r.box.account.TryTake(n) {
		return nil
	}
	if err := r.deliver(ctx); err != nil { // these messages may hold the missing credit
		return err
	}
	r.box.waiting.Store(r.box.room.Now().UnixNano())
	supervisor.Tell(ctx, readerBlocked{})
	err := r.box.account.Take(ctx, n)
	r.box.waiting.Store(0)
	return err
}

func (r *reader) body(n int) ([]byte, error) {
	if n <= r.frames.Buffered() {
		body := r.room(n)
		return body, r.frames.Body(body)
	}
	began := r.box.room.Now()
	body := make([]byte, 0, min(n, bodyStep))
	for len(body) < n {
		if len(body) == cap(body) {
			grown := make([]byte, len(body), min(n, 2*cap(body)))
			copy(grown, body)
			body = grown
		}
		step := min(cap(body)-len(body), bodyStep)
		r.in.allow(due(began, r.box.room.Now(), len(body), step))
		if err := r.frames.Part(body[len(body) : len(body)+step]); err != nil {
			return nil, err
		}
		body = body[:len(body)+step]
	}
	r.in.allow(time.Time{})
	return body, nil
}

// room returns memory for a body of n bytes. Small bodies share one allocation of
// [credit.Overhead] bytes: the credit of each of them covers the whole allocation,
// which it may keep alive.
func (r *messages) room(n int) []byte {
	if n == 0 || n > credit.Overhead/4 {
		return make([]byte, n)
	}
	if n > len(r.bodies) {
		r.bodies = make([]byte, credit.Overhead)
	}
	body := r.bodies[:n:n]
	r.bodies = r.bodies[n:]
	return body
}

// due returns the time by which the next bytes of a message must have arrived. The
// message began at began, and have bytes of it have arrived.
func due(began, now time.Time, have, next int) time.Time {
	paced := began.Add(frameGrace + time.Duration(have+next)*time.Second/frame.MinRate)
	paused := now.Add(frameGrace + time.Duration(next)*time.Second/frame.MinRate)
	if paused.Before(paced) {
		return paused
	}
	return paced
}

// permitSlab is the greatest number of permits that are allocated at a time. A
// reader begins with one, and doubles the number when they are used up.
const permitSlab = 32

// maxWhole is the greatest number of messages that are delivered together.
const maxWhole = 32

// received makes the actor's message from a body that was read completely, and
// keeps it for deliver. The permit takes over the credit for the body.
func (r *messages) received(body []byte) {
	if len(r.permits) == 0 {
		r.slab = min(max(1, 2*r.slab), permitSlab)
		r.permits = make([]credit.Permit, r.slab)
	}
	p := &r.permits[0]
	r.permits = r.permits[1:]
	p.Init(r.box.account, len(body))
	r.whole = append(r.whole, r.intake.Message(body, p))
	r.owes = false
}

// deliver sends the messages that were read to their actor. The reader calls it
// before it waits for bytes or credit.
func (r *reader) deliver(ctx context.Context) error {
	for len(r.whole) > 0 {
		to, n, err := r.intake.Hear(ctx, r.whole)
		if err != nil {
			return err
		}
		r.send(to, n)
	}
	return nil
}

// send sends the first n messages to their actor.
func (r *messages) send(to *actor.PID, n int) {
	r.box.received.Add(uint64(n))
	all := r.whole
	r.whole = all[:n]
	r.box.room.System.Root.Send(to, &r.whole)
	r.whole = slices.Delete(all, 0, n)
}
