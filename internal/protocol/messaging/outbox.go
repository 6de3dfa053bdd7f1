package messaging

import (
	"errors"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
)

type state uint8

const (
	idle     state = iota // nothing to send and no substream
	dialling              // a dial is under way
	opening               // a substream is being opened
	open                  // a substream is open
	waiting               // until due, before the next dial
	closed
)

var stateNames = [...]string{"idle", "dialling", "opening", "open", "backing off", "closed"}

// Outbox is the machine for one peer. It is not safe for concurrent use.
//
// Events that answer an effect may come late or not at all. The caller must report
// only the answer to its latest request; an event that answers no request changes
// nothing.
type Outbox[T any] struct {
	o     Options
	state state

	q    queue[T]
	base uint64 // mark of the newest message that has left the queue; base+q.written is the next mark

	unsettled int

	failures    int       // dials and opens that failed in a row
	lostConns   int       // connections in a row that ended before a substream was open
	freshLosses int       // fresh substreams lost in a row
	due         time.Time // end of waiting

	resets int   // substreams in a row that the peer ended, on a living connection, before one message was proven
	reset  error // how the last of them ended

	// Of the present substream.
	opened  time.Time
	answer  Acceptance
	proved  bool  // a message on it was proven
	stopped bool  // nothing more is written on it
	pulling bool  // the writer takes messages that the outbox has not seen
	lost    error // it ended while a write was under way or the writer pulled; Wrote or PullStopped is still to come
	noConn  bool  // … together with its connection

	wake time.Time // the earliest Wake that has not come
	trim time.Time // when to check the memory held; zero: it is small
	peak int       // most messages held since the last check

	settled []Settled[T]
	batch   []Entry[T]
}

// NewOutbox returns an empty outbox.
func NewOutbox[T any](o Options) *Outbox[T] { return &Outbox[T]{o: o.withDefaults()} }

// Len returns the number of messages whose outcome is open.
func (o *Outbox[T]) Len() int { return o.unsettled }

// Idle reports whether nothing is queued and no substream is wanted or open.
func (o *Outbox[T]) Idle() bool { return o.state == idle && o.unsettled == 0 }

// State returns the name of the outbox's state, for people.
func (o *Outbox[T]) State() string { return stateNames[o.state] }

// Unproven returns the number of messages written and not yet proven read.
func (o *Outbox[T]) Unproven() int { return o.q.written }

// Quiet reports whether nothing is being written and everything written is
// proven.
func (o *Outbox[T]) Quiet() bool { return !o.busy() && o.q.written == 0 }

// living reports whether there is a substream that has not ended.
func (o *Outbox[T]) living() bool { return o.state == open && o.lost == nil }

// busy reports whether the writer may be writing.
func (o *Outbox[T]) busy() bool { return o.q.writing > 0 || o.pulling }

// Queued adds a message. One above the size limit fails alone.
func (o *Outbox[T]) Queued(now time.Time, e Entry[T]) (f Effects[T]) {
	o.begin()
	switch {
	case o.state == closed:
		o.tell(&e, failed(protocol.Closed, nil))
	case len(e.Body) > o.o.MaxBody:
		o.tell(&e, failed(protocol.TooLong, nil))
	default:
		o.q.push(e)
		o.unsettled++
		o.peak = max(o.peak, o.q.len())
	}
	o.effects(now, &f)
	return f
}

// Withdrawn reports that the sender of id no longer waits. A message that was not
// written leaves the queue and fails with Expired; a written one is in doubt.
// spec: V15
func (o *Outbox[T]) Withdrawn(now time.Time, id uint64) (f Effects[T]) {
	o.begin()
	for i := range o.q.len() {
		s := o.q.at(i)
		if s.ID != id || s.settled {
			continue
		}
		if i < o.q.written+o.q.writing {
			o.settle(s, inDoubt(o.expired()))
			var none T
			s.Body, s.Tag = nil, none // free the memory
		} else {
			reason, err := o.expired()
			o.settleUnwritten(s, reason, err)
			o.q.remove(i)
		}
		break
	}
	o.effects(now, &f)
	return f
}

// expired returns the reason for which a message fails when its sender no longer
// waits: Expired, or NotTaken if the peer keeps ending our substreams.
func (o *Outbox[T]) expired() (protocol.Reason, error) {
	if times, err := o.EndedByPeer(); times > 0 {
		return protocol.NotTaken, err
	}
	return protocol.Expired, nil
}

// Dialled reports the end of the dial that Effects.Dial asked for. With an
// error, reason says what it means for the messages: after NoPeer, Banned or
// Closed there is no other attempt.
func (o *Outbox[T]) Dialled(now time.Time, reason protocol.Reason, err error) (f Effects[T]) {
	o.begin()
	switch {
	case o.state != dialling:
	case err != nil:
		o.attemptFailed(reason, err)
	case o.q.waiting() == 0: // all messages were withdrawn meanwhile
		o.state = idle
	default:
		o.state = opening
		f.Open = true
	}
	o.effects(now, &f)
	return f
}

