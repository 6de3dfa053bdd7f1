package actors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/frame"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// inbox is the inbound half of a messaging session: it reads one substream of
// the peer at a time. A newer one takes over once the whole frames that had
// arrived on the older are delivered (V14).
type inbox struct {
	env      *env
	protocol *Messaging
	peer     identity.NodeID
	account  *credit.Account
	whole    *credit.Budget // what it draws on
	arriving *credit.Budget // … while a large message arrives

	reading  *inStream // has a task, or rests
	queue    []*inStream
	recent   []time.Time // takeovers of the last second
	serial   uint64
	stallAt  *supervisor.Timer
	restAt   *supervisor.Timer // of readerTick
	received atomic.Uint64
	waiting  atomic.Int64 // since when the reader waits for credit, Unix ns; 0: it does not
}

// inStream is one messaging substream of the peer.
type inStream struct {
	name       string
	conn       *ConnRef
	parker     *parker // has the substream
	detach     func()
	superseded atomic.Bool // a newer one has taken over
}

// readerBlocked says that the reader waits for credit.
type readerBlocked struct{}

// stallTick looks whether it still does.
type stallTick struct{}

// readerTick looks whether the reader has waited since the last one.
type readerTick struct{}

const (
	maxDraining  = 4  // older substreams that may still have to be delivered
	maxTakeovers = 10 // in a second
	// readerIdle is how long a reader waits for the next message, twice at
	// most, before it gives its goroutine back.
	readerIdle = time.Second
	stallLimit = 10 * time.Second
	// A message that has begun may at no time be further behind [frame.MinRate] than
	// this, nor pause for longer.
	frameGrace = 20 * time.Second
	// bodyStep is how much of a large body is allocated before its bytes are
	// there.
	bodyStep = credit.Large
)

// Expired is a deadline that has passed: it interrupts what reads or writes.
var Expired = time.Unix(1, 0)

var errSuperseded = errors.New("actors: a newer substream has taken over")

func (b *inbox) start(m *Messaging, peer identity.NodeID) {
	b.env, b.protocol, b.peer = m.env, m, peer
	b.whole, b.arriving = b.env.budgets.Plain, b.env.budgets.Messages
	if m.frames() {
		b.whole, b.arriving = b.env.budgets.Inbound, b.env.budgets.Frames
	}
	b.account = b.whole.Account(b.env.PeerCredit)
}

func (b *inbox) opened(c actor.Context, m SubstreamOpened) {
	taken, ok := m.Stream.Take()
	if !ok {
		return
	}
	stream, ok := taken.(quietStream)
	if !ok || !b.mayTakeOver(supervisor.Now(c)) {
		taken.Close()
		return
	}
	b.serial++
	in := &inStream{name: fmt.Sprintf("reader-%d", b.serial), conn: m.Conn}
	in.parker = newParker(c, in.name, stream)
	in.detach = supervisor.Own(c, stream)
	if b.reading == nil {
		b.read(c, in)
		return
	}
	b.recent = append(b.recent, supervisor.Now(c))
	b.reading.supersede()
	if b.reading.parker.parked {
		b.wake(c) // to be told that nothing has come
	}
	for _, older := range b.queue {
		older.supersede()
	}
	b.queue = append(b.queue, in)
}

func (b *inbox) mayTakeOver(now time.Time) bool {
	if b.reading == nil {
		return true
	}
	for len(b.recent) > 0 && now.Sub(b.recent[0]) >= time.Second {
		b.recent = b.recent[1:]
	}
	return len(b.recent) < maxTakeovers && len(b.queue) < maxDraining
}

// supersede lets the reader finish what has arrived and no more.
func (in *inStream) supersede() {
	in.superseded.Store(true)
	in.parker.stream.SetReadDeadline(Expired)
}

// allow bounds the reading from now on, unless a newer substream has taken over:
// then what has arrived is all that is read, whatever is wanted of a frame.
func (in *inStream) allow(until time.Time) {
	in.parker.stream.SetReadDeadline(until)
	if in.superseded.Load() {
		in.parker.stream.SetReadDeadline(Expired)
	}
}

func (b *inbox) read(c actor.Context, in *inStream) {
	b.reading = in
	b.wake(c)
}

