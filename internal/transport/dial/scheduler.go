package dial

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Scheduler is the state machine. It is not safe for concurrent use.
type Scheduler struct {
	o      Options
	wishes map[identity.NodeID]*wish // never ranged over where the order could matter
	timed  timed
	queue  []*wish // automatic wishes, first come, first served; those that left early are not inLine
	queued int     // how many are inLine
	slots  int     // automatic attempts in flight
	rate   pace    // of automatic attempts
	busy   busyPeers
	seq    uint64
	wakes  []time.Time // Wakes still to come, each earlier than the one before
	out    []Effect
}

// New returns a scheduler without wishes.
func New(o Options) *Scheduler {
	o = o.withDefaults()
	return &Scheduler{o: o, wishes: make(map[identity.NodeID]*wish), busy: newBusyPeers(), rate: newPace(o.Rate)}
}

// Step applies one event and returns its effects, in order. The slice is valid until
// the next Step.
func (s *Scheduler) Step(now time.Time, e Event) []Effect {
	clear(s.out)
	s.out = s.out[:0]
	switch e := e.(type) {
	case Wanted:
		s.wanted(now, e)
	case Dialled:
		s.dialled(now, e)
	case Refused:
		if w := s.wishes[e.Peer]; w != nil && w.State == Adopting {
			s.failed(now, w, e.Err, Final)
		}
	case Connected:
		s.busy.forget(e.Peer)
		s.connected(e.Peer)
	case Cancelled:
		s.settle(e.Peer, ErrCancelled)
	case Eased:
		if w := s.wishes[e.Peer]; w != nil && w.Wanted {
			w.Automatic = true // it takes a slot with its next attempt
		}
	case Due:
		s.due(now)
	}
	s.fill(now)
	s.askWake(now)
	return s.out
}

// Wishes returns all wishes in order of arrival.
func (s *Scheduler) Wishes() []Wish {
	all := make([]*wish, 0, len(s.wishes))
	for _, w := range s.wishes {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b *wish) int { return cmp.Compare(a.seq, b.seq) })
	list := make([]Wish, len(all))
	for i, w := range all {
		list[i] = w.Wish
	}
	return list
}

// Len returns the number of wishes.
func (s *Scheduler) Len() int { return len(s.wishes) }

func (s *Scheduler) do(f Effect) { s.out = append(s.out, f) }

func (s *Scheduler) wanted(now time.Time, e Wanted) {
	attempts := e.Attempts
	if attempts <= 0 {
		attempts = s.o.Attempts
	}
	w := s.wishes[e.Peer]
	if w == nil {
		s.seq++
		w = &wish{Wish: Wish{Peer: e.Peer, Automatic: e.Automatic, Wanted: true, Attempts: attempts}, seq: s.seq, heap: -1}
		s.wishes[e.Peer] = w
		s.begin(now, w)
		return
	}
	if !w.Wanted { // a new wish waits for the result of the old one's dial
		w.Automatic, w.Wanted, w.Tries, w.Attempts = e.Automatic, true, 0, attempts
		if w.State == Adopting {
			w.Tries = 1
		}
		return
	}
	w.Attempts = max(w.Attempts, attempts)
	if w.Automatic && !e.Automatic { // no longer automatic
		w.Automatic = false
		s.freeSlot(w)
		switch w.State {
		case Queued, Waiting:
			s.start(w)
		}
	}
}

// begin makes the first attempt of a wish, or lets it wait for its time or its turn.
func (s *Scheduler) begin(now time.Time, w *wish) {
	if !w.Automatic {
		s.start(w)
		return
	}
	if until := s.busy.until(w.Peer); until.After(now) {
		s.at(w, Waiting, until)
		return
	}
	s.enqueue(w)
}

// enqueue puts an automatic wish in line; fill starts it when it may.
func (s *Scheduler) enqueue(w *wish) {
	if s.queued >= s.o.Queue {
		s.end(w)
		s.do(Settled{w.Peer, ErrQueueFull})
		return
	}
	if len(s.queue) > 2*s.o.Queue { // most entries are of wishes that left the line
		s.queue = slices.DeleteFunc(s.queue, func(w *wish) bool { return !w.inLine })
	}
	s.removeTimed(w)
	w.State, w.inLine = Queued, true
	s.queue = append(s.queue, w)
	s.queued++
}

func (s *Scheduler) leaveLine(w *wish) {
	if w.inLine {
		w.inLine = false
		s.queued--
	}
}

// fill starts automatic wishes, within the limits of attempts in flight and per second.
func (s *Scheduler) fill(now time.Time) {
	for s.slots < s.o.InFlight && s.queued > 0 && !s.rate.next().After(now) {
		w := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		if w.inLine {
			s.rate.begin(now)
			s.start(w)
		}
	}
	if s.queued == 0 {
		s.queue = nil
	}
}

