package messaging_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestOutgoingModel has a queue, a writer and a connection beside the machine, as a session has
// them, and ends substreams in order and otherwise. What is written on a substream whose
// acceptance has come is proven or asked for at the latest after the delay; FIN is sent once on a
// substream, behind the proof of all; each Finish has one end; and after Drain everything ends.
func TestOutgoingModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &sessionModel{
			t: t, now: start, settled: make(map[int]bool),
			m: messaging.NewOutgoing[int](messaging.Options{BatchFrames: 3, ProofDelay: modelDelay / 2, LoneDelay: modelDelay}),
		}
		actions := map[string]func(*rapid.T){
			"queue": s.queue, "answer": s.answer, "write": s.write, "accept": s.accept, "pong": s.pong,
			"time": s.time, "end": s.end, "finish": s.finishIt, "drain": s.drainIt, "withdraw": s.withdraw, "": s.check,
		}
		for range 4 {
			t.Repeat(actions)
		}
		s.settleAll()
	})
}

const modelDelay = time.Millisecond

// sessionModel is a session with its queue, writer and connection.
type sessionModel struct {
	t   *rapid.T
	m   *messaging.Outgoing[int]
	now time.Time

	count   int
	urgent  []bool
	settled map[int]bool

	waiting []int   // in the queue
	pulled  [][]int // taken by the writer, not yet written
	written []int   // pulled and written, not collected
	pulls   bool    // the writer takes from the queue
	given   []int   // a batch that is being written

	request  uint64
	opening  bool
	open     bool
	awaited  bool
	fin      bool
	finishes int // Finish without its end
	drains   bool

	wrote time.Time // the oldest write that is neither proven nor asked for; zero: none
	mark  uint64    // to be proven by the next pong
	due   time.Time // of ProofDue
	wake  time.Time
}

func (s *sessionModel) entry(id int) messaging.Entry[int] {
	return messaging.Entry[int]{ID: uint64(id) + 1, Tag: id, Body: []byte{1}, Urgent: s.urgent[id], Withdrawn: s.settled[id]}
}

func (s *sessionModel) entries(ids []int) (all []messaging.Entry[int]) {
	for _, id := range ids {
		all = append(all, s.entry(id))
	}
	return all
}

func (s *sessionModel) do(a messaging.Actions[int]) {
	for _, x := range a.Settled {
		if s.settled[x.Tag] {
			s.t.Fatalf("got %d settled twice", x.Tag)
		}
		s.settled[x.Tag] = true
	}
	if a.Drop {
		s.open, s.fin, s.mark, s.wrote = false, false, 0, time.Time{}
		s.pulls = false
		s.stopped()
	}
	if a.Prove != 0 {
		if s.awaited {
			s.t.Fatal("got a proof asked for before the acceptance")
		}
		s.mark, s.wrote = a.Prove, time.Time{}
	}
	if !a.ProofDue.IsZero() {
		if !s.due.IsZero() && !a.ProofDue.Before(s.due) {
			s.t.Fatal("got a later time for a proof while one is to come")
		}
		s.due = a.ProofDue
	}
	if a.Collect {
		s.collect()
		s.stopped()
	}
	if len(a.Write) > 0 {
		if !s.open || s.pulls || s.given != nil || len(s.pulled) > 0 || s.fin {
			s.t.Fatalf("got a write (open %v, pulls %v, FIN %v), want none", s.open, s.pulls, s.fin)
		}
		for _, e := range a.Write {
			s.given = append(s.given, e.Tag)
		}
	}
	if a.Dial || a.Open {
		if s.open {
			s.t.Fatal("got a dial or an open beside an open substream")
		}
		s.request, s.opening = a.Request, a.Open
	}
	if a.StopPull {
		s.pulls = false
		s.stopped()
	}
	if a.Fin {
		if s.fin || !s.open {
			s.t.Fatalf("got FIN (open %v, sent %v), want it once on an open substream", s.open, s.fin)
		}
		if !s.drains && s.m.Unproven() > 0 {
			s.t.Fatalf("got FIN with %d messages unproven", s.m.Unproven())
		}
		if len(s.pulled)+len(s.written) > 0 {
			s.t.Fatal("got FIN while the writer has messages")
		}
		s.fin = true
	}
	if a.Finished {
		s.finishes = 0
	}
	if !a.Wake.IsZero() {
		s.wake = a.Wake
	}
}

