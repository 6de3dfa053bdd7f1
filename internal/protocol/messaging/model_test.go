package messaging_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestModel lets random events happen to an outbox and to a plain model of the
// world around it, and holds what the outbox says against what the world knows:
// which bytes may have left, on which substream, and what was proven about it.
//
// conforms: comms 85, 87, 147; V 14
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{
			t: t, now: start, conn: true,
			box:     messaging.NewOutbox[int](messaging.Options{BatchFrames: 4, BatchBytes: 40}),
			settled: make(map[int]protocol.Outcome),
		}
		actions := map[string]func(*rapid.T){
			"queue":    w.queue,
			"withdraw": w.withdraw,
			"dialled":  w.dialled,
			"opened":   w.opened,
			"accepted": w.accepted,
			"write":    w.write,
			"prove":    w.prove,
			"end":      w.end,
			"hold":     w.hold,
			"time":     w.time,
			"noise":    w.noise,
			"close":    w.close,
			"":         w.check,
		}
		for range 5 { // a Repeat alone is short
			t.Repeat(actions)
		}
		w.finish()
	})
}

// message is what the world knows about one.
type message struct {
	size   int
	resend bool
	wrote  []int // substreams on which bytes of it may have left
	left   bool  // some have
}

// mark is one question for a proof.
type mark struct {
	n         uint64
	stream    int
	covers    []int // messages that had been written on the substream
	notBefore time.Time
}

// world is everything outside the outbox.
type world struct {
	t   *rapid.T
	box *messaging.Outbox[int]
	now time.Time

	messages []message
	settled  map[int]protocol.Outcome
	newest   int // the last message of which bytes left

	dialling, opening bool
	failures          int
	gone              int  // connections in a row that ended before a substream was open
	resets            int  // substreams in a row that the peer ended on a living connection
	streams           int  // substreams opened so far
	open              bool // the last of them lives
	conn              bool
	held              bool
	openedAt          time.Time
	answer            messaging.Acceptance
	provedOn          bool
	fresh             int
	notBefore         time.Time // no dial before this time

	batch   []int // in the writer's hands
	writing bool
	sent    []int // whole messages written on the present substream
	marks   []mark
	wakes   []time.Time
	closed  bool
}

// apply carries out what the outbox says. may lists who may be settled, and
// how, by the event that led to it; nil allows nobody.
func (w *world) apply(f messaging.Effects[int], may func(id int, o protocol.Outcome) string) {
	for _, s := range f.Settled {
		id := s.Tag
		if uint64(id) != s.ID {
			w.t.Fatalf("got tag %d with id %d, want those of one message", id, s.ID)
		}
		if o, twice := w.settled[id]; twice {
			w.t.Fatalf("got %d settled again as %q, want once; it was %q", id, s.Outcome, o)
		}
		if s.Outcome.Kind == protocol.Failed && len(w.messages[id].wrote) > 0 {
			w.t.Fatalf("got %d %q, want no failure of what was given to a writer", id, s.Outcome)
		}
		if s.Outcome.Kind == protocol.InDoubt && len(w.messages[id].wrote) == 0 {
			w.t.Fatalf("got %d %q, want no doubt about what no writer had", id, s.Outcome)
		}
		if may == nil {
			w.t.Fatalf("got %d %q, want nobody settled by this event", id, s.Outcome)
		}
		if wrong := may(id, s.Outcome); wrong != "" {
			w.t.Fatalf("got %d %q: %s", id, s.Outcome, wrong)
		}
		w.settled[id] = s.Outcome
	}
	if f.Drop && w.open {
		w.open = false
	}
	if len(f.Write) > 0 {
		w.begin(f.Write)
	}
	if f.Prove != 0 {
		w.marks = append(w.marks, mark{f.Prove, w.streams, slices.Clone(w.sent), f.NotBefore})
		if want := w.openedAt.Add(100 * time.Millisecond); !w.open || w.answer == messaging.Assumed && f.NotBefore.Before(want) {
			w.t.Fatalf("got a proof of substream %d asked from %v, want none before %v", w.streams, f.NotBefore, want)
		}
		if w.answer == messaging.Awaited {
			w.t.Fatalf("got a proof of substream %d asked, want none before its acceptance", w.streams)
		}
	}
	if f.Dial {
		if w.dialling || w.opening || w.open || w.writing || w.closed {
			w.t.Fatalf("got a dial at the wrong time (%s)", w.box.State())
		}
		if w.now.Before(w.notBefore) {
			w.t.Fatalf("got a dial at %v, want the back-off until %v", w.now.Sub(start), w.notBefore.Sub(start))
		}
		w.dialling = true
	}
	if f.Open {
		if w.dialling || w.opening || w.open {
			w.t.Fatalf("got an open at the wrong time (%s)", w.box.State())
		}
		w.opening = true
	}
	if !f.Wake.IsZero() {
		w.wakes = append(w.wakes, f.Wake)
	}
}

