package outcomes

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// world is a sender, a receiver, and a connection between them that is cut now and then. What is written
// before a cut arrives or not, and what it leads to is told or not.
type world struct {
	t       *testing.T
	rand    *rand.Rand
	sender  *Sender[int]
	book    *Book
	line    Line     // of this substream
	knows   *Book    // the sender was told of it on this line, or will be
	there   []frame  // written, and not arrived
	back    []frame  // answered, and not heard
	proofs  []func() // outcomes of writes that the sender does not know yet
	cuts    int
	inbox   []delivered
	kept    map[int]bool // on the disk, or handled
	handled map[int]int
	wants   []Want // by tag
	until   []bool
	number  []uint64
	ended   map[int]protocol.Outcome
	dropped map[int]bool
	came    map[int]bool // was delivered
	last    uint64       // the greatest number that was delivered
	// strict: the receiver has no inbox. Then its memory is lost, and makes way, now and then. With an inbox it is started again
	// with what the disk has.
	strict bool
	lost   bool // that memory was
	state  []byte
}

// frame is one of its fields.
type frame struct {
	write *Write[int]
	cuts  int // before it was written
	ask   *Ask
	part  *Part
	hello *Hello
}

// delivered is a message that is delivered and open.
type delivered struct {
	tag  int
	book *Book
}

func newWorld(t *testing.T, seed uint64) *world {
	return &world{
		t: t, rand: rand.New(rand.NewPCG(seed, 1)), sender: NewSender[int](7), book: NewBook(1), line: 1, strict: seed%2 == 1,
		kept: make(map[int]bool), handled: make(map[int]int), ended: make(map[int]protocol.Outcome), dropped: make(map[int]bool), came: make(map[int]bool),
	}
}

func (w *world) end(all []Ended[int]) {
	for _, e := range all {
		if o, twice := w.ended[e.Tag]; twice {
			w.t.Fatalf("message %d ends twice: %v, then %v", e.Tag, o, e.Outcome)
		}
		w.ended[e.Tag] = e.Outcome
		if e.Outcome.Kind == protocol.Failed && w.handled[e.Tag] > 0 {
			w.t.Fatalf("message %d has failed, says the outcome, and was handled", e.Tag)
		}
		if e.Outcome.Kind == protocol.InDoubt && w.until[e.Tag] && !w.lost {
			w.t.Fatalf("message %d, which waits for the peer, is in doubt: %v", e.Tag, e.Outcome)
		}
		if e.Outcome.Kind != protocol.Confirmed {
			continue
		}
		switch w.wants[e.Tag] {
		case Kept:
			if !w.kept[e.Tag] {
				w.t.Fatalf("message %d is kept, says the outcome, and is not on the disk", e.Tag)
			}
		case Handled:
			if w.handled[e.Tag] == 0 {
				w.t.Fatalf("message %d was handled, says the outcome, and was not", e.Tag)
			}
		}
	}
}

func (w *world) submit() {
	want, until := Want(w.rand.IntN(3)), w.rand.IntN(2) == 0
	number, now := w.sender.Submit(Submission[int]{Want: want, Until: until, Tag: len(w.wants)})
	w.wants, w.until, w.number = append(w.wants, want), append(w.until, until), append(w.number, number)
	w.write(now)
}

func (w *world) write(all []Write[int]) {
	for _, x := range all {
		w.there = append(w.there, frame{write: &x, cuts: w.cuts})
	}
}

func (w *world) ask() {
	if of, any := w.sender.Unanswered(); any {
		w.there = append(w.there, frame{ask: &Ask{7, w.sender.Line(), of}})
	}
}

// arrive has the first frame arrive, and the sender know that it was read.
func (w *world) arrive(known bool) {
	if len(w.there) == 0 {
		return
	}
	f := w.there[0]
	w.there = w.there[1:]
	if f.ask != nil {
		w.asked(f.ask)
		return
	}
	m := f.write
	if known {
		w.proof(f, protocol.Confirmed)
	} else {
		w.proof(f, protocol.InDoubt)
	}
	if m.Greets {
		w.hello()
		return
	}
	if m.Want > Read && (m.Line != w.line || w.knows != w.book) {
		w.hello()
		return
	}
	verdict, result := w.book.Arrive(&m.Message)
	switch verdict {
	case Deliver:
		if !w.came[m.Tag] && m.Number < w.last && m.Want > Read {
			w.t.Fatalf("message %d comes behind number %d", m.Tag, w.last)
		}
		w.came[m.Tag] = true
		if m.Want > Read {
			w.last = max(w.last, m.Number)
		}
		w.inbox = append(w.inbox, delivered{m.Tag, w.book})
	case Answer:
		w.answer(m.Tag, result)
	}
}