// collect is what a session does when it is told to.
func (s *sessionModel) collect() {
	b := s.written
	s.written = nil
	if len(b) > 0 {
		s.do(s.m.WrotePulled(s.now, s.entries(b), 0, nil, false))
	}
}

// stopped is what a session does when its writer pulls no more.
func (s *sessionModel) stopped() {
	if !s.m.Pulling() || s.pulls {
		return
	}
	s.collect()
	if !s.m.Pulling() || len(s.pulled) > 0 {
		return
	}
	s.flush()
	s.do(s.m.PullStopped(s.now))
}

func (s *sessionModel) flush() {
	all := s.waiting
	s.waiting = nil
	for _, id := range all {
		s.do(s.m.Queued(s.now, s.entry(id)))
	}
}

func (s *sessionModel) queue(t *rapid.T) {
	if s.drains {
		return
	}
	s.urgent = append(s.urgent, rapid.IntRange(0, 3).Draw(t, "urgent") == 0)
	s.waiting = append(s.waiting, s.count)
	s.count++
	if !s.m.Pulling() {
		s.flush()
	}
}

// answer is that of the dialer or the connection.
func (s *sessionModel) answer(t *rapid.T) {
	if !s.m.Awaits(s.request) {
		return
	}
	switch how := rapid.IntRange(0, 5).Draw(t, "how"); {
	case how == 5:
		s.do(s.m.ConnectionGone(s.now, errors.New("lost")))
	case how == 4 && !s.opening:
		s.do(s.m.DialCancelled(s.now))
	default:
		s.succeed(messaging.Acceptance(rapid.IntRange(0, 2).Draw(t, "acceptance")))
	}
}

func (s *sessionModel) succeed(answer messaging.Acceptance) {
	if !s.opening {
		s.do(s.m.Dialled(s.now, protocol.ReasonNone, nil))
		return
	}
	s.opening, s.open, s.awaited = false, true, answer == messaging.Awaited
	s.do(s.m.Opened(s.now, answer))
}

// write is the next step of the writer.
func (s *sessionModel) write(t *rapid.T) {
	fails := !s.open || t != nil && rapid.IntRange(0, 9).Draw(t, "fails") == 0
	var err error
	if fails {
		err = errors.New("reset")
	}
	note := func() {
		if !fails && s.wrote.IsZero() {
			s.wrote = s.now
		}
	}
	switch {
	case s.given != nil:
		s.given = nil
		note()
		s.do(s.m.Wrote(s.now, 0, err, false))
		s.pulls = s.m.StartPull()
	case len(s.pulled) > 0 && fails:
		b := s.pulled[0]
		for i := len(s.pulled) - 1; i > 0; i-- {
			s.waiting = append(s.pulled[i], s.waiting...)
		}
		s.pulled, s.pulls = nil, false
		s.collect()
		s.do(s.m.WrotePulled(s.now, s.entries(b), 0, err, false))
		s.stopped()
	case len(s.pulled) > 0:
		b := s.pulled[0]
		s.pulled = s.pulled[1:]
		s.written = append(s.written, b...)
		note()
		urgent := false
		for _, id := range b {
			urgent = urgent || s.urgent[id]
		}
		s.do(s.m.PulledSome(s.now, urgent || len(b) > 1 || !s.pulls))
	case s.pulls && len(s.waiting) > 0:
		n := 1
		if t != nil {
			n = rapid.IntRange(1, min(3, len(s.waiting))).Draw(t, "taken")
		}
		s.pulled = append(s.pulled, append([]int(nil), s.waiting[:n]...))
		s.waiting = s.waiting[n:]
	}
}

func (s *sessionModel) accept(t *rapid.T) {
	if !s.open || !s.awaited {
		return
	}
	s.awaited = false
	if !s.wrote.IsZero() { // nothing could be asked for before
		s.wrote = s.now
	}
	s.do(s.m.Accepted(s.now))
}

