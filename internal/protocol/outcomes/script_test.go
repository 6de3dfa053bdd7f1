package outcomes

import (
	"bytes"
	"testing"

	"github.com/gamelan-p2p/gamelan/protocol"
)

var (
	confirmed = protocol.Outcome{Kind: protocol.Confirmed}
	cut       = protocol.Outcome{Kind: protocol.InDoubt, Reason: protocol.ConnectionLost}
	unwritten = protocol.Outcome{Kind: protocol.Failed, Reason: protocol.DialFailed}
)

// begun returns a sender that knows the store of its peer.
func begun() *Sender[int] {
	s := NewSender[int](7)
	s.Hear(Hello{7, 1, 1})
	return s
}

// sent returns a sender with one message that was written and read.
func sent(want Want, until bool) (*Sender[int], Message) {
	s := begun()
	_, now := s.Submit(Submission[int]{Want: want, Until: until, Topic: "jobs", Tag: 1})
	s.Outcome(1, confirmed, false)
	return s, now[0].Message
}

// TestKeptIsToldAgain: the copy of a message whose answer was lost is answered at once, though the message
// waits for its handler.
func TestKeptIsToldAgain(t *testing.T) {
	s, m := sent(Kept, true)
	b := NewBook(1)
	if v, _ := b.Arrive(&m); v != Deliver || !b.Kept(1) {
		t.Fatal("the first copy is not delivered, or nobody is told")
	}
	if b.Kept(1) {
		t.Error("the sender is told twice")
	}
	s.Disconnected()
	again := s.WriteAgain()
	if len(again) != 1 || !again[0].Again || again[0].Topic != "jobs" {
		t.Fatalf("got %+v, want the message again, with its topic", again)
	}
	if v, r := b.Arrive(&again[0].Message); v != Answer || r != IsKept {
		t.Errorf("got %d with %d, want the answer that it is kept", v, r)
	}
	if b.Asked(1) != IsKept || b.Handled(1) || b.Asked(1) != IsHandled {
		t.Error("asked, it does not say kept, and then handled")
	}
	if b.Asked(2) != IsDropped {
		t.Error("of what never came it does not say that it was dropped")
	}
}

// again has the connection lost and come again, to a peer with this store, and returns what is written then.
func again(s *Sender[int], store Store) []Write[int] {
	s.Disconnected()
	s.Hear(Hello{7, store, Line(100 + store)})
	return s.WriteAgain()
}

// TestStoreThatIsLost: a receiver that has lost what it remembered says so of a copy, and of that when asked. A copy names the
// store of the first one.
func TestStoreThatIsLost(t *testing.T) {
	s, m := sent(Handled, true)
	if m.Store != 0 || m.Line != 1 {
		t.Errorf("got %+v, want a message on line 1", m)
	}
	copies := again(s, 6)
	if m := copies[0].Message; m.Store != 1 || !m.Again || m.Line != 106 {
		t.Fatalf("got %+v, want a copy for the store before", m)
	}
	b := NewBook(6)
	if v, r := b.Arrive(&copies[0].Message); v != Answer || r != IsUnknown || b.Asked(1) != IsUnknown {
		t.Errorf("got %d with %d, want the answer that it is unknown, also asked", v, r)
	}
	if v, _ := NewBook(1).Arrive(&copies[0].Message); v != Deliver {
		t.Errorf("got %d of the store that it was written to, want it delivered", v)
	}
	s.Outcome(1, cut, false)
	if m := again(s, 8)[0].Message; m.Store != 1 {
		t.Errorf("got store %d, want that of the first copy", m.Store)
	}
	if n, _ := s.Submit(Submission[int]{Want: Handled, Until: true, Tag: 2}); s.find(n).store != 8 {
		t.Errorf("got store %d of a new message, want that of the last hello", s.find(n).store)
	}
	end := s.Answer(Part{7, IsUnknown, []Range{{1, 1}}})
	if len(end) != 1 || end[0].Outcome.Kind != protocol.InDoubt {
		t.Errorf("got %v, want in doubt", end)
	}
}

// TestLineThatIsAnother: what was read on another substream of the connection is written again; a hello that is repeated
// changes nothing.
func TestLineThatIsAnother(t *testing.T) {
	s, _ := sent(Handled, true)
	s.Hear(Hello{7, 1, 1})
	s.Hear(Hello{8, 2, 2}) // of another epoch
	if s.Waiting() || s.Line() != 1 {
		t.Fatal("a message waits")
	}
	s.Hear(Hello{7, 1, 2})
	if again := s.WriteAgain(); len(again) != 1 || !again[0].Again || again[0].Line != 2 {
		t.Errorf("got %+v, want a copy", again)
	}
}