// NotTaken reports, instead of Dialled, a connection to a peer that does not accept
// this protocol: all messages that wait fail with Refused, and there is no other
// attempt (comms 81).
func (o *Outbox[T]) NotTaken(now time.Time, err error) (f Effects[T]) {
	o.begin()
	if o.state == dialling {
		o.failures = o.o.Attempts
		o.attemptFailed(protocol.Refused, err)
	}
	o.effects(now, &f)
	return f
}

// DialCancelled reports that the dial was cancelled because another connection to
// the same peer came up. It is no failed attempt (comms 88).
func (o *Outbox[T]) DialCancelled(now time.Time) (f Effects[T]) {
	o.begin()
	if o.state == dialling {
		o.state = idle
	}
	o.effects(now, &f)
	return f
}

// Opened reports that the substream is open, and what is known of its acceptance.
func (o *Outbox[T]) Opened(now time.Time, answer Acceptance) (f Effects[T]) {
	o.begin()
	if o.state == opening {
		o.state = open
		o.failures, o.lostConns = 0, 0
		o.opened, o.answer, o.proved, o.stopped = now, answer, false, false
	} else {
		f.Drop = true
	}
	o.effects(now, &f)
	return f
}

// Accepted reports that the peer has accepted the substream, which was opened with
// Awaited. What was written already may be proven now.
func (o *Outbox[T]) Accepted(now time.Time) (f Effects[T]) {
	o.begin()
	if o.state == open && o.lost == nil && o.answer == Awaited {
		o.answer = Given
		if o.q.written > 0 {
			o.prove(&f)
		}
	}
	o.effects(now, &f)
	return f
}

// OpenFailed reports that no substream could be opened. After the reason Refused,
// the peer does not support the protocol, there is no other attempt.
func (o *Outbox[T]) OpenFailed(now time.Time, reason protocol.Reason, err error) (f Effects[T]) {
	o.begin()
	if o.state == opening {
		switch reason {
		case protocol.Refused:
			o.failures = o.o.Attempts
		case protocol.NotTaken:
			o.wasReset(err)
		}
		o.attemptFailed(reason, err)
	}
	o.effects(now, &f)
	return f
}

// ConnectionGone reports that the connection of the dial ended, or is being closed,
// before a substream was open. It is no failed attempt: of two crossing connections
// one is closed, and the other one is ready in a moment. So the outbox dials again
// after a pause, and everything queued fails only after Options.Losses such
// connections in a row. err says how the connection ended.
func (o *Outbox[T]) ConnectionGone(now time.Time, err error) (f Effects[T]) {
	o.begin()
	if o.state == dialling || o.state == opening {
		o.lostConns++
		o.failures = 0 // the dial succeeded
		if o.lostConns < o.o.Losses {
			o.wait(now, doubled(o.o.Redial, o.lostConns-1, o.o.BackoffMax))
		} else {
			o.giveUp(protocol.DialFailed, fmt.Errorf("%d connections in a row ended before the message could be written: %w", o.lostConns, err))
		}
	}
	o.effects(now, &f)
	return f
}

// OpenReset reports that the peer reset the substream while its protocol was being
// negotiated, on a connection that lives on. A peer does so while it still reads the
// end of an earlier substream, so the outbox opens another one after a pause. After
// Options.Resets in a row everything queued fails with NotTaken, and the next message
// waits for the longest pause. spec: comms 8.1
func (o *Outbox[T]) OpenReset(now time.Time, err error) (f Effects[T]) {
	o.begin()
	if o.state == opening {
		o.wasReset(err)
		o.failures, o.lostConns = 0, 0
		if o.resets >= o.o.Resets {
			o.giveUp(protocol.NotTaken, err)
		}
		o.wait(now, doubled(o.o.Backoff, o.resets-1, o.o.BackoffMax))
	}
	o.effects(now, &f)
	return f
}

// EndedByPeer returns how many substreams in a row the peer has ended, on a living
// connection, before a message on them was proven, and how the last one ended. It
// returns 0 for a single one, which may be lost to a race.
func (o *Outbox[T]) EndedByPeer() (times int, err error) {
	if o.resets < 2 {
		return 0, nil
	}
	return o.resets, o.reset
}

// Wrote reports the end of a write. Bytes of the first started entries may have been
// sent. A nil err means that all entries were sent completely. After an error the
// substream cannot be used any more; noConn says that its connection has ended.
func (o *Outbox[T]) Wrote(now time.Time, started int, err error, noConn bool) (f Effects[T]) {
	o.begin()
	if o.q.writing == 0 {
		o.effects(now, &f)
		return f
	}
	if err == nil {
		started = o.q.writing
	}
	o.q.written += min(max(started, 0), o.q.writing)
	o.q.writing = 0
	clear(o.batch)
	switch {
	case o.lost != nil:
		return o.end(now, o.lost, o.noConn)
	case err != nil:
		return o.end(now, err, noConn)
	}
	o.prove(&f)
	o.effects(now, &f)
	return f
}

