package mux

import (
	"sync"
	"sync/atomic"
)

// lead is who reads the connection: the library's goroutine, or a Read that waits, in its place. Then
// nobody has to be woken for what comes: a wake costs more than all else of a short answer.
//
// The library's goroutine offers it to a Read that has waited for each of the last frames, one at a
// time, and stands by. While the Read's caller does something else, nobody reads: the lookout calls
// the library's goroutine back within 0.2 ms, so that frames for others are not later than that. It
// is called back at once when there is more than what the Read has waited for.
type lead struct {
	may     atomic.Bool // see [Session.LetReadsLead]
	after   int32       // frames in a row that a Read must have waited for
	lookout *lookout

	st   atomic.Pointer[Stream] // whose Read leads; nil: the library's goroutine reads, or is called back
	ends atomic.Bool            // the Read is to call it back

	// Only the goroutine that reads the connection uses these two.
	row  int32 // frames in a row for the last substream that a Read has waited for, one at a time
	came int32 // frames since reading has last waited

	mu    sync.Mutex
	back  waker // calls the library's goroutine back
	reads bool  // the Read is at it; otherwise its caller does something else
	looks int   // of the lookout, since the last change
}

// newLead returns the state of a connection. Tests replace it.
var newLead = func() *lead { return &lead{after: leadAfter, lookout: &theLookout} }

// leadAfter is how many frames in a row a Read must have waited for before it leads. It outweighs
// that the library's goroutine has to be called back.
const leadAfter = 64

// LetReadsLead lets a Read that waits read the connection itself, where that pays. The connection is
// one of the operating system's.
func (s *Session) LetReadsLead() { s.lead.may.Store(leadsPay) }

// standBy leaves the reading to a Read until it is called back.
func (s *Session) standBy() {
	d, st := s.lead, s.table.last.Load()
	d.row = 0
	if st == nil || !d.lookout.add(s) {
		return
	}
	defer d.lookout.remove(s)
	d.ends.Store(false)
	d.mu.Lock()
	d.back, d.looks = newWaker(), 0
	d.st.Store(st)
	d.mu.Unlock()
	st.in.ready.wake() // it may wait already
	for over := s.over; ; {
		select {
		case <-d.back:
		case <-over:
			over = nil
			s.lookAround()
		}
		d.mu.Lock()
		if !d.reads {
			d.st.Store(nil)
			d.row = 0
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
	}
}

// enter begins a turn of a Read of st. While nobody reads and another substream's Read leads, it calls the library's goroutine back instead.
func (d *lead) enter(st *Stream) bool {
	leads := d.st.Load()
	if leads == nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if leads = d.st.Load(); leads == nil || d.reads {
		return false
	}
	if leads != st {
		d.back.wake()
		return false
	}
	d.reads, d.looks = true, 0
	return true
}

// wanted has the library's goroutine called back at once, because somebody else begins to wait for a frame.
func (d *lead) wanted() { d.enter(nil) }

// leave ends the turn.
func (d *lead) leave(calls bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reads, d.looks = false, 0; calls {
		d.st.Store(nil)
		d.back.wake()
	}
}

// lead reads the connection until something has come for a Read that waits, or it has to look around.
// It returns false if the library's goroutine reads.
func (st *Stream) lead() bool {
	s := st.session
	d := s.lead
	if !d.enter(st) {
		return false
	}
	calls := true
	defer func() { // also when a listener panics
		r := &s.reader
		d.leave(calls || r.needs(s) || r.have > 0 || !r.boundary() || s.conn.Pending() || s.table.last.Load() != st)
	}()
	for goes := true; goes && !d.ends.Load(); {
		if !st.in.leads(s) {
			calls = false
			return true
		}
		if s.reader.needs(s) {
			return true
		}
		s.step()
		if h := s.reader.heard; h != nil && s.reader.boundary() {
			s.reader.tell()
			goes = h == st
		}
	}
	return true
}

// needs reports whether there is something that only the library's goroutine does.
func (r *reader) needs(s *Session) bool {
	others := r.have == headerLen && (r.head.flags() != 0 || r.head.version() != 0 || r.head.kind() > typeWindow)
	return others || r.ended || r.skip > 0 || len(r.out)+len(r.opened) > 0 ||
		s.injecting.Load() > 0 || s.swallow.Load() || s.table.churn.untilSet.Load()
}

// lookout looks after the connections that a Read reads, at most leadMost of the process. It has a goroutine while there are such.
type lookout struct {
	nap func() // about 0.1 ms

	mu   sync.Mutex
	over map[*Session]bool
	runs bool
}

const (
	leadMost = 16
	// awayLooks is how many looks a Read's caller may do something else, and waitLooks how many its Read may wait: a quick exchange is over.
	awayLooks = 1
	waitLooks = 10
)

var theLookout = lookout{nap: nap}

// add adds a connection, if there is room.
func (w *lookout) add(s *Session) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.over) >= leadMost {
		return false
	}
	if w.over == nil {
		w.over = make(map[*Session]bool)
	}
	w.over[s] = true
	if !w.runs {
		w.runs = true
		go w.run()
	}
	return true
}

func (w *lookout) remove(s *Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.over, s)
}

func (w *lookout) run() {
	for w.look() {
		w.nap()
	}
}

// look ends the reading of Reads where nothing happens. It is false if there is no connection.
func (w *lookout) look() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s := range w.over {
		d := s.lead
		d.mu.Lock()
		switch d.looks++; {
		case !d.reads && d.looks > awayLooks:
			d.back.wake()
		case d.reads && d.looks > waitLooks:
			d.ends.Store(true)
			s.lookAround()
		}
		d.mu.Unlock()
	}
	w.runs = len(w.over) > 0
	return w.runs
}