// begin is the start of a write.
func (w *world) begin(entries []messaging.Entry[int]) {
	if w.writing || !w.open || w.held {
		w.t.Fatalf("got a write (writing %v, open %v, held %v), want one at a time on a living substream", w.writing, w.open, w.held)
	}
	w.writing = true
	w.batch = nil
	size := 0
	for _, e := range entries {
		id := e.Tag
		m := &w.messages[id]
		if len(e.Body) != m.size {
			w.t.Fatalf("got %d with %d bytes, want %d", id, len(e.Body), m.size)
		}
		if _, over := w.settled[id]; over {
			w.t.Fatalf("got %d written after it was settled", id)
		}
		if slices.Contains(m.wrote, w.streams) {
			w.t.Fatalf("got %d written twice on substream %d", id, w.streams)
		}
		if len(m.wrote) > 0 && !m.resend {
			w.t.Fatalf("got %d written again, want that only of messages that ask for it", id)
		}
		if n := len(w.batch); n > 0 && w.batch[n-1] > id {
			w.t.Fatalf("got %d written after %d, want the order of queueing", id, w.batch[n-1])
		}
		if n := len(w.sent); n > 0 && w.sent[n-1] > id {
			w.t.Fatalf("got %d written after %d, want the order of queueing", id, w.sent[n-1])
		}
		// What is in a writer's hands may leave at any time.
		m.wrote = append(m.wrote, w.streams)
		w.batch = append(w.batch, id)
		size += m.size
	}
	if len(entries) > 4 || len(entries) > 1 && size > 40 {
		w.t.Fatalf("got %d frames with %d bytes, want at most 4 with 40, or one", len(entries), size)
	}
}

func (w *world) queue(t *rapid.T) {
	if w.closed {
		t.Skip()
	}
	m := message{size: rapid.IntRange(0, 50).Draw(t, "size"), resend: rapid.Bool().Draw(t, "resend")}
	for range rapid.IntRange(1, 15).Draw(t, "how many") {
		id := len(w.messages)
		w.messages = append(w.messages, m)
		w.apply(w.box.Queued(w.now, messaging.Entry[int]{
			ID: uint64(id), Body: make([]byte, m.size), Resend: m.resend, Tag: id,
		}), nil)
	}
}

func (w *world) withdraw(t *rapid.T) {
	if len(w.messages) == 0 {
		t.Skip()
	}
	id := rapid.IntRange(max(0, len(w.messages)-40), len(w.messages)-1).Draw(t, "id")
	before := len(w.settled)
	_, over := w.settled[id]
	reason := protocol.Expired
	if w.resets > 1 {
		reason = protocol.NotTaken
	}
	w.apply(w.box.Withdrawn(w.now, uint64(id)), only(reason, func(other int) bool { return other == id }))
	if got, want := len(w.settled)-before, 1; !over && got != want {
		t.Fatalf("got %d settled, want the withdrawn one", got)
	}
}

