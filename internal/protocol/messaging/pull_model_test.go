package messaging_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestPullModel has a queue and a writer beside the outbox, as a session has them: the
// outbox lets the writer pull, and substreams are lost
// meanwhile. Every message must have one outcome, a message is confirmed only if it was
// proven, and on each substream messages leave in the order in which they were queued.
//
// conforms: comms 85, 87
func TestPullModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &puller{
			t: t, now: start, box: messaging.NewOutbox[int](messaging.Options{BatchFrames: 3}),
			settled: make(map[int]protocol.Outcome), proven: make(map[int]bool), left: make(map[int]bool),
		}
		actions := map[string]func(*rapid.T){
			"queue": l.queue, "step": l.step, "take": l.take, "report": l.report,
			"prove": l.prove, "end": l.end, "hold": l.hold, "rest": l.rest,
			"withdraw": l.withdraw, "accept": l.accept, "": l.check,
		}
		for range 4 {
			t.Repeat(actions)
		}
		l.finish()
	})
}

// puller is a session with its queue and writer.
type puller struct {
	t   *rapid.T
	box *messaging.Outbox[int]
	now time.Time

	resend  []bool // of each message
	settled map[int]protocol.Outcome
	proven  map[int]bool
	left    map[int]bool // bytes may have left

	waiting []int   // the queue: not taken
	batches [][]int // taken by the writer and not reported
	pulls   bool    // the writer may take
	given   []int   // batch of a Write; nil: none
	before  []int   // of given, those that may have left on an earlier substream

	open    bool
	sent    []int // on the present substream, in order
	mark    uint64
	upTo    int  // how many of sent the mark covers
	awaited bool // the acceptance of the substream has not come
	wake    time.Time
	want    string // what the outbox waits for: "dial", "open"
}

func (l *puller) apply(f messaging.Effects[int]) {
	for _, s := range f.Settled {
		if _, twice := l.settled[s.Tag]; twice {
			l.t.Fatalf("got %d settled twice", s.Tag)
		}
		if s.Outcome.Kind == protocol.Confirmed && !l.proven[s.Tag] {
			l.t.Fatalf("got %d confirmed without a proof", s.Tag)
		}
		if left := l.left[s.Tag]; left == (s.Outcome.Kind == protocol.Failed) {
			l.t.Fatalf("got %d %q, and whether it may have left is %v", s.Tag, s.Outcome, left)
		}
		l.settled[s.Tag] = s.Outcome
	}
	switch {
	case f.Dial:
		l.want = "dial"
	case f.Open:
		l.want = "open"
	}
	if !f.Wake.IsZero() {
		l.wake = f.Wake
	}
	if f.Prove != 0 {
		if l.awaited {
			l.t.Fatal("got a question for a proof before the acceptance")
		}
		l.mark, l.upTo = f.Prove, len(l.sent)
	}
	if len(f.Write) > 0 {
		if !l.open || l.pulls || l.given != nil || len(l.batches) > 0 {
			l.t.Fatalf("got a write (open %v, pulls %v), want none", l.open, l.pulls)
		}
		l.before = nil
		for _, e := range f.Write {
			if _, over := l.settled[e.Tag]; over {
				l.t.Fatalf("got %d written again after its outcome", e.Tag)
			}
			if l.left[e.Tag] {
				l.before = append(l.before, e.Tag)
			}
			l.given = append(l.given, e.Tag)
			l.left[e.Tag] = true // what the writer was given may leave at any time
		}
	}
	if f.Drop {
		l.open, l.sent, l.mark = false, nil, 0
		l.stopPull()
	}
}

// stopPull ends the pull, and reports it if the writer has nothing.
func (l *puller) stopPull() {
	l.pulls = false
	if l.box.Pulling() && len(l.batches) == 0 {
		l.queueAll()
		l.apply(l.box.PullStopped(l.now))
	}
}

// flush is what the session does with its queue when no writer takes from it.
func (l *puller) flush() {
	if !l.box.Pulling() {
		l.queueAll()
	}
}

func (l *puller) queueAll() {
	all := l.waiting
	l.waiting = nil
	for _, id := range all {
		l.apply(l.box.Queued(l.now, l.entry(id)))
	}
}

func (l *puller) entry(id int) messaging.Entry[int] {
	_, over := l.settled[id]
	return messaging.Entry[int]{ID: uint64(id) + 1, Tag: id, Resend: l.resend[id], Withdrawn: over}
}

