package messengers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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

	reading  *incoming // a task reads it, or it is parked
	queue    []*incoming
	recent   []time.Time // times of the counted takeovers in the last second
	serial   uint64
	stallAt  *supervisor.Timer
	idleAt   *supervisor.Timer // for the next readerTick
	received atomic.Uint64
	waiting  atomic.Int64 // when the reader began to wait for credit, Unix ns; 0: it does not wait

	stops  atomic.Bool // the node stops: only what has arrived is read
	late   bool        // … and no longer waited for credit or the handler
	cancel func()      // of the task that reads

	accepting map[string]*incoming // whose acceptance is being written, by the name of the task
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
	b.whole, b.arriving = m.whole, m.arriving
}

// handling returns a new account for the messages of a peer.
func (m *Messaging) handling(peer identity.NodeID) *credit.Account {
	a := m.whole.Account(m.room.PeerCredit)
	if m == m.room.Plain { // of frames most are discarded with a good reason, and senders of messages with ids may be told: see Lost and Drop
		a.CountDropped(func(n int) { m.Drop(peer, n) })
	}
	return a
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
	in := &incoming{name: fmt.Sprintf("reader-%d", b.serial), conn: m.Conn}
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
func (b *inbox) newest() *incoming {
	if n := len(b.queue); n > 0 {
		return b.queue[n-1]
	}
	return b.reading
}

func (b *inbox) read(c actor.Context, in *incoming) {
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
		messages: messages{box: b, live: in.conn.Link().Live, intake: b.intake(in)},
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

func (b *inbox) intake(in *incoming) Intake {
	if in.stays != nil {
		return in.stays
	}
	i := b.protocol.receiver.Open(in.conn)
	in.stays, _ = i.(Staying)
	return i
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
	b.reading, b.cancel = nil, nil
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
	for _, in := range append([]*incoming{b.reading}, b.queue...) {
		in.supersede()
		b.fin(c, in)
	}
	if b.reading.parker.Parked() {
		b.wake(c)
	}
	supervisor.At(c, late, lateTick{})
}

// fin ends this node's half, behind the acceptance.
func (b *inbox) fin(c actor.Context, in *incoming) {
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
	if b.whole == b.room.Budgets.Inbound {
		return "other peers use the node's memory limit"
	}
	return "other peers use what the node's memory limit leaves to messages of connected peers"
}