// only allows failure and doubt for one reason.
func only(r protocol.Reason, which func(int) bool) func(int, protocol.Outcome) string {
	return func(id int, o protocol.Outcome) string {
		switch {
		case o.Kind == protocol.Confirmed:
			return "there was no proof"
		case o.Reason != r:
			return fmt.Sprintf("want the reason %q", r)
		case !which(id):
			return "want only those concerned"
		}
		return ""
	}
}

func everybody(int) bool { return true }

func (w *world) dialled(t *rapid.T) {
	if !w.dialling {
		t.Skip()
	}
	w.dialling = false
	switch rapid.IntRange(0, 7).Draw(t, "how") {
	case 0:
		w.apply(w.box.DialCancelled(w.now), nil)
	case 6:
		w.connectionGone()
	case 1:
		w.failed(func() messaging.Effects[int] {
			return w.box.Dialled(w.now, protocol.DialFailed, errors.New("no route"))
		}, protocol.DialFailed)
	case 2:
		w.failures = 1
		w.failed(func() messaging.Effects[int] {
			return w.box.Dialled(w.now, protocol.Banned, errors.New("banned"))
		}, protocol.Banned)
	default:
		w.conn = true
		w.apply(w.box.Dialled(w.now, protocol.ReasonNone, nil), nil)
		if !w.opening && w.box.Len() > 0 {
			t.Fatalf("got no open after the dial, want one for %d messages", w.box.Len())
		}
	}
}

// failed is a failed attempt: the second in a row ends everything.
func (w *world) failed(event func() messaging.Effects[int], r protocol.Reason) {
	w.failures++
	if w.failures < 2 {
		w.apply(event(), nil)
		if w.box.Len() == 0 {
			w.failures, w.gone = 0, 0
		} else if !w.dialling {
			w.t.Fatalf("got no second attempt, want one for %d messages", w.box.Len())
		}
		return
	}
	w.failures = 0
	w.givenUp(event(), r)
}

// givenUp is the last attempt allowed: everything ends.
func (w *world) givenUp(f messaging.Effects[int], r protocol.Reason) {
	w.gone = 0
	w.apply(f, only(r, everybody))
	if n := w.box.Len(); n > 0 {
		w.t.Fatalf("got %d messages left, want all ended", n)
	}
}

// connectionGone is a connection that ends before there is a substream: the
// eighth in a row ends everything.
func (w *world) connectionGone() {
	w.gone++
	w.failures = 0
	lost := errors.New("lost")
	if w.gone == 8 {
		w.givenUp(w.box.ConnectionGone(w.now, lost), protocol.DialFailed)
		return
	}
	w.notBefore = w.now.Add(10 * time.Millisecond << w.gone)
	w.apply(w.box.ConnectionGone(w.now, lost), nil)
}

// openReset is a substream that the peer resets in negotiation: the sixth in a
// row, and any later one, ends everything.
func (w *world) openReset() {
	w.resets++
	w.failures, w.gone = 0, 0
	waits := []time.Duration{0, 200, 400, 800, 1600, 3200, 5000}
	w.notBefore = w.now.Add(waits[min(w.resets, 6)] * time.Millisecond)
	reset := errors.New("reset")
	if w.resets >= 6 {
		w.givenUp(w.box.OpenReset(w.now, reset), protocol.NotTaken)
		return
	}
	w.apply(w.box.OpenReset(w.now, reset), nil)
}

