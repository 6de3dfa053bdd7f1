package messengers

import (
	"cmp"
	"context"
	"errors"
	"io"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/actors/park"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// reader is the task that reads one substream.
type reader struct {
	messages
	in     *incoming
	frames *frame.Reader
	limit  int   // of a message
	alone  int   // so many messages that a taker takes have come alone, each after a wait
	broke  error // a panic of the taker: it is the task's
	counts bool  // there is no credit for a message of lost bytes, whose header was read
	lost   int
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
		r.box.protocol.Drop(r.box.peer, n)
		n, err = r.frames.Next()
	}
}

// read reads until the substream ends or is parked. What is buffered whole becomes messages at
// once, and is delivered before the task waits for anything.
func (r *reader) read(ctx context.Context) error {
	last := 0 // length of the last message, if it came alone
	for {
		if r.box.stops.Load() && r.in.last >= r.box.lastBytes() {
			return cmp.Or(r.deliver(ctx), errSuperseded)
		}
		if n := r.buffered(); n > 0 {
			last = n - frame.HeaderLen
		}
		if len(r.whole) > 0 {
			r.count(last)
			if err := r.deliver(ctx); err != nil {
				return err
			}
			if r.frames.Ready() { // behind maxWhole messages, or messages that held the credit
				continue
			}
		}
		if !r.frames.Ready() {
			if err := r.await(); err != nil {
				return r.ended(err)
			}
			if r.frames.Ready() {
				continue
			}
		}
		n, err := r.frames.Next() // it is not whole, or there is no credit for it
		if err != nil {
			return r.ended(err)
		}
		r.in.arrived(r.box, frame.HeaderLen+n)
		if err := r.message(ctx, n); err != nil {
			return err
		}
		last = n
	}
}

// buffered makes messages of what is buffered whole, and returns its bytes.
func (r *reader) buffered() int {
	b := r.frames.Peek()
	n := len(b) - len(r.cut(b, r.limit))
	r.frames.Skip(n)
	r.in.arrived(r.box, n)
	return n
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

// await waits for the header of the next message. If the actor interrupts the wait
// before any byte of a message has come, or if messages come alone, await parks the
// substream and returns park.ErrParked.
func (r *reader) await() error {
	p := r.in.parker
	if r.alone >= aloneMessages && !r.in.superseded.Load() {
		r.alone = 0
		p.Stream.SetReadDeadline(park.Expired)
		if err := r.park(); !transport.IsTimeout(err) {
			return err
		}
	}
	for {
		// An interrupt may come together with bytes, perhaps only a part of a
		// header. The frame reader keeps the timeout and would return it in place
		// of the error or end that follows these bytes. Resume clears the timeout.
		r.frames.Resume()
		p.Begin()
		err := r.frames.Await()
		if !p.End() || r.in.superseded.Load() {
			return err
		}
		if r.nothing(err) {
			err = r.park()
		} else {
			r.in.allow(time.Time{})
		}
		if !transport.IsTimeout(err) {
			return err
		}
	}
}

// nothing reports whether a read after the deadline has found no byte.
func (r *reader) nothing(err error) bool {
	return transport.IsTimeout(err) && r.frames.Buffered() == 0
}

// park leaves the substream to its taker, and returns park.ErrParked, if there is nothing to read.
// Otherwise it returns what await does, or a timeout, and the reading goes on. The read
// deadline must have passed.
func (r *reader) park() error {
	p, t := r.in.parker, &r.in.taker
	t.mu.Lock()
	defer t.mu.Unlock()
	p.ListenUnless(t.take)
	r.frames.Resume()
	err := r.frames.Await()
	if r.nothing(err) {
		t.start(r)
		return p.Park()
	}
	p.Ignore()
	r.in.allow(time.Time{})
	return err
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