// proof has the sender know later what became of a write.
func (w *world) proof(f frame, kind protocol.OutcomeKind) {
	w.proofs = append(w.proofs, func() {
		if kind == protocol.Confirmed && f.cuts != w.cuts {
			kind = protocol.InDoubt
		}
		o := protocol.Outcome{Kind: kind}
		if kind != protocol.Confirmed {
			o.Reason = protocol.ConnectionLost
		}
		w.end(w.sender.Outcome(f.write.Number, o, false))
	})
}

// prove has the sender know the first n of them.
func (w *world) prove(n int) {
	for ; n > 0 && len(w.proofs) > 0; n-- {
		f := w.proofs[0]
		w.proofs = w.proofs[1:]
		f()
	}
}

func (w *world) asked(a *Ask) {
	if len(a.Of) == 0 {
		w.hello()
		return
	}
	if a.Line != w.line {
		w.hello()
		return
	}
	for _, r := range a.Of {
		for n := r.First; n <= r.Last; n++ {
			result := IsUnknown
			if w.knows == w.book {
				result = w.book.Asked(n)
			}
			if result != 0 {
				w.back = append(w.back, frame{part: &Part{7, result, []Range{{n, n}}}})
			}
		}
	}
}

func (w *world) hello() {
	if w.knows != nil && w.knows != w.book {
		w.line++
	}
	w.knows = w.book
	w.back = append(w.back, frame{hello: &Hello{7, w.book.Store(), w.line}})
}

func (w *world) answer(tag int, r Result) {
	w.back = append(w.back, frame{part: &Part{7, r, []Range{{w.number[tag], w.number[tag]}}}})
}

// hear has the sender hear the first answer.
func (w *world) hear() {
	if len(w.back) == 0 {
		return
	}
	f := w.back[0]
	w.back = w.back[1:]
	if f.hello != nil {
		if w.sender.Hear(*f.hello) {
			w.cuts++
		}
		return
	}
	w.end(w.sender.Answer(*f.part))
}

// work does something with a message of the inbox.
func (w *world) work() {
	if len(w.inbox) == 0 {
		return
	}
	i := w.rand.IntN(len(w.inbox))
	tag, book := w.inbox[i].tag, w.inbox[i].book
	n := w.number[tag]
	switch x := w.rand.IntN(10); {
	case x < 4:
		w.kept[tag] = true
		w.state = book.State([]uint64{n}, nil, nil)
		if book.Kept(n) {
			w.answer(tag, IsKept)
		}
		return
	case x == 4 && !w.kept[tag]:
		w.dropped[tag] = true
		if book.Dropped(n) {
			w.answer(tag, IsDropped)
		}
	default:
		w.kept[tag] = true
		if w.handled[tag]++; w.handled[tag] > 1 && !(w.lost && w.wants[tag] == Read) {
			w.t.Fatalf("message %d is handled twice", tag)
		}
		w.state = book.State([]uint64{n}, []uint64{n}, nil)
		if book.Handled(n) {
			w.answer(tag, IsHandled)
		}
	}
	w.inbox = slices.Delete(w.inbox, i, i+1)
}

// cut ends the connection. Some frames that were written have arrived, which nobody knows. A question may outlive it, and
// so may answers. The outcomes of writes may come later.
func (w *world) cut() {
	for range w.rand.IntN(len(w.there) + 1) {
		w.arrive(false)
	}
	left := w.there
	w.there = nil
	for _, f := range left {
		if f.ask != nil {
			if w.rand.IntN(2) == 0 {
				w.there = append(w.there, f)
			}
			continue
		}
		switch w.rand.IntN(3) {
		case 0:
			w.proof(f, protocol.InDoubt)
		case 1:
			w.proof(f, protocol.Failed)
		default: // it is written on the next connection
			w.there = append(w.there, f)
		}
	}
	w.back = slices.DeleteFunc(w.back, func(f frame) bool { return f.hello != nil || w.rand.IntN(2) == 0 })
	w.cuts++
	w.prove(w.rand.IntN(2) * w.rand.IntN(len(w.proofs)+1))
	w.sender.Disconnected()
	w.knows = nil
	w.line++
}