func (w *world) opened(t *rapid.T) {
	if !w.opening {
		t.Skip()
	}
	w.opening = false
	switch rapid.IntRange(0, 8).Draw(t, "how") {
	case 6:
		w.openReset()
	case 7:
		w.resets++
		w.failed(func() messaging.Effects[int] {
			return w.box.OpenFailed(w.now, protocol.NotTaken, errors.New("no answer"))
		}, protocol.NotTaken)
	case 0:
		w.failed(func() messaging.Effects[int] {
			return w.box.OpenFailed(w.now, protocol.Overloaded, errors.New("full"))
		}, protocol.Overloaded)
	case 1:
		w.failures = 1
		w.failed(func() messaging.Effects[int] {
			return w.box.OpenFailed(w.now, protocol.Refused, errors.New("no such protocol"))
		}, protocol.Refused)
	case 2:
		w.connectionGone()
	default:
		w.streams++
		w.open, w.held, w.provedOn, w.openedAt, w.sent, w.failures = true, false, false, w.now, nil, 0
		w.gone = 0
		w.answer = messaging.Acceptance(rapid.IntRange(0, 2).Draw(t, "acceptance"))
		w.apply(w.box.Opened(w.now, w.answer), nil)
		if !w.writing && w.box.Len() > 0 {
			t.Fatalf("got no write on the open substream, want one for %d messages", w.box.Len())
		}
	}
}

// accepted is the peer's acceptance: it asks for the proof of what was written before. Some
// come when nobody waits for one.
func (w *world) accepted(t *rapid.T) {
	asked, want := len(w.marks), 0
	if w.open && w.answer == messaging.Awaited {
		w.answer = messaging.Given
		want = min(1, w.box.Unproven())
	}
	w.apply(w.box.Accepted(w.now), nil)
	if got := len(w.marks) - asked; got != want {
		t.Fatalf("got %d questions for a proof at the acceptance, want %d", got, want)
	}
}

// write is the end of a write.
func (w *world) write(t *rapid.T) {
	if !w.writing {
		t.Skip()
	}
	w.writing = false
	if w.open && rapid.IntRange(0, 3).Draw(t, "fails") > 0 {
		w.left(len(w.batch))
		w.sent = append(w.sent, w.batch...)
		asked := len(w.marks)
		w.apply(w.box.Wrote(w.now, 0, nil, false), nil)
		want := 1
		if w.answer == messaging.Awaited {
			want = 0
		}
		if got := len(w.marks) - asked; got != want {
			t.Fatalf("got %d questions for a proof after a write, want %d", got, want)
		}
		return
	}
	started := rapid.IntRange(0, len(w.batch)).Draw(t, "started")
	var err error
	if w.open || rapid.Bool().Draw(t, "error") {
		err = errors.New("reset")
	} else {
		started = len(w.batch) // no error: all has left
	}
	for _, id := range w.batch[started:] {
		m := &w.messages[id]
		if _, over := w.settled[id]; !over {
			m.wrote = m.wrote[:len(m.wrote)-1] // it has certainly not left
		}
	}
	w.left(started)
	w.lose(func(noConn bool) messaging.Effects[int] { return w.box.Wrote(w.now, started, err, noConn) })
}

// left notes that bytes of the first n messages of the batch have left.
func (w *world) left(n int) {
	for _, id := range w.batch[:n] {
		m := &w.messages[id]
		if !m.left && id < w.newest {
			w.t.Fatalf("got %d written for the first time after %d, want the order of queueing", id, w.newest)
		}
		m.left, w.newest = true, max(w.newest, id)
	}
}

// lose is an event that ends the substream for good.
func (w *world) lose(event func(noConn bool) messaging.Effects[int]) {
	before := w.resets
	wait := w.backoff()
	w.open = false
	w.sent = nil
	if wait > 0 {
		w.notBefore = w.now.Add(wait)
	}
	reason := protocol.ConnectionLost
	if w.resets > before && w.resets > 1 {
		reason = protocol.NotTaken
	}
	w.apply(event(!w.conn), only(reason, everybody))
	for id, m := range w.messages {
		if _, over := w.settled[id]; !over && len(m.wrote) > 0 && !m.resend {
			w.t.Fatalf("got %d open after the end of its substream, want it in doubt", id)
		}
	}
}