// TestReadIsDeliveredToALostStore: who waits for nothing gets no answer, so a copy is delivered.
func TestReadIsDeliveredToALostStore(t *testing.T) {
	if v, _ := NewBook(6).Arrive(&Message{Epoch: 7, Number: 1, Again: true, Store: 5}); v != Deliver {
		t.Errorf("got %d, want it delivered", v)
	}
}

// TestPeerThatIsAway: what does not wait for the peer ends with the first write that fails, and what was
// written before with the one behind it; what waits goes on.
func TestPeerThatIsAway(t *testing.T) {
	s := begun()
	s.Submit(Submission[int]{Want: Kept, Until: false, Tag: 1})
	if end := s.Outcome(1, unwritten, false); len(end) != 1 || end[0].Outcome != unwritten {
		t.Errorf("got %v, want failed", end)
	}
	s.Submit(Submission[int]{Want: Kept, Until: false, Tag: 2})
	if end := s.Outcome(2, cut, false); end != nil || !s.Waiting() {
		t.Fatalf("got %v, want it to be written again", end)
	}
	s.WriteAgain()
	if end := s.Outcome(2, unwritten, false); len(end) != 1 || end[0].Outcome.Kind != protocol.InDoubt || end[0].Outcome.Reason != protocol.DialFailed {
		t.Errorf("got %v, want in doubt, because of the dial", end)
	}
	s.Submit(Submission[int]{Want: Kept, Until: true, Tag: 3})
	for range 3 {
		if end := s.Outcome(3, unwritten, false); end != nil {
			t.Fatalf("got %v of what waits for the peer", end)
		}
		if again := s.WriteAgain(); len(again) != 1 || again[0].Again {
			t.Fatalf("got %+v, want a first copy", again)
		}
	}
	if end := s.Withdraw(3, protocol.Expired, nil); end != nil || s.Len() != 1 {
		t.Errorf("got %v of what is being written, want it to end with that", end)
	}
	if end := s.Outcome(3, unwritten, false); len(end) != 1 || s.Len() != 0 || end[0].Outcome.Kind != protocol.Failed || end[0].Outcome.Reason != protocol.Expired {
		t.Errorf("got %v, want it to end", end)
	}
}

// TestAnswersOfNothing: answers to what was not asked end nothing.
func TestAnswersOfNothing(t *testing.T) {
	s, _ := sent(Handled, true)
	n, _ := s.Submit(Submission[int]{Want: Read, Tag: 2})
	for name, p := range map[string]Part{
		"another epoch":   {8, IsHandled, []Range{{1, 1}}},
		"kept is too few": {7, IsKept, []Range{{1, 1}}},
		"not sent":        {7, IsHandled, []Range{{3, 60_000}}},
		"not waited for":  {7, IsHandled, []Range{{2, 2}}},
		"number 0":        {7, IsHandled, nil},
	} {
		if end := s.Answer(p); end != nil {
			t.Errorf("%s: got %v, want nothing", name, end)
		}
	}
	if end := s.Outcome(n, confirmed, false); len(end) != 1 {
		t.Errorf("got %v, want the second one to end", end)
	}
	if got, _ := s.Unanswered(); len(got) != 1 || got[0] != (Range{1, 1}) {
		t.Errorf("got %v unanswered, want the first one", got)
	}
	for n, want := range []int{0, 1, 0} { // the last one is a repetition
		if n == 0 {
			continue
		}
		if end := s.Answer(Part{7, IsHandled, []Range{{1, 9}}}); len(end) != want {
			t.Errorf("got %v, want %d ends", end, want)
		}
	}
}

// TestWindow: a sender stops at the window, and goes on when the first one has ended.
func TestWindow(t *testing.T) {
	s := begun()
	for i := range Window {
		if s.Full() {
			t.Fatalf("got no room for message %d", i)
		}
		s.Submit(Submission[int]{Want: Kept, Until: true, Tag: i})
	}
	if !s.Full() {
		t.Fatal("got room beyond the window")
	}
	for n := uint64(2); n <= Window; n++ {
		s.Outcome(n, confirmed, false)
		s.Answer(Part{7, IsKept, []Range{{n, n}}})
	}
	if !s.Full() {
		t.Fatal("got room, though the first one is open")
	}
	s.Outcome(1, confirmed, false)
	s.Withdraw(1, protocol.Expired, nil)
	if s.Full() {
		t.Fatal("got no room, though the first one has ended")
	}
	_, now := s.Submit(Submission[int]{Want: Kept, Until: true})
	if w := now[0]; w.Settled != Window || w.Number != Window+1 {
		t.Errorf("got %+v, %v, want the first one behind the window", w, s.Full())
	}
}