func (l *puller) queue(t *rapid.T) {
	again := rapid.Bool().Draw(t, "resend")
	for range rapid.IntRange(1, 5).Draw(t, "how many") {
		l.resend = append(l.resend, again)
		l.waiting = append(l.waiting, len(l.resend)-1)
		l.flush()
	}
}

// step answers what the outbox waits for.
func (l *puller) step(t *rapid.T) {
	switch {
	case l.want == "dial":
		l.want = ""
		l.apply(l.box.Dialled(l.now, 0, nil))
	case l.want == "open":
		l.want = ""
		l.open, l.sent, l.mark = true, nil, 0
		l.awaited = t != nil && rapid.Bool().Draw(t, "awaits the acceptance")
		if l.awaited {
			l.apply(l.box.Opened(l.now, messaging.Awaited))
		} else {
			l.apply(l.box.Opened(l.now, messaging.Assumed))
		}
	case l.given != nil:
		b := l.given
		l.given = nil
		if err := l.leave(t, b); err != nil {
			started := rapid.IntRange(0, len(b)).Draw(t, "started")
			for _, id := range b[started:] {
				l.left[id] = slices.Contains(l.before, id)
			}
			l.apply(l.box.Wrote(l.now, started, err, false))
			return
		}
		l.apply(l.box.Wrote(l.now, 0, nil, false))
		if l.box.StartPull() {
			l.pulls = true
		}
	case !l.wake.IsZero():
		l.now, l.wake = l.wake, time.Time{}
		l.apply(l.box.Due(l.now))
	}
}

// leave lets the messages of a write leave, or fails because the substream is lost.
func (l *puller) leave(t *rapid.T, b []int) error {
	if !l.open || t != nil && rapid.IntRange(0, 5).Draw(t, "fails") == 5 {
		return errors.New("reset")
	}
	for _, id := range b {
		if n := len(l.sent); n > 0 && l.sent[n-1] >= id {
			l.t.Fatalf("got %d on a substream after %d, want the order of queueing", id, l.sent[n-1])
		}
		l.sent = append(l.sent, id)
		l.left[id] = true
	}
	return nil
}

func (l *puller) take(t *rapid.T) {
	if !l.pulls || len(l.waiting) == 0 {
		t.Skip()
	}
	n := rapid.IntRange(1, min(3, len(l.waiting))).Draw(t, "taken")
	l.batches = append(l.batches, slices.Clone(l.waiting[:n]))
	l.waiting = l.waiting[n:]
}

// report is the end of the write of the oldest batch that the writer took.
func (l *puller) report(t *rapid.T) {
	if len(l.batches) == 0 {
		t.Skip()
	}
	b := l.batches[0]
	l.batches = l.batches[1:]
	entries := make([]messaging.Entry[int], len(b))
	for i, id := range b {
		entries[i] = l.entry(id)
	}
	err := l.leave(t, b)
	started := 0
	if err != nil {
		started = rapid.IntRange(0, len(b)).Draw(t, "started")
		for _, id := range b[:started] {
			l.left[id] = true
		}
		for _, later := range slices.Backward(l.batches) { // a writer stops after an error
			l.waiting = append(l.unsettled(later), l.waiting...)
		}
		l.batches = nil
	}
	l.apply(l.box.WrotePulled(l.now, entries, started, err, false))
	if !l.pulls {
		l.stopPull()
	}
}

// unsettled returns the messages of a batch that have no outcome.
func (l *puller) unsettled(b []int) []int {
	return slices.DeleteFunc(slices.Clone(b), func(id int) bool { _, over := l.settled[id]; return over })
}

func (l *puller) prove(t *rapid.T) {
	if l.mark == 0 {
		t.Skip()
	}
	for _, id := range l.sent[:l.upTo] {
		l.proven[id] = true
	}
	mark := l.mark
	l.mark = 0
	l.apply(l.box.Proven(l.now, mark))
	for _, id := range l.sent[:l.upTo] {
		if _, ok := l.settled[id]; !ok {
			t.Fatalf("got %d open after its proof", id)
		}
	}
}

// accept is the peer's acceptance of the substream.
func (l *puller) accept(t *rapid.T) {
	if !l.open || !l.awaited {
		t.Skip()
	}
	l.accepted()
}

func (l *puller) accepted() {
	l.awaited = false
	l.apply(l.box.Accepted(l.now))
	if len(l.sent) > 0 && l.mark == 0 {
		l.t.Fatalf("got no question for a proof of %d messages after the acceptance", len(l.sent))
	}
}

func (l *puller) end(t *rapid.T) {
	if !l.open || rapid.IntRange(0, 3).Draw(t, "rarely") < 2 {
		t.Skip()
	}
	l.apply(l.box.Ended(l.now, errors.New("reset"), rapid.Bool().Draw(t, "connection")))
	l.open = false
}

