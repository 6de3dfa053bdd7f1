package connpool

// rust is what a Tari node does with connections that cross, as far as its
// releases 1.0.0-rc.5 and 6.2.0 have been seen to: a dialler that is told of an
// inbound connection and cancels its own dial, as long as that is not over; a
// pool that compares ids as connections are reported to it; and queues between
// them.
//
// spec: comms 10.2, 10.3
type rust struct {
	dials     int8
	pending   int8 // the dial that the dialler has on its books; -1: none
	asks      int8 // how often a connection was asked for
	again     bool // is to be asked for again, because the dial was cancelled
	pool      int8 // the connection that the pool has; -1: none
	connected bool // as far as the pool knows

	reports queue // to the connection manager
	inbound queue // from there to the dialler
	events  queue // from there to the pool
}

// queue holds lines, and failed for a dial that was cancelled.
type queue struct {
	items [2*maxDials + 2]int8
	n     int8
}

const failed int8 = -1

func (q *queue) put(item int8) {
	q.items[q.n] = item
	q.n++
}

func (q *queue) take() int8 {
	item := q.items[0]
	copy(q.items[:], q.items[1:])
	q.items[len(q.items)-1] = 0
	q.n--
	return item
}

// rustAt is the end of a line at the Rust node.
const rustAt = 1

// rustSetUp is the end of a set-up there.
func (s *state) rustSetUp(i int, to stage) {
	switch {
	case i/maxDials == rustAt:
		s.lines[i].result = true
	case to == up:
		s.world.rust.reports.put(int8(i))
	}
}

// rustAsk is somebody at the Rust node asking for a connection.
func (s *state) rustAsk() {
	r := &s.world.rust
	r.asks++
	if r.pool >= 0 && r.connected && s.lines[r.pool].end[rustAt].alive() || r.pending >= 0 || r.dials == maxDials {
		return
	}
	i := rustAt*maxDials + r.dials
	s.lines[i].end[rustAt] = connecting
	r.pending = i
	r.dials++
}

func (s *state) rustCancel() {
	if r := &s.world.rust; r.pending >= 0 {
		s.lines[r.pending].cancel = true
		r.pending = -1
	}
}

// nextOfRust is what the Rust node can do next.
func (s *state) nextOfRust(can option) {
	r := s.world.rust
	can(r.asks == 0 || r.asks < s.model.asks && r.again, (*state).rustAsk, "1 asks for a connection")
	for i := rustAt * maxDials; i < len(s.lines); i++ {
		l := s.lines[i]
		can(l.result, func(s *state) {
			s.lines[i].result = false
			report := failed
			if l.end[rustAt] != gone || !l.cancel {
				report = int8(i)
			} else {
				s.world.rust.again = true
			}
			s.world.rust.reports.put(report)
			s.rustCancel() // whichever dial is on the books by now
		}, "the dialler of 1 sees the end of its dial %d", i)
	}
	can(r.reports.n > 0, func(s *state) {
		r := &s.world.rust
		item := r.reports.take()
		if item >= 0 && item/maxDials != rustAt {
			r.inbound.put(item)
		}
		r.events.put(item)
	}, "1 passes on what was reported")
	can(r.inbound.n > 0, func(s *state) {
		if s.lines[s.world.rust.inbound.take()].end[rustAt].alive() {
			s.rustCancel()
		}
	}, "the dialler of 1 hears of an inbound connection")
	can(r.events.n > 0, func(s *state) { s.rustPool(s.world.rust.events.take()) }, "the pool of 1 hears of a connection")
}

// rustPool decides between two connections.
func (s *state) rustPool(item int8) {
	r := &s.world.rust
	outbound := func(i int8) bool { return i/maxDials == rustAt }
	works := func(i int8) bool { return i >= 0 && s.lines[i].end[rustAt].alive() }
	if item == failed {
		if r.pool >= 0 && (!works(r.pool) || outbound(r.pool)) {
			r.connected = false
		}
		return
	}
	keepNew := true
	if works(r.pool) && r.connected && outbound(r.pool) != outbound(item) {
		smaller := s.ids[rustAt].Compare(s.ids[1-rustAt]) < 0
		keepNew = outbound(item) == smaller
	}
	loser := item
	if keepNew {
		loser = r.pool
		r.pool, r.connected = item, works(item)
		if works(item) {
			s.lines[item].end[rustAt] = adopted
		}
	}
	if works(loser) {
		s.lines[loser].end[rustAt] = closing
	}
}