func (s *Scheduler) start(w *wish) {
	s.removeTimed(w)
	s.leaveLine(w)
	w.State = Dialling
	w.Tries++
	if w.Automatic {
		w.slot = true
		s.slots++
	}
	s.do(Attempt{w.Peer, w.Tries})
}

func (s *Scheduler) freeSlot(w *wish) {
	if w.slot {
		w.slot = false
		s.slots--
	}
}

func (s *Scheduler) dialled(now time.Time, e Dialled) {
	w := s.wishes[e.Peer]
	if w == nil {
		return
	}
	switch w.State {
	case Dialling:
		s.freeSlot(w)
		if e.Err != nil {
			s.failed(now, w, e.Err, e.Class)
			return
		}
		s.at(w, Adopting, now.Add(s.o.Adopt))
	case Cancelling:
		s.freeSlot(w)
		switch {
		case e.Err == nil && (w.Wanted || !w.connected): // it succeeded, cancelled or not
			w.Tries = 1
			s.at(w, Adopting, now.Add(s.o.Adopt))
		case !w.Wanted:
			s.end(w)
		default: // a cancelled attempt does not count as failed
			s.begin(now, w)
		}
	case Adopting:
		if e.Err != nil {
			s.failed(now, w, e.Err, e.Class)
		}
	}
}

// failed ends an attempt without a connection.
func (s *Scheduler) failed(now time.Time, w *wish, err error, class Class) {
	if !w.Wanted {
		s.end(w)
		return
	}
	wait := s.o.Retry.after(w.Tries)
	if class == Busy {
		wait = max(wait, jittered(s.o.Random, s.o.Busy.after(s.busy.count(now, w.Peer, s.o.Busy.Ceiling))))
		s.busy.hold(w.Peer, now.Add(wait))
	}
	if class == Final || w.Tries >= w.Attempts {
		s.end(w)
		s.do(Settled{w.Peer, err})
		return
	}
	s.at(w, Waiting, now.Add(wait))
}

// connected ends the wish for a peer, also a cancelled one.
func (s *Scheduler) connected(peer identity.NodeID) {
	w := s.wishes[peer]
	switch {
	case w == nil:
	case w.Wanted:
		s.settle(peer, nil)
	case w.State == Adopting:
		s.end(w)
	default:
		w.connected = true
	}
}

// settle ends a wish. It cancels a running attempt and keeps the entry until the attempt
// has ended. After a successful attempt it keeps the entry until the connection is
// announced: a second dial meanwhile would replace that connection.
func (s *Scheduler) settle(peer identity.NodeID, err error) {
	w := s.wishes[peer]
	if w == nil || !w.Wanted {
		return
	}
	switch w.State {
	case Dialling:
		w.State, w.Wanted, w.connected = Cancelling, false, err == nil
		s.do(Cancel{peer})
	case Cancelling:
		w.Wanted, w.connected = false, err == nil
	case Adopting:
		if w.Wanted = false; err == nil {
			s.end(w)
		}
	default:
		s.end(w)
	}
	s.do(Settled{peer, err})
}

func (s *Scheduler) due(now time.Time) {
	if len(s.wakes) > 0 {
		s.wakes = s.wakes[:len(s.wakes)-1]
	}
	for len(s.timed) > 0 && !s.timed[0].Due.After(now) {
		w := s.timed[0]
		switch {
		case w.State == Adopting:
			s.failed(now, w, ErrNotAdopted, Transient)
		case w.Automatic:
			s.enqueue(w)
		default:
			s.start(w)
		}
	}
}

// askWake asks for a Wake if one is needed before those already asked for.
func (s *Scheduler) askWake(now time.Time) {
	var first time.Time
	if len(s.timed) > 0 {
		first = s.timed[0].Due
	}
	if next := s.rate.next(); s.queued > 0 && s.slots < s.o.InFlight && next.After(now) && (first.IsZero() || next.Before(first)) {
		first = next
	}
	if first.IsZero() {
		return
	}
	if len(s.wakes) == 0 || first.Before(s.wakes[len(s.wakes)-1]) {
		s.wakes = append(s.wakes, first)
		s.do(Wake{first})
	}
}

func (s *Scheduler) at(w *wish, state State, due time.Time) {
	s.removeTimed(w)
	w.State, w.Due = state, due
	heap.Push(&s.timed, w)
}

func (s *Scheduler) removeTimed(w *wish) {
	if w.heap >= 0 {
		heap.Remove(&s.timed, w.heap)
	}
	w.Due = time.Time{}
}

// end forgets a wish.
func (s *Scheduler) end(w *wish) {
	s.removeTimed(w)
	s.freeSlot(w)
	s.leaveLine(w)
	delete(s.wishes, w.Peer)
}