func (l *puller) hold(t *rapid.T) {
	if !l.open || rapid.IntRange(0, 3).Draw(t, "rarely") < 3 {
		t.Skip()
	}
	l.box.StopWriting()
	l.stopPull()
}

// rest is the end of an idle writer.
func (l *puller) rest(t *rapid.T) {
	if !l.pulls || len(l.waiting)+len(l.batches) > 0 {
		t.Skip()
	}
	l.stopPull()
	if l.box.Pulling() {
		t.Fatal("got the substream still pulls")
	}
}

func (l *puller) withdraw(t *rapid.T) {
	if len(l.resend) == 0 {
		t.Skip()
	}
	id := rapid.IntRange(max(0, len(l.resend)-20), len(l.resend)-1).Draw(t, "id")
	if i := slices.Index(l.waiting, id); i >= 0 {
		o := l.box.ExpiredOutcome(false)
		if o.Kind != protocol.Failed {
			t.Fatalf("got %q for a message that nobody took, want a failure", o)
		}
		l.waiting = slices.Delete(l.waiting, i, i+1)
		l.settled[id] = o
		return
	}
	if o := l.box.ExpiredOutcome(true); o.Kind != protocol.InDoubt {
		t.Fatalf("got %q for a message that the writer has, want doubt", o)
	}
	for _, b := range l.batches {
		if _, over := l.settled[id]; !over && slices.Contains(b, id) { // its session settles it
			l.settled[id], l.left[id] = l.box.ExpiredOutcome(true), true
			return
		}
	}
	l.apply(l.box.Withdrawn(l.now, uint64(id)+1))
}

func (l *puller) check(t *rapid.T) {
	open := l.box.Len() + len(l.waiting)
	for _, b := range l.batches {
		for _, id := range b {
			if _, over := l.settled[id]; !over {
				open++
			}
		}
	}
	if want := len(l.resend) - len(l.settled); open != want {
		t.Fatalf("got %d open messages, want %d", open, want)
	}
	if l.box.Pulling() && l.box.Quiet() {
		t.Fatal("got quiet while the substream is pulls")
	}
	if n := l.box.Garbage(); n > 0 {
		t.Fatalf("got %d messages kept alive that have left, want none", n)
	}
	if !l.box.Pulling() && len(l.waiting) > 0 {
		t.Fatalf("got %d messages left in the queue, with nobody to take them", len(l.waiting))
	}
}

// finish lets everything go well from now on: every message must have an outcome.
func (l *puller) finish() {
	for range 10_000 {
		open := l.box.Len() + len(l.waiting) + len(l.batches)
		if open == 0 {
			return
		}
		switch {
		case len(l.batches) > 0:
			b := l.batches[0]
			l.batches = l.batches[1:]
			entries := make([]messaging.Entry[int], len(b))
			for i, id := range b {
				entries[i] = l.entry(id)
			}
			err := l.leave(nil, b)
			if err != nil {
				for _, later := range slices.Backward(l.batches) {
					l.waiting = append(l.unsettled(later), l.waiting...)
				}
				l.batches = nil
			}
			l.apply(l.box.WrotePulled(l.now, entries, 0, err, false))
			if !l.pulls {
				l.stopPull()
			}
		case l.pulls && len(l.waiting) > 0:
			l.batches = append(l.batches, l.waiting)
			l.waiting = nil
		case l.given != nil && l.open:
			b := l.given
			l.given = nil
			_ = l.leave(nil, b)
			l.apply(l.box.Wrote(l.now, 0, nil, false))
		case l.given != nil:
			l.given = nil
			l.apply(l.box.Wrote(l.now, 0, errors.New("reset"), false))
		case l.want != "":
			l.step(nil)
		case l.open && l.awaited:
			l.accepted()
		case l.open && l.mark != 0 && l.upTo > 0:
			for _, id := range l.sent[:l.upTo] {
				l.proven[id] = true
			}
			mark := l.mark
			l.mark = 0
			l.apply(l.box.Proven(l.now, mark))
		case l.open:
			l.apply(l.box.Ended(l.now, nil, false))
			l.open = false
		case !l.wake.IsZero():
			l.now, l.wake = l.wake, time.Time{}
			l.apply(l.box.Due(l.now))
		default:
			l.t.Fatalf("got %d messages stuck (%s)", open, l.box.State())
		}
	}
	l.t.Fatalf("got %d messages without an outcome (%s)", l.box.Len()+len(l.waiting), l.box.State())
}