// anotherLine has the messages go on by another substream of the connection.
func (w *world) anotherLine() {
	w.knows = nil
	w.line++
}

// restart has the receiver come back with what the disk has.
func (w *world) restart() {
	w.cut()
	w.back = nil
	w.book = NewBook(w.book.Store())
	if w.state != nil {
		var err error
		if w.book, err = Restore(w.state); err != nil {
			w.t.Fatal(err)
		}
	}
	w.inbox = slices.DeleteFunc(w.inbox, func(d delivered) bool { return !w.kept[d.tag] })
	for i := range w.inbox {
		w.inbox[i].book = w.book
		if n := w.number[w.inbox[i].tag]; w.book.Kept(n) {
			w.answer(w.inbox[i].tag, IsKept)
		}
	}
}

// loseStore has the receiver come back with nothing.
func (w *world) loseStore() {
	w.cut()
	w.evict()
	w.inbox, w.back = nil, nil
}

// evict has the receiver's book make way.
func (w *world) evict() {
	w.book, w.lost = NewBook(w.book.Store()+1), true
}

// TestModel: with any order of messages, answers, cuts and losses of the receiver's memory, nothing is
// handled twice, no outcome says more than is true, and in the end each message has ended once.
//
// conforms: V 42
func TestModel(t *testing.T) {
	for seed := range uint64(2000) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			for range 200 {
				switch x := w.rand.IntN(100); {
				case x < 25:
					w.submit()
				case x < 50:
					w.arrive(true)
				case x < 68:
					w.work()
				case x < 83:
					w.hear()
				case x < 86:
					w.ask()
				case x < 90:
					w.write(w.sender.WriteAgain())
				case x < 93:
					w.prove(1 + w.rand.IntN(20))
				case x < 96:
					w.cut()
				case x < 97:
					w.anotherLine()
				case !w.strict:
					w.restart()
				case x < 99:
					w.evict()
				default:
					w.loseStore()
				}
			}
			for i := range 10_000 {
				if w.sender.Len() == 0 {
					break
				}
				w.prove(1)
				w.write(w.sender.WriteAgain())
				if i%50 == 49 {
					w.ask()
				}
				w.arrive(true)
				w.work()
				w.hear()
			}
			for tag := range w.wants {
				o, ok := w.ended[tag]
				switch {
				case !ok:
					t.Errorf("message %d has not ended", tag)
				case w.until[tag] && o.Kind == protocol.Failed && !w.dropped[tag]:
					t.Errorf("message %d, which waits for the peer, has failed: %v", tag, o)
				}
			}
			if s := w.sender; s.Waiting() || s.list != nil || s.settled != s.next {
				t.Errorf("got a sender with %d messages behind %d of %d, want nothing left", len(s.list), s.settled, s.next)
			}
		})
	}
}

// TestNumbers compares a set with a map.
func TestNumbers(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		var s numbers
		var settled uint64
		has := make(map[uint64]bool)
		for range 300 {
			n := s.upto + 1 + r.Uint64N([]uint64{3, 100, Window}[r.IntN(3)])
			if r.IntN(4) == 0 {
				settled = max(settled, n)
				s.settle(n)
			} else {
				s.add(n)
				has[n] = true
			}
		}
		for n := max(s.upto, 1000) - 999; n <= s.upto+Window+1; n++ {
			if s.has(n) != (n <= settled || has[n]) {
				t.Fatalf("seed %d: has(%d) is %v behind %d", seed, n, s.has(n), s.upto)
			}
		}
		if has[s.upto+1] || settled > s.upto {
			t.Errorf("seed %d: %d is not the last one without a gap", seed, s.upto)
		}
		s.settle(s.upto + 2*Window)
		if len(s.words) != 0 {
			t.Errorf("seed %d: got %v behind all", seed, s.words)
		}
	}
}