// TestDroppedIsToldAgain: a copy of what was dropped is answered, however far the numbers have gone on; a
// message whose sender waits for nothing is delivered again.
func TestDroppedIsToldAgain(t *testing.T) {
	b := NewBook(1)
	for _, m := range []Message{
		{Number: 100, Want: Kept},
		{Number: 100 + Window, Settled: Window + 64, Want: Kept},
	} {
		if v, _ := b.Arrive(&m); v != Deliver || !b.Dropped(m.Number) {
			t.Fatalf("%d: it is not delivered, or nobody is told", m.Number)
		}
		if v, r := b.Arrive(&m); v != Answer || r != IsDropped || !b.Idle() {
			t.Errorf("%d: got %d with %d, want the answer that it was dropped", m.Number, v, r)
		}
	}
	m := Message{Number: 101 + Window, Settled: Window + 64}
	b.Arrive(&m)
	if b.Dropped(m.Number) {
		t.Error("one who waits for nothing is told")
	}
	if v, _ := b.Arrive(&m); v != Deliver {
		t.Errorf("got %d of a copy, want it delivered", v)
	}
}

// TestGreeting: what has an outcome of the peer is written when its store is known, in order.
func TestGreeting(t *testing.T) {
	s := NewSender[int](7)
	submit := func(tag int, until bool) []Write[int] {
		_, now := s.Submit(Submission[int]{Want: Kept, Until: until, Tag: tag})
		return now
	}
	if now := submit(1, true); len(now) != 1 || !now[0].Greets || submit(2, true) != nil || s.Waiting() || s.WriteAgain() != nil {
		t.Fatalf("got %+v, want a greeting alone", now)
	}
	s.Outcome(1, confirmed, false)
	if of, any := s.Unanswered(); of != nil || !any {
		t.Errorf("got %v, %v, want that something has no answer", of, any)
	}
	s.Disconnected()
	if again := s.WriteAgain(); len(again) != 1 || !again[0].Greets || again[0].Number != 1 {
		t.Fatalf("got %+v, want a greeting", again)
	}
	s.Hear(Hello{7, 5, 5}) // before the proof
	if submit(3, false) != nil || s.Waiting() {
		t.Error("a message overtakes the one that greets")
	}
	s.Outcome(1, confirmed, false)
	again := s.WriteAgain()
	if len(again) != 3 || again[0].Greets || again[0].Again || again[0].Number != 1 || again[2].Number != 3 {
		t.Errorf("got %+v, want the messages, in order", again)
	}
}

// TestPeerThatCannotBeGreeted: those behind the greeting need not find out each for itself.
func TestPeerThatCannotBeGreeted(t *testing.T) {
	for final, want := range map[bool]int{false: 2, true: 3} {
		s := NewSender[int](7)
		for i := range 3 {
			s.Submit(Submission[int]{Want: Kept, Until: i == 1, Tag: i})
		}
		if end := s.Outcome(1, unwritten, final); len(end) != want || end[0].Outcome != unwritten || s.Len() != 3-want {
			t.Errorf("got %v, want %d to end", end, want)
		}
	}
}

// TestOrderOverACut: what is submitted after a cut is behind what was being written then.
func TestOrderOverACut(t *testing.T) {
	s := begun()
	for i := range 3 {
		s.Submit(Submission[int]{Want: Kept, Until: true, Tag: i})
	}
	s.Outcome(1, confirmed, false)
	s.Disconnected()
	if _, now := s.Submit(Submission[int]{Want: Read, Until: true, Tag: 3}); now != nil {
		t.Error("a message overtakes three that may have been lost")
	}
	s.Hear(Hello{7, 1, 2})
	if all := s.WriteAgain(); len(all) != 1 || all[0].Number != 1 || s.Waiting() {
		t.Errorf("got %+v, want the first one", all)
	}
	s.Outcome(3, cut, false)
	if all := s.WriteAgain(); all != nil {
		t.Errorf("got %+v, want the third one to wait for the second", all)
	}
	s.Outcome(2, cut, false)
	if all := s.WriteAgain(); len(all) != 3 || all[0].Number != 2 || !all[0].Again || all[2].Again {
		t.Errorf("got %+v, want the others", all)
	}
}