// backoff is V14's wait, written down another way.
func (w *world) backoff() time.Duration {
	if w.now.Sub(w.openedAt) >= 5*time.Second {
		w.fresh, w.resets = 0, 0
		return 0
	}
	if w.provedOn || w.held {
		return 0
	}
	w.fresh++
	n := w.fresh
	if w.conn {
		w.resets++
	} else {
		n--
	}
	waits := []time.Duration{0, 200, 400, 800, 1600, 3200, 5000}
	return waits[min(n, len(waits)-1)] * time.Millisecond
}

// prove is a pong; some are late and some come when the substream is lost.
func (w *world) prove(t *rapid.T) {
	if len(w.marks) == 0 {
		t.Skip()
	}
	m := w.marks[rapid.IntRange(max(0, len(w.marks)-8), len(w.marks)-1).Draw(t, "mark")]
	proven := make(map[int]bool)
	if w.open && m.stream == w.streams {
		for _, id := range m.covers {
			proven[id] = true
		}
		w.provedOn = w.provedOn || len(m.covers) > 0
		w.fresh, w.resets = 0, 0
	}
	w.apply(w.box.Proven(w.now, m.n), func(id int, o protocol.Outcome) string {
		switch {
		case o.Kind != protocol.Confirmed:
			return "want it confirmed"
		case !proven[id]:
			return "want a proof asked for after it was written, on a substream that lives"
		}
		return ""
	})
	for id := range proven {
		if _, over := w.settled[id]; !over {
			t.Fatalf("got %d open after its proof, want it confirmed", id)
		}
	}
}

// end is the end of the substream, or of the connection with it.
func (w *world) end(t *rapid.T) {
	if !w.open {
		t.Skip()
	}
	w.conn = rapid.Bool().Draw(t, "connection lives")
	err := errors.New("reset")
	if !w.writing {
		w.lose(func(noConn bool) messaging.Effects[int] { return w.box.Ended(w.now, err, noConn) })
	} else {
		w.open = false // the writer's report is still to come
		w.apply(w.box.Ended(w.now, err, !w.conn), nil)
	}
}

func (w *world) hold(t *rapid.T) {
	if !w.open || rapid.IntRange(0, 3).Draw(t, "rarely") > 0 {
		t.Skip()
	}
	w.held = true
	w.box.StopWriting()
}

func (w *world) time(t *rapid.T) {
	if len(w.wakes) > 0 && rapid.Bool().Draw(t, "to the next wake") {
		next := slices.MinFunc(w.wakes, time.Time.Compare)
		if next.After(w.now) {
			w.now = next
		}
	} else {
		ms := rapid.SampledFrom([]int{1, 10, 99, 200, 1000, 6000}).Draw(t, "ms")
		w.now = w.now.Add(time.Duration(ms) * time.Millisecond)
	}
	w.ring(w.now)
}

// ring calls Due for every Wake that has come.
func (w *world) ring(now time.Time) {
	w.wakes = slices.DeleteFunc(w.wakes, func(at time.Time) bool { return !at.After(now) })
	w.apply(w.box.Due(now), nil)
}

// noise are answers to questions that nobody asked.
func (w *world) noise(t *rapid.T) {
	reset := errors.New("reset")
	if !w.dialling {
		w.apply(w.box.Dialled(w.now, protocol.Banned, reset), nil)
		w.apply(w.box.Dialled(w.now, 0, nil), nil)
		w.apply(w.box.DialCancelled(w.now), nil)
	}
	if !w.opening {
		w.apply(w.box.OpenFailed(w.now, protocol.Refused, reset), nil)
		w.apply(w.box.OpenReset(w.now, reset), nil)
	}
	if !w.dialling && !w.opening {
		w.apply(w.box.ConnectionGone(w.now, reset), nil)
	}
	if !w.writing {
		w.apply(w.box.Wrote(w.now, 1, reset, true), nil)
	}
	if !w.open {
		w.apply(w.box.Ended(w.now, reset, true), nil)
	}
	w.apply(w.box.Due(w.now), nil)
	w.apply(w.box.Withdrawn(w.now, 1<<40), nil)
	w.apply(w.box.Proven(w.now, 0), nil)
}

