package mux

import (
	"io"
	"os"
	"sync"
	"time"
)

// initialWindow is how many bytes either side may send on a substream before it gets more
// credit. spec: comms 5.2
const initialWindow = 256 << 10

// inflow is the receiving half of a substream. It has the bytes that have arrived and were not
// read, the credit of the peer, and the end.
//
// The goroutine that reads the connection fills it; Read and TryRead take from it. While a Read waits,
// nothing is unread: what comes next goes straight into its buffer, once, and what comes after
// that into segments. So bytes are taken in the order in which they came.
//
// The peer may have at most the window unread. Credit is given when a quarter of the window was
// taken, so that a sender at a distance need not stand still.
type inflow struct {
	ready waker // wakes a Read that waits; it looks itself at what has happened

	mu       sync.Mutex
	kept     segments
	unread   int      // bytes in them
	waits    []byte   // the buffer of a Read that waits and has nothing yet
	leader   *Session // whose connection that Read reads itself; nil: it waits to be woken
	got      int      // bytes that were put there
	window   uint64
	sent     uint64 // bytes that the peer has announced
	taken    uint64 // bytes that were read or dropped
	promised uint64 // bytes that the peer may have sent by now
	end      error  // of Read, when nothing is unread; nil: the peer's half goes on
	deadline time.Time
	timer    *time.Timer
	armed    time.Time // when the timer runs out; zero: it does not run
}

// announced notes n bytes of the peer that are about to come. It returns false if the peer had
// no credit for them.
func (f *inflow) announced(n uint32) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent += uint64(n)
	return f.sent <= f.promised
}

// opening returns the credit that goes with the SYN or ACK.
func (f *inflow) opening() uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.credit(0)
}

// owed returns what the peer may be promised when n more bytes are read. The lock is held.
func (f *inflow) owed(n int) uint64 { return f.taken + uint64(n) + f.window - f.promised }

// credit returns the credit that is due, and promises it; 0 if it is less than least. The lock
// is held.
func (f *inflow) credit(least uint64) uint32 {
	due := f.owed(0)
	if due < least {
		return 0
	}
	f.promised += due
	return uint32(due)
}

// fill takes up to n bytes out of from, which must not wait: straight to the Read that waits, or
// into segments. It returns their number, the credit that is due if they were dropped, and whether a Read has waited for them.
func (f *inflow) fill(from io.Reader, n int) (k int, due uint32, met bool, err error) {
	f.mu.Lock()
	switch {
	case f.end != nil: // nobody reads it
		s := takeSegment(n)
		k, err = from.Read(s.b[:min(n, len(s.b))])
		s.give()
		f.taken += uint64(k)
		if f.end != io.EOF { // a peer that has ended its half may send nothing
			due = f.credit(f.window / 4)
		}
	case f.waits != nil:
		k, err = from.Read(f.waits[:min(n, len(f.waits))])
		if k > 0 {
			f.waits, f.got, met = nil, k, true
			f.taken += uint64(k)
			if f.leader == nil {
				defer f.ready.wake() // after the lock is free
			}
		}
	default:
		t := f.kept.tail
		if t == nil || t.end == len(t.b) {
			t = f.kept.extend(n)
		}
		k, err = from.Read(t.b[t.end:min(len(t.b), t.end+n)])
		t.end += k
		f.unread += k
	}
	f.mu.Unlock()
	return k, due, met, err
}

// take takes what there is, up to len(p) bytes, and returns the credit that is due. What was put
// into the buffer of a Read that waited is in p already. The lock is held.
func (f *inflow) take(p []byte) (n int, due uint32) {
	n, f.got = f.got, 0
	for n < len(p) && f.unread > 0 {
		s := f.kept.head
		k := copy(p[n:], s.b[s.off:s.end])
		s.off += k
		n += k
		f.unread -= k
		f.taken += uint64(k)
		if s.off == s.end {
			f.kept.shift()
		}
	}
	if f.end != nil { // the peer sends nothing more
		return n, 0
	}
	return n, f.credit(f.window / 4)
}

// leads begins to read the connection for a Read, or goes on with it. It returns false, and ends that, if the Read has something.
func (f *inflow) leads(s *Session) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leader = nil
	if f.got > 0 || f.unread > 0 || f.end != nil || !f.inTime() {
		return false
	}
	f.leader = s
	return true
}

// rouse has a Read that waits look around. The lock is held.
func (f *inflow) rouse() {
	if f.leader != nil {
		f.leader.lookAround()
	}
	f.ready.wake()
}

// read is Read of the substream st.
func (f *inflow) read(st *Stream, p []byte) (n int, due uint32, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		if n, due = f.take(p); n > 0 {
			return n, due, nil
		}
		if f.end != nil {
			return 0, due, f.end
		}
		if !f.inTime() {
			return 0, due, os.ErrDeadlineExceeded
		}
		f.waits = p
		f.await(st)
	}
}

// await waits until Read has to look around. The lock is held, but not meanwhile.
func (f *inflow) await(st *Stream) {
	f.mu.Unlock()
	defer func() { // also when somebody panics who hears of a frame that this Read has read
		f.mu.Lock()
		f.waits, f.leader = nil, nil // the buffer belongs to the caller again
	}()
	if !st.lead() {
		<-f.ready
	}
}

// inTime reports whether the deadline of Read has not passed, and has Read woken when it has. Most
// deadlines are moved before they pass, so a timer that runs is left alone. The lock is held.
func (f *inflow) inTime() bool {
	if f.deadline.IsZero() {
		return true
	}
	left := time.Until(f.deadline)
	switch {
	case left <= 0:
		return false
	case !f.armed.IsZero() && !f.deadline.Before(f.armed): // it runs out sooner, and is set again
		return true
	case f.timer != nil:
		f.timer.Reset(left)
	default:
		f.timer = time.AfterFunc(left, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.armed = time.Time{}
			f.rouse()
		})
	}
	f.armed = f.deadline
	return true
}

// setDeadline bounds Read.
func (f *inflow) setDeadline(t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deadline = t; f.waits != nil {
		f.rouse()
	}
}

// finish ends the peer's half: Read returns err behind all that has arrived. The first end
// counts.
func (f *inflow) finish(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.end == nil {
		f.end = err
		f.stop()
	}
	f.rouse()
}

// close ends reading by this side: Read returns err, and what has arrived or still comes is
// dropped. It returns the credit that is due.
func (f *inflow) close(err error) (due uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end = err
	f.taken += uint64(f.unread)
	f.unread = 0
	f.kept.free()
	f.stop()
	f.rouse()
	return f.credit(f.window / 4)
}

// stop stops the timer. The lock is held.
func (f *inflow) stop() {
	if f.timer != nil {
		f.timer.Stop()
		f.armed = time.Time{}
	}
}