// TestGreetingIsNoMessage: who was only greeted has nothing.
func TestGreetingIsNoMessage(t *testing.T) {
	for _, until := range []bool{false, true} {
		s := NewSender[int](7)
		s.Submit(Submission[int]{Want: Handled, Until: until})
		s.Outcome(1, cut, false)
		s.WriteAgain()
		if end := s.Close(protocol.Closed, nil); len(end) != 1 || end[0].Outcome.Kind != protocol.Failed {
			t.Errorf("got %v, want failed", end)
		}
	}
}

// TestBehindThoseThatWait: what comes while others wait for the peer is written behind them.
func TestBehindThoseThatWait(t *testing.T) {
	s := begun()
	s.Submit(Submission[int]{Want: Kept, Until: true, Tag: 1})
	s.Outcome(1, unwritten, false)
	if _, now := s.Submit(Submission[int]{Want: Kept, Tag: 2}); now != nil {
		t.Errorf("got %v, want it to wait", now)
	}
	again := s.WriteAgain()
	if len(again) != 2 || again[0].Tag != 1 || again[1].Tag != 2 {
		t.Fatalf("got %+v, want both, in order", again)
	}
	if end := s.Outcome(2, cut, false); end != nil {
		t.Errorf("got %v, want it to be written once more", end)
	}
	if end := s.Outcome(1, protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Banned}, true); len(end) != 1 || end[0].Outcome.Reason != protocol.Banned {
		t.Errorf("got %v, want what nothing can mend to end", end)
	}
}

// TestWithoutId: what is written without its id waits for the peer until it may have been written.
func TestWithoutId(t *testing.T) {
	s := NewSender[int](7)
	s.Submit(Submission[int]{Until: true, Once: true, Tag: 1})
	if end := s.Outcome(1, unwritten, false); end != nil || len(s.WriteAgain()) != 1 {
		t.Fatalf("got %v, want it to be written again", end)
	}
	if end := s.Outcome(1, cut, false); len(end) != 1 || end[0].Outcome != cut {
		t.Errorf("got %v, want in doubt", end)
	}
}

// TestClose ends all: what was never written has failed.
func TestClose(t *testing.T) {
	s, _ := sent(Handled, true)
	s.Submit(Submission[int]{Want: Handled, Until: true, Tag: 2})
	s.Outcome(2, unwritten, false)
	s.Submit(Submission[int]{Want: Handled, Until: true, Tag: 3})
	s.WriteAgain()
	s.Outcome(3, unwritten, false)
	kinds := make(map[int]protocol.OutcomeKind)
	for _, e := range s.Close(protocol.Closed, nil) {
		kinds[e.Tag] = e.Outcome.Kind
	}
	if len(kinds) != 3 || kinds[1] != protocol.InDoubt || kinds[2] != protocol.InDoubt || kinds[3] != protocol.Failed || s.list != nil {
		t.Errorf("got %v, want what was or is being written in doubt, and the rest failed", kinds)
	}
}