// wake starts a task that reads.
func (b *inbox) wake(c actor.Context) {
	in := b.reading
	in.parker.unpark()
	in.allow(time.Time{})
	r := reader{
		in: in, box: b, intake: b.protocol.receiver.Open(in.conn),
		frames: frame.NewReader(in.parker.stream, b.env.Profile.Limits.MessageBody),
	}
	supervisor.Go(c, in.name, in.parker, r.run)
	if b.restAt != nil {
		b.restAt.Stop()
	}
	b.restAt = supervisor.After(c, readerIdle, readerTick{})
}

// heard says that something has arrived on a substream that rests, or is about
// to.
func (b *inbox) heard(c actor.Context, m arrival) {
	if b.reading != nil && b.reading.name == m.name && b.reading.parker.arrives() {
		b.wake(c)
	}
}

// tick parks the substream of a reader that has waited since the last one.
func (b *inbox) tick(c actor.Context) {
	b.restAt = nil
	if b.reading != nil && !b.reading.parker.parked {
		b.reading.parker.interrupt()
		b.restAt = supervisor.After(c, readerIdle, readerTick{})
	}
}

// readerDone is the end of a reader; it reports whether the task was one.
func (b *inbox) readerDone(c actor.Context, m supervisor.TaskDone) bool {
	if b.reading == nil || m.Name != b.reading.name {
		return false
	}
	in := b.reading
	if errors.Is(m.Err, errParked) {
		if in.parker.parkedNow() || in.superseded.Load() {
			b.wake(c)
		}
		return true
	}
	b.reading = nil
	in.detach()
	b.waiting.Store(0)
	if errors.Is(m.Err, protocol.ErrViolation) {
		c.Send(b.env.Connectivity, PeerViolated{Peer: b.peer, Key: in.conn.Key, Conn: in.conn.ID, Err: m.Err, Origin: in.conn.origin})
	}
	if len(b.queue) > 0 {
		next := b.queue[0]
		b.queue = b.queue[1:]
		b.read(c, next)
	}
	return true
}

// idle reports whether nothing is read.
func (b *inbox) idle() bool { return b.reading == nil }

// handled reports whether the handler has finished all that was read.
func (b *inbox) handled() bool { return b.account.Used() == 0 }

// blocked notes that the reader waits for credit; if it still does after a
// while, the substream is shown as stalled.
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
	supervisor.Log(c).Warn("messages stalled for want of credit", "peer", b.peer, "why", b.holder())
}

func (b *inbox) String() string {
	s := fmt.Sprintf(", in %d", b.received.Load())
	if since := b.waiting.Load(); since != 0 {
		if waited := b.env.Now().Sub(time.Unix(0, since)); waited >= time.Second {
			s += fmt.Sprintf(", stalled %s: %s", waited.Round(time.Second), b.holder())
		}
	}
	return s
}

// holder says who has the credit that the reader waits for.
func (b *inbox) holder() string {
	if used := b.account.Used(); used != 0 {
		return fmt.Sprintf("handlers and copies for others hold %d bytes", used)
	}
	if b.protocol.frames() {
		return "other peers hold the node's credit"
	}
	return "other peers hold the node's credit for plain messages"
}

// reader is the task that reads one substream.
type reader struct {
	in      *inStream
	box     *inbox
	frames  *frame.Reader
	intake  Intake
	permits []credit.Permit
	slab    int               // how many permits were made last
	bodies  []byte            // what is left of the memory for small bodies
	whole   supervisor.Bundle // messages read and not delivered yet
	owes    bool              // credit for a frame of owed bytes that was not delivered yet
	owed    int
}