func (s *sessionModel) pong(t *rapid.T) {
	if s.mark == 0 {
		return
	}
	mark := s.mark
	s.mark = 0
	s.do(s.m.Proven(s.now, mark))
}

func (s *sessionModel) time(t *rapid.T) {
	s.pass(time.Duration(rapid.IntRange(0, 3000).Draw(t, "µs")) * time.Microsecond)
}

// pass lets time pass, with what is due on the way.
func (s *sessionModel) pass(d time.Duration) {
	end := s.now.Add(d)
	for {
		switch {
		case !s.due.IsZero() && !s.due.After(end):
			s.now, s.due = later(s.now, s.due), time.Time{}
			b := s.written
			s.written = nil
			s.do(s.m.ProofDue(s.now, s.entries(b)))
		case !s.wake.IsZero() && !s.wake.After(end):
			s.now, s.wake = later(s.now, s.wake), time.Time{}
			s.do(s.m.Due(s.now))
		default:
			s.now = end
			return
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// end is the end of the substream by the peer.
func (s *sessionModel) end(t *rapid.T) {
	if !s.open || rapid.IntRange(0, 3).Draw(t, "rarely") > 0 {
		return
	}
	s.ended()
}

func (s *sessionModel) ended() {
	s.collect()
	s.do(s.m.Ended(s.now, errors.New("reset"), false))
	s.open = false
}

func (s *sessionModel) finishIt(t *rapid.T) {
	if !s.open || rapid.IntRange(0, 3).Draw(t, "rarely") > 0 {
		return
	}
	s.finishes = 1
	s.do(s.m.Finish(s.now))
}

func (s *sessionModel) drainIt(t *rapid.T) {
	if s.drains || rapid.IntRange(0, 9).Draw(t, "rarely") > 0 {
		return
	}
	s.drain()
}

func (s *sessionModel) drain() {
	s.drains = true
	if !s.m.Pulling() {
		s.flush()
	}
	s.do(s.m.Drain(s.now))
}

func (s *sessionModel) withdraw(t *rapid.T) {
	if s.count == 0 || s.m.Pulling() {
		return
	}
	s.do(s.m.Withdrawn(s.now, uint64(rapid.IntRange(0, s.count-1).Draw(t, "id"))+1))
}

func (s *sessionModel) check(t *rapid.T) {
	if s.open && !s.awaited && !s.wrote.IsZero() && s.now.Sub(s.wrote) > modelDelay {
		t.Fatalf("got nothing asked for what was written %v ago, want a proof after %v", s.now.Sub(s.wrote), modelDelay)
	}
	if !s.open && s.finishes > 0 {
		t.Fatal("got a substream ended that was to be finished, and no end of the finish")
	}
	if len(s.waiting) > 0 && !s.m.Pulling() {
		t.Fatalf("got %d messages in the queue with nobody to take them", len(s.waiting))
	}
	if s.m.Drained() && len(s.waiting)+len(s.pulled)+len(s.written) > 0 {
		t.Fatal("got it drained while the writer has messages")
	}
}

// settleAll lets everything go well from now on, and drains.
func (s *sessionModel) settleAll() {
	if !s.drains {
		s.drain()
	}
	for range 10_000 {
		switch {
		case s.m.Drained():
			if len(s.settled) != s.count {
				s.t.Fatalf("got %d of %d messages settled when all was drained", len(s.settled), s.count)
			}
			return
		case s.given != nil, len(s.pulled) > 0, s.pulls && len(s.waiting) > 0:
			s.write(nil)
		case s.m.Awaits(s.request):
			s.succeed(messaging.Given)
		case s.open && s.awaited:
			s.awaited = false
			s.do(s.m.Accepted(s.now))
		case s.mark != 0:
			s.pong(nil)
		case s.fin:
			s.ended()
		default:
			s.pass(time.Second)
		}
	}
	s.t.Fatalf("got it not drained: %s, %d of %d settled", s.m.State(), len(s.settled), s.count)
}