// TestRestore: a book that is restored knows what was handled and kept, and tells the sender of a copy.
func TestRestore(t *testing.T) {
	b := NewBook(1)
	for n := uint64(3); n <= 90; n++ {
		b.Arrive(&Message{Number: n, Settled: 2, Want: Handled})
	}
	for _, n := range []uint64{3, 4, 70, 80, 81} {
		b.Handled(n)
	}
	b.Kept(10)
	b.Kept(11)
	b.State([]uint64{20, 21}, []uint64{21}, nil) // a write that is not synced yet
	again, err := Restore(b.State([]uint64{12}, []uint64{11, 90}, nil))
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[uint64]Result{1: IsHandled, 4: IsHandled, 5: IsDropped, 70: IsHandled, 81: IsHandled, 82: IsDropped, 90: IsHandled, 11: IsHandled, 21: IsHandled} {
		if got := again.Asked(n); got != want {
			t.Errorf("asked of %d: got %d, want %d", n, got, want)
		}
	}
	for n := range again.OnDisk() {
		if v, _ := again.Arrive(&Message{Number: n, Settled: 2, Want: Kept, Again: true, Store: 1}); v != Wait || !again.Kept(n) {
			t.Errorf("a copy of %d: got %d, want that it waits until the disk is read, and is told then", n, v)
		}
	}
	for _, n := range []uint64{10, 12, 20} {
		if v, r := again.Arrive(&Message{Number: n, Settled: 2, Want: Kept, Again: true, Store: 1}); v != Answer || r != IsKept {
			t.Errorf("a copy of %d: got %d with %d, want the answer that it is kept", n, v, r)
		}
	}
	again.Arrive(&Message{Number: 12, Settled: 2, Want: Handled, Again: true, Store: 1})
	if !again.Handled(12) {
		t.Error("the sender of a copy is not told that it was handled")
	}
	state := NewBook(1).State(nil, nil, nil)
	for name, bad := range map[string][]byte{
		"nothing": nil, "cut off": state[:len(state)-1], "more": append(state, 0),
		"over below settled": append(state[:8:8], 5, 4, 0, 5, 0), "open beyond the window": append(state[:8:8], 5, 5, 0, 255, 255, 15, 0),
		"too many words": append(state[:8:8], 0, 0, 255, 255, 15),
	} {
		if _, err := Restore(bad); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// TestStateIsSmall: a state is of a size that a write can have, however its numbers are.
func TestStateIsSmall(t *testing.T) {
	b := NewBook(1)
	var kept []uint64
	for n := uint64(2); n <= Window; n += 2 {
		b.Arrive(&Message{Number: n, Want: Kept})
		if n%4 == 0 {
			b.Handled(n)
		} else {
			kept = append(kept, n)
		}
	}
	state := b.State(kept, nil, nil)
	if len(state) > 20<<10 {
		t.Errorf("got %d bytes", len(state))
	}
	again, err := Restore(state)
	if err != nil || len(again.open) != len(kept) || again.Asked(4) != IsHandled || again.Asked(Window) != IsHandled || !bytes.Equal(again.State(nil, nil, nil), state) {
		t.Errorf("got another book, %v", err)
	}
}

func FuzzRestore(f *testing.F) {
	b := NewBook(1)
	b.Arrive(&Message{Number: 5, Settled: 2, Want: Kept})
	b.Kept(5)
	f.Add(b.State([]uint64{9, 10}, []uint64{7}, nil))
	f.Fuzz(func(t *testing.T, state []byte) {
		b, err := Restore(state)
		if err != nil {
			return
		}
		again, err := Restore(b.State(nil, nil, nil))
		if err != nil || !bytes.Equal(again.State(nil, nil, nil), b.State(nil, nil, nil)) {
			t.Errorf("got %v, %v of %v", again, err, b)
		}
	})
}

// TestNobodyTakesIt: a message with Until that nobody takes is written again later, and holds up no other. It has not arrived.
func TestNobodyTakesIt(t *testing.T) {
	nobody := Part{Epoch: 7, Result: NoHandler, Of: []Range{{1, 1}}}
	for name, early := range map[string]bool{"the answer comes last": false, "the answer comes first": true} {
		t.Run(name, func(t *testing.T) {
			s := begun()
			_, now := s.Submit(Submission[int]{Want: Handled, Until: true, Tag: 1})
			b := NewBook(1)
			if v, _ := b.Arrive(&now[0].Message); v != Deliver {
				t.Fatal("the first copy is not delivered")
			}
			b.Refuse(1)
			if early {
				s.Answer(nobody)
			}
			s.Outcome(1, confirmed, false)
			if all := s.Answer(nobody); len(all) > 0 || !s.Refuses() || !s.Refused(1) || s.Waiting() {
				t.Fatalf("got %v, refuses %v, waiting %v", all, s.Refuses(), s.Waiting())
			}
			if of, any := s.Unanswered(); any {
				t.Errorf("the peer is asked for %v", of)
			}
			if _, now := s.Submit(Submission[int]{Want: Handled, Tag: 2}); len(now) != 1 {
				t.Error("the next message waits for it")
			}
			s.Outcome(2, confirmed, false)
			again := s.WriteAgain()
			if len(again) != 1 || again[0].Number != 1 || again[0].Again || s.Refuses() {
				t.Fatalf("got %+v, want the first one, as if it was never written", again)
			}
			if v, _ := b.Arrive(&again[0].Message); v != Deliver || !b.Handled(1) {
				t.Error("the second copy is not delivered, or nobody is told")
			}
			s.Outcome(1, confirmed, false)
			if all := s.Answer(Part{Epoch: 7, Result: IsHandled, Of: []Range{{1, 2}}}); len(all) != 2 || all[0].Outcome.Kind != protocol.Confirmed {
				t.Errorf("got %v, want both handled", all)
			}
		})
	}
	s, _ := sent(Handled, true)
	s.Answer(nobody)
	s.Disconnected()
	if all := s.Withdraw(1, protocol.Expired, nil); len(all) != 1 || all[0].Outcome.Kind != protocol.Failed || s.Refuses() || s.Len() > 0 {
		t.Errorf("got %v of one that nobody took in time, want it failed", all)
	}
	s, _ = sent(Handled, false)
	if all := s.Answer(nobody); len(all) != 1 || all[0].Outcome.Kind != protocol.Failed {
		t.Errorf("got %v of one without Until, want it failed", all)
	}
}