func (r *reader) run(ctx context.Context) error {
	defer r.end()
	for {
		if len(r.whole) > 0 && (len(r.whole) >= maxWhole || !r.frames.Ready()) {
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
		if err := r.message(ctx, n); err != nil {
			return err
		}
	}
}

// next returns the length of the next message. When none has come for long, and
// no part of one, it parks the substream.
func (r *reader) next() (int, error) {
	if r.frames.Ready() {
		return r.frames.Next()
	}
	p := r.in.parker
	nothing := func(err error) bool { return transport.IsTimeout(err) && r.frames.Buffered() == 0 }
	for {
		// What interrupts a wait may come together with bytes: they are read, and
		// the timeout would be told in place of the end that follows them. Or a
		// part of a header is there.
		r.frames.Resume()
		p.begin()
		n, err := r.frames.Next()
		if !p.end() || r.in.superseded.Load() {
			return n, err
		}
		if nothing(err) {
			p.stream.Notify(p.heard)
			r.frames.Resume()
			if n, err = r.frames.Next(); nothing(err) {
				return 0, p.park()
			}
			p.stream.Notify(nil)
		}
		r.in.allow(time.Time{})
		if !transport.IsTimeout(err) {
			return n, err
		}
	}
}

// end gives back what the task has borrowed, however it ends.
func (r *reader) end() {
	r.frames.Release()
	if n := len(r.whole); n > 0 {
		r.intake.Drop(n)
	}
	r.whole.Discard()
	if r.owes {
		r.box.account.Return(r.owed)
	}
	r.box.account.Move(r.box.whole)
}

// ended is the end of the substream, between two messages or inside one.
func (r *reader) ended(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return r.in.parker.stream.CloseWrite() // the peer has ended its half: so do we
	case errors.Is(err, frame.ErrTooLong):
		return protocol.Violated("messaging", protocol.BanMedium, err)
	case r.in.superseded.Load() && transport.IsTimeout(err):
		return errSuperseded
	}
	return err
}

// message takes the message of n bytes that comes next.
//
//go:noinline
func (r *reader) message(ctx context.Context, n int) error {
	large := n > bodyStep
	if large {
		r.box.account.Move(r.box.arriving)
	}
	if err := r.take(ctx, n); err != nil {
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

// take waits for credit: as long as a handler holds all of it, nothing more is
// read from this peer. All of a message's credit is taken before its first byte
// is read, so that no two of them wait for what the other holds.
func (r *reader) take(ctx context.Context, n int) error {
	if r.box.account.TryTake(n) {
		return nil
	}
	if err := r.deliver(ctx); err != nil { // they may hold what is missing
		return err
	}
	r.box.waiting.Store(r.box.env.Now().UnixNano())
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
	began := r.box.env.Now()
	body := make([]byte, 0, min(n, bodyStep))
	for len(body) < n {
		if len(body) == cap(body) {
			grown := make([]byte, len(body), min(n, 2*cap(body)))
			copy(grown, body)
			body = grown
		}
		step := min(cap(body)-len(body), bodyStep)
		r.in.allow(due(began, r.box.env.Now(), len(body), step))
		if err := r.frames.Part(body[len(body) : len(body)+step]); err != nil {
			return nil, err
		}
		body = body[:len(body)+step]
	}
	r.in.allow(time.Time{})
	return body, nil
}

// room makes room for a body. Small ones share memory: all that one of them
// keeps alive is within what its credit counts for it.
func (r *reader) room(n int) []byte {
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

// due is when the next bytes of a message must be there, of which so many are.
func due(began, now time.Time, have, next int) time.Time {
	paced := began.Add(frameGrace + time.Duration(have+next)*time.Second/frame.MinRate)
	paused := now.Add(frameGrace + time.Duration(next)*time.Second/frame.MinRate)
	if paused.Before(paced) {
		return paused
	}
	return paced
}

// permitSlab is how many permits are allocated at a time, once messages come
// often enough for the first few to be used up.
const permitSlab = 32

// maxWhole is how many messages are delivered together.
const maxWhole = 32

// received notes a message that was read whole.
func (r *reader) received(body []byte) {
	if len(r.permits) == 0 {
		r.slab = min(max(1, 2*r.slab), permitSlab)
		r.permits = make([]credit.Permit, r.slab)
	}
	p := &r.permits[0]
	r.permits = r.permits[1:]
	p.Init(r.box.account, len(body))
	r.owes = false // the permit does from now on
	r.whole = append(r.whole, r.intake.Message(body, p))
}

// deliver hands to actors what was read whole, before anything is waited for.
func (r *reader) deliver(ctx context.Context) error {
	for len(r.whole) > 0 {
		to, n, err := r.intake.Hear(ctx, r.whole)
		if err != nil {
			return err
		}
		r.box.received.Add(uint64(n))
		all := r.whole
		r.whole = all[:n]
		r.box.env.System.Root.Send(to, &r.whole)
		r.whole = slices.Delete(all, 0, n)
	}
	return nil
}