func (w *world) close(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "rarely") > 0 {
		t.Skip()
	}
	w.shut()
}

func (w *world) shut() {
	w.apply(w.box.Close(protocol.Closed, nil), only(protocol.Closed, everybody))
	w.closed = true
	w.dialling, w.opening, w.writing, w.open = false, false, false, false
	if len(w.settled) != len(w.messages) {
		w.t.Fatalf("got %d settled after Close, want all %d", len(w.settled), len(w.messages))
	}
}

func (w *world) check(t *rapid.T) {
	if got, want := w.box.Len(), len(w.messages)-len(w.settled); got != want {
		t.Fatalf("got %d open messages, want %d", got, want)
	}
	if n := w.box.Garbage(); n > 0 {
		t.Fatalf("got %d messages kept alive that have left, want none", n)
	}
	busy := w.dialling || w.opening || w.open || w.writing || w.closed
	if !busy && w.box.Len() > 0 && len(w.wakes) == 0 {
		t.Fatalf("got nothing under way for %d messages (%s), want a dial or a Wake", w.box.Len(), w.box.State())
	}
	if w.now.Before(w.notBefore) && !busy && len(w.wakes) == 0 {
		t.Fatalf("got no Wake for the end of the back-off")
	}
}

// finish lets everything go well from now on: every message that is still open
// must arrive, in the order of queueing.
func (w *world) finish() {
	if !w.closed {
		for range 10_000 {
			if w.box.Len() == 0 {
				break
			}
			switch {
			case w.writing && !w.open:
				w.writing = false
				started := len(w.batch)
				w.lose(func(noConn bool) messaging.Effects[int] { return w.box.Wrote(w.now, started, nil, noConn) })
			case w.dialling:
				w.dialling = false
				w.apply(w.box.Dialled(w.now, 0, nil), nil)
			case w.opening:
				w.opening = false
				w.streams++
				w.open, w.held, w.openedAt, w.answer, w.sent = true, false, w.now, messaging.Awaited, nil
				w.apply(w.box.Opened(w.now, w.answer), nil)
			case w.writing:
				w.writing = false
				w.sent = append(w.sent, w.batch...)
				w.apply(w.box.Wrote(w.now, 0, nil, false), nil)
			case w.open && w.answer == messaging.Awaited:
				w.accepted(w.t)
			case w.open && len(w.marks) > 0 && w.marks[len(w.marks)-1].stream == w.streams:
				m := w.marks[len(w.marks)-1]
				w.marks = nil
				w.apply(w.box.Proven(w.now, m.n), func(id int, o protocol.Outcome) string {
					if o.Kind != protocol.Confirmed || !slices.Contains(m.covers, id) {
						return "want only what the proof covers confirmed"
					}
					return ""
				})
			case w.open && w.held:
				w.lose(func(noConn bool) messaging.Effects[int] { return w.box.Ended(w.now, nil, noConn) })
			default:
				if len(w.wakes) == 0 {
					w.t.Fatalf("got %d messages stuck (%s)", w.box.Len(), w.box.State())
				}
				w.now = slices.MinFunc(w.wakes, time.Time.Compare)
				w.ring(w.now)
			}
		}
		if n := w.box.Len(); n > 0 {
			w.t.Fatalf("got %d messages still open (%s), want all settled", n, w.box.State())
		}
		w.shut()
	}
	before := len(w.settled)
	w.noise(w.t)
	w.apply(w.box.Opened(w.now, messaging.Assumed), nil)
	if len(w.settled) != before {
		w.t.Fatalf("got messages settled after Close, want none")
	}
}