// prove asks for the proof of everything written so far. While the acceptance is still
// awaited it asks for a ping only (comms 147).
func (o *Outbox[T]) prove(f *Effects[T]) {
	switch o.answer {
	case Awaited:
		f.Ping = true
		return
	case Assumed:
		f.NotBefore = o.opened.Add(o.o.FreshProof)
	}
	f.Prove = o.base + uint64(o.q.written)
}

// Proven reports that the peer's multiplexer has read everything up to mark.
func (o *Outbox[T]) Proven(now time.Time, mark uint64) (f Effects[T]) {
	o.begin()
	if o.lost != nil || o.state == open && o.answer == Awaited { // the substream ended before the proof, or none was asked for
		o.effects(now, &f)
		return f
	}
	for o.base < mark && o.q.written > 0 {
		if s := o.q.at(0); !s.settled {
			o.settle(s, protocol.Outcome{Kind: protocol.Confirmed})
		}
		o.q.pop()
		o.base++
		o.proved, o.freshLosses = true, 0
		o.resets, o.reset = 0, nil
	}
	o.effects(now, &f)
	return f
}

// Ended reports that the substream ended: the peer reset or closed it, or its
// connection ended (noConn).
func (o *Outbox[T]) Ended(now time.Time, err error, noConn bool) (f Effects[T]) {
	o.begin()
	if o.state != open || o.lost != nil {
		o.effects(now, &f)
		return f
	}
	if err == nil {
		err = ErrEnded
	}
	if !o.busy() {
		return o.end(now, err, noConn)
	}
	o.lost, o.noConn = err, noConn // Wrote or PullStopped will handle it
	f.Drop = true
	o.effects(now, &f)
	return f
}

// ErrEnded is the error of messages in doubt whose substream the peer closed without
// an error.
var ErrEnded = errors.New("messaging: the peer closed the substream")

// StopWriting stops the writing on the present substream, because the caller is about to
// close it cleanly. Queued messages wait for the next one.
func (o *Outbox[T]) StopWriting() { o.stopped = true }

// Due reports that the time of a Wake has come. At any other time it does nothing.
func (o *Outbox[T]) Due(now time.Time) (f Effects[T]) {
	o.begin()
	if !now.Before(o.wake) {
		o.wake = time.Time{}
	}
	if o.state == waiting && !now.Before(o.due) {
		o.state = idle
	}
	if !o.trim.IsZero() && !now.Before(o.trim) {
		o.giveBack()
	}
	o.effects(now, &f)
	return f
}

// Close settles all messages: written ones are in doubt, the others fail with
// reason. Later events change nothing, and later messages fail at once.
func (o *Outbox[T]) Close(reason protocol.Reason, err error) Effects[T] {
	o.begin()
	started := o.q.written + o.q.writing
	for i := range o.q.len() {
		switch s := o.q.at(i); {
		case s.settled:
		case i < started:
			o.settle(s, inDoubt(reason, err))
		default:
			o.settleUnwritten(s, reason, err)
		}
	}
	f := Effects[T]{Settled: o.settled, Drop: o.state == open}
	o.state = closed
	o.q, o.batch, o.lost, o.trim = queue[T]{}, nil, nil, time.Time{}
	return f
}

func (o *Outbox[T]) begin() { o.settled = o.settled[:0] }

// effects adds the effects that have become possible.
func (o *Outbox[T]) effects(now time.Time, f *Effects[T]) {
	switch {
	case o.state == idle && o.q.waiting() > 0:
		o.state = dialling
		f.Dial = true
	case o.state == open && !o.busy() && !o.stopped:
		f.Write = o.nextBatch()
	}
	f.Settled = o.settled
	if o.trim.IsZero() && cap(o.q.slots) > small {
		o.trim = now.Add(o.o.Trim)
	}
	if o.state == waiting || !o.trim.IsZero() && o.wake.IsZero() {
		f.Wake = o.nextWake()
	}
}

// nextBatch returns the messages to write next, and marks them as being written.
func (o *Outbox[T]) nextBatch() []Entry[T] {
	o.batch = o.batch[:0]
	size := 0
	for i := o.q.written; i < o.q.len() && len(o.batch) < o.o.BatchFrames; i++ {
		s := o.q.at(i)
		size += len(s.Body)
		if len(o.batch) > 0 && size > o.o.BatchBytes {
			break
		}
		o.batch = append(o.batch, s.Entry)
	}
	o.q.writing = len(o.batch)
	return o.batch
}

// nextWake returns the next time at which there is something to do, or zero when an
// earlier Wake is still to come.
func (o *Outbox[T]) nextWake() time.Time {
	at := o.trim
	if o.state == waiting && (at.IsZero() || o.due.Before(at)) {
		at = o.due
	}
	if !o.wake.IsZero() && !at.Before(o.wake) {
		return time.Time{}
	}
	o.wake = at
	return at
}

// small is the number of messages for which an empty outbox keeps memory.
const small = 32

// giveBack frees the memory of a burst that was not needed since the last check.
func (o *Outbox[T]) giveBack() {
	o.trim = time.Time{}
	if 4*o.peak <= cap(o.q.slots) {
		o.q.shrink()
		o.batch, o.settled = nil, nil // a write under way keeps its own
	}
	o.peak = o.q.len()
}
