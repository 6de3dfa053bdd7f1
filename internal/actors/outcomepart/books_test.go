package outcomepart

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// bare is a trunk with clocks and a system, whose actors are all dead.
type bare struct {
	Trunk
	system *actor.ActorSystem
	now    time.Time
}

func (b *bare) System() *actor.ActorSystem { return b.system }
func (b *bare) Now() time.Time             { return b.now }
func (b *bare) Wall() time.Time            { return b.now }

func newBooks(t *testing.T) (*books, *bare) {
	t.Helper()
	discard := slog.New(slog.DiscardHandler)
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return discard }))
	trunk := &bare{system: system, now: time.Unix(1_000_000, 0)}
	o := &Outcomes{trunk: trunk, pid: system.NewLocalPID("nobody"), keeps: true}
	o.books.init(o)
	o.books.noted = o.books.name
	return &o.books, trunk
}

// on returns an intake of a connection.
func (b *books) on(at *actors.ConnRef) *intake {
	return &intake{o: b.o, on: at, line: outcomes.Line(random())}
}

// take1 has a message arrive on a line of its own.
func (b *books) take1(at *actors.ConnRef, m *outcomes.Message) (*book, bool) {
	i := b.on(at)
	b.ask(i, &outcomes.Ask{Epoch: m.Epoch})
	return b.receive(i, m)
}

// receive has a message arrive on a line.
func (b *books) receive(i *intake, m *outcomes.Message) (*book, bool) {
	x := *m
	x.Line = i.line
	return b.arrive(i, &x, 0)
}

// from returns an inbound connection of a key from an address.
func from(key byte, n int, ip string) *actors.ConnRef {
	k := identity.PublicKey{key, byte(n), byte(n >> 8), byte(n >> 16)}
	ref := &actors.ConnRef{ID: 1, Key: k, Peer: k.NodeID()}
	ref.Link().Origin = peerstore.OriginOf(netip.MustParsePrefix(ip + "/32"))
	return ref
}

// TestBooksOfTwoKeys: two senders that choose the same epoch have nothing to do with each other.
//
// conforms: V 42
func TestBooksOfTwoKeys(t *testing.T) {
	b, _ := newBooks(t)
	one, other := from(1, 0, "1.1.1.1"), from(2, 0, "1.1.1.1")
	m := &outcomes.Message{Epoch: 7, Number: 1, Want: outcomes.Handled}
	k, deliver := b.take1(one, m)
	if !deliver {
		t.Fatal("the first message is not delivered")
	}
	b.handled(k, 1)
	if _, deliver := b.take1(one, m); deliver {
		t.Error("a copy is delivered")
	}
	b.take1(other, &outcomes.Message{Epoch: 7, Number: 60_000, Settled: 59_999})
	if _, deliver := b.take1(one, m); deliver {
		t.Error("another sender's mark has made a copy be delivered")
	}
	if _, deliver := b.take1(from(3, 0, "1.1.1.1"), m); !deliver {
		t.Error("another sender's message of the same number is not delivered")
	}
	for id, want := range map[identity.NodeID]int{one.Peer: 3, other.Peer: 0} {
		if n := b.news[id]; n != nil && len(n.results) != want || n == nil && want > 0 {
			t.Errorf("got %+v, want %d results for %s", n, want, id)
		}
	}
}

// TestBooksUnderAttack: many epochs, and numbers with gaps, of one source fill the books, and those
// of honest senders from elsewhere stay.
func TestBooksUnderAttack(t *testing.T) {
	b, trunk := newBooks(t)
	honest := make([]*actors.ConnRef, 1000)
	message := &outcomes.Message{Epoch: 7, Number: 2, Settled: 1, Want: outcomes.Handled}
	for i := range honest {
		honest[i] = from(1, i, fmt.Sprintf("9.%d.%d.9", i/200, i%200))
		k, _ := b.take1(honest[i], message)
		b.handled(k, 2)
	}
	if b.size > booksBytes/4 {
		t.Errorf("a thousand senders have %d bytes, want at most a quarter of %d", b.size, booksBytes)
	}
	for i := range 200_000 {
		trunk.now = trunk.now.Add(time.Millisecond)
		at := from(2, i%100, "8.8.8.8")
		k, _ := b.take1(at, &outcomes.Message{Epoch: outcomes.Epoch(i), Number: 1 + uint64(i*677)%outcomes.Window})
		if i%2 == 0 {
			b.handled(k, 1+uint64(i*677)%outcomes.Window)
		}
		if b.size > booksBytes {
			t.Fatalf("the books have %d bytes, at most %d", b.size, booksBytes)
		}
	}
	for range 100 { // an epoch with as many gaps as there can be
		for n := uint64(2); n < outcomes.Window; n += 128 {
			k, _ := b.take1(from(2, 0, "8.8.8.8"), &outcomes.Message{Epoch: 1, Number: n})
			b.handled(k, n)
		}
	}
	for _, at := range honest {
		if _, deliver := b.take1(at, message); deliver {
			t.Fatal("an honest sender's copy is delivered: its book has made way")
		}
	}
	trunk.now = trunk.now.Add(bookIdle)
	b.sweep()
	if slices.ContainsFunc(honest, func(at *actors.ConnRef) bool { return b.of[at.Key] != nil }) {
		t.Error("a book is left a day later")
	}
}

// TestBooksOnTheDisk: what a store has of senders is known after a start; what is a day old is not, and
// goes.
func TestBooksOnTheDisk(t *testing.T) {
	b, trunk := newBooks(t)
	at := from(1, 0, "1.1.1.1")
	for n := uint64(1); n <= 3; n++ {
		b.take1(at, &outcomes.Message{Epoch: 7, Number: n, Want: outcomes.Kept})
	}
	id := func(n uint64) outcomes.MessageID { return outcomes.MessageID{From: at.Key, Epoch: 7, Number: n} }
	states, sync := b.States([]outcomes.MessageID{id(1), id(2)}, []outcomes.MessageID{id(3)}, nil)
	if len(states) != 1 || !sync {
		t.Fatalf("got %v, sync %v, want one state, and that somebody waits", states, sync)
	}
	if n := b.news[at.Peer]; len(n.results) > 0 {
		t.Errorf("%v was told before the disk was synced", n)
	}
	b.Kept([]outcomes.MessageID{id(1), id(2)})
	if n := b.news[at.Peer]; n == nil || len(n.results) != 2 {
		t.Errorf("got %+v, want two messages kept", n)
	}

	next, later := newBooks(t)
	later.now = trunk.now.Add(2 * bookIdle)
	next.restore(states)
	next.Loaded([]outcomes.MessageID{id(1)}) // the second one cannot be read any more
	for n, want := range map[uint64]outcomes.Result{1: outcomes.IsKept, 2: outcomes.IsUnknown, 3: outcomes.IsHandled} {
		if _, deliver := next.take1(at, &outcomes.Message{Epoch: 7, Number: n, Want: outcomes.Kept, Again: true, Store: next.of[at.Key][7].Store()}); deliver {
			t.Errorf("copy %d is delivered", n)
		}
		all := next.take()[at.Peer].results
		if i := slices.IndexFunc(all, func(r result) bool { return r.number == n }); i < 0 || all[i].result != want {
			t.Errorf("copy %d: got %+v, want %d", n, all, want)
		}
	}
	next.handled(next.of[at.Key][7], 1)
	states, _ = next.States(nil, []outcomes.MessageID{id(1)}, nil)

	last, old := newBooks(t)
	old.now = later.now.Add(bookIdle)
	last.restore(states)
	for range 2 { // a write that has failed
		if dead, _ := last.States(nil, nil, nil); len(last.of) != 0 || len(dead) != 2 || dead[0].State != nil || !dead[1].Named() {
			t.Fatalf("got %d books and %+v to delete, want the old one to go, and another name", len(last.of), dead)
		}
	}
	dead, _ := last.States(nil, nil, nil)
	last.Stored(dead)
	if dead, _ := last.States(nil, nil, nil); len(dead) != 0 {
		t.Errorf("got %v to delete, want what is deleted to be forgotten", dead)
	}
}

// TestEvictedBooks: of what an evicted book knew nobody says that it was dropped, and no copy of it is delivered.
//
// conforms: V 42
func TestEvictedBooks(t *testing.T) {
	b, _ := newBooks(t)
	line := b.on(from(1, 0, "1.1.1.1"))
	b.ask(line, &outcomes.Ask{Epoch: 7})
	first, _ := b.receive(line, &outcomes.Message{Epoch: 7, Number: 1, Want: outcomes.Handled})
	b.receive(line, &outcomes.Message{Epoch: 7, Number: 2, Want: outcomes.Handled})
	store := first.Store()
	b.handled(first, 1)
	told := b.take()[line.on.Peer]
	if want := (outcomes.Hello{Epoch: 7, Store: store, Line: line.line}); len(told.hellos) != 1 || told.hellos[0] != want {
		t.Errorf("got hellos %+v, want %+v", told.hellos, want)
	}
	b.forget(first)

	results := func(name string, want ...result) {
		t.Helper()
		n := b.take()[line.on.Peer]
		if n == nil {
			n = new(news)
		}
		if !slices.Equal(n.results, want) {
			t.Errorf("%s: got %v, want %v", name, n.results, want)
		}
	}
	ask := func(l outcomes.Line) {
		b.ask(line, &outcomes.Ask{Epoch: 7, Line: l, Of: []outcomes.Range{{First: 1, Last: 2}}})
	}
	ask(line.line)
	results("asked without a book", result{7, 1, outcomes.IsUnknown}, result{7, 2, outcomes.IsUnknown})
	if b.of[line.on.Key] != nil {
		t.Error("a question has made a book")
	}
	for n := range uint64(2) {
		if _, deliver := b.take1(line.on, &outcomes.Message{Epoch: 7, Number: n + 1, Want: outcomes.Handled, Again: true, Store: store}); deliver {
			t.Errorf("copy %d is delivered", n+1)
		}
		results("copy", result{7, n + 1, outcomes.IsUnknown})
	}
	before := line.line
	if _, deliver := b.receive(line, &outcomes.Message{Epoch: 7, Number: 3, Want: outcomes.Handled}); deliver || line.line == before {
		t.Error("a message of the line of the evicted book is delivered")
	}
	if hellos := b.take()[line.on.Peer].hellos; len(hellos) != 1 || hellos[0].Line != line.line || hellos[0].Store == store {
		t.Errorf("got %+v, want a hello of another store and line", hellos)
	}
	if _, deliver := b.receive(line, &outcomes.Message{Epoch: 7, Number: 3, Want: outcomes.Handled}); !deliver {
		t.Error("a message of the next line is not delivered")
	}
	b.handled(first, 2)
	results("it is handled after all", result{7, 2, outcomes.IsHandled})
}

// TestQuestionOfAnotherLine: a question that has outlived its connection comes before the copies. It is answered with a hello alone.
//
// conforms: V 42
func TestQuestionOfAnotherLine(t *testing.T) {
	b, trunk := newBooks(t)
	at := from(1, 0, "1.1.1.1")
	b.take1(at, &outcomes.Message{Epoch: 7, Number: 1, Want: outcomes.Handled})
	line := b.on(at)
	receive := func(frame []byte) {
		trunk.now = trunk.now.Add(askedMost)
		if m := line.Message(frame, nil); m != nil {
			t.Fatalf("got %v for an actor", m)
		}
	}
	ask := func(l outcomes.Line, n int) *news {
		b.take()
		for range n {
			receive(outcomes.AppendAsk(nil, outcomes.Ask{Epoch: 7, Line: l, Of: []outcomes.Range{{First: 1, Last: 9}}}))
		}
		return b.take()[at.Peer]
	}
	if n := ask(3, 1); n == nil || len(n.results) > 0 || len(n.hellos) != 1 || n.hellos[0].Line != line.line {
		t.Errorf("got %+v before any message on this line, want a hello alone", n)
	}
	if _, deliver := b.receive(line, &outcomes.Message{Epoch: 7, Number: 2, Want: outcomes.Handled}); !deliver {
		t.Fatal("a message is not delivered")
	}
	if n := ask(3, 1); n == nil || len(n.results) > 0 || len(n.hellos) != 1 || n.hellos[0].Line != line.line {
		t.Errorf("got %+v, want a hello alone", n)
	}
	if n := ask(line.line, 1); n == nil || len(n.results) != 7 || n.results[0] != (result{7, 3, outcomes.IsDropped}) {
		t.Errorf("got %+v, want that those that never came were dropped", n)
	}
	b.take()
	for range 100 { // at once
		b.ask(line, &outcomes.Ask{Epoch: 7, Line: line.line, Of: []outcomes.Range{{First: 1, Last: outcomes.Window}}})
	}
	if n := b.take()[at.Peer]; n != nil && len(n.results) > outcomes.MaxAsked {
		t.Errorf("got %d results of questions without end", len(n.results))
	}
}

// TestRefusedIsDropped: what this node refuses is told, and is dropped for whoever asks.
func TestRefusedIsDropped(t *testing.T) {
	b, _ := newBooks(t)
	line := b.on(from(1, 0, "1.1.1.1"))
	b.ask(line, &outcomes.Ask{Epoch: 7})
	m := &outcomes.Message{Epoch: 7, Number: 1, Want: outcomes.Kept, Line: line.line}
	if _, deliver := b.arrive(line, m, outcomes.NoInbox); deliver {
		t.Fatal("it is delivered")
	}
	b.ask(line, &outcomes.Ask{Epoch: 7, Line: line.line, Of: []outcomes.Range{{First: 1, Last: 1}}})
	if n := b.take()[line.on.Peer]; !slices.Equal(n.results, []result{{7, 1, outcomes.NoInbox}, {7, 1, outcomes.IsDropped}}) {
		t.Errorf("got %+v", n)
	}
}

// TestEvictedTwice: what the store has of an evicted book is deleted, also if an earlier deletion of it was written meanwhile.
func TestEvictedTwice(t *testing.T) {
	b, _ := newBooks(t)
	at := from(1, 0, "1.1.1.1")
	id := func(n uint64) outcomes.MessageID { return outcomes.MessageID{From: at.Key, Epoch: 7, Number: n} }
	first, _ := b.take1(at, &outcomes.Message{Epoch: 7, Number: 1, Want: outcomes.Handled})
	states, _ := b.States([]outcomes.MessageID{id(1)}, nil, nil)
	b.Stored(states)
	b.forget(first)
	states, _ = b.States(nil, nil, nil) // written, and not synced
	next, _ := b.take1(at, &outcomes.Message{Epoch: 7, Number: 2, Want: outcomes.Handled})
	more, _ := b.States([]outcomes.MessageID{id(2)}, nil, nil)
	b.forget(next)
	b.Stored(append(states, more...))
	last, _ := b.States(nil, nil, nil)
	if i := slices.IndexFunc(last, func(r outcomes.Remembered) bool { return r.State == nil && r.Epoch == 7 }); i < 0 {
		t.Errorf("got %+v, want the second book deleted", last)
	}
}

// TestAnswersOfManyEpochs: an answer has no more than a frame may, and the rest stays for the next one.
func TestAnswersOfManyEpochs(t *testing.T) {
	w := new(owed)
	want := make(map[result]bool)
	for i := range 3000 {
		r := result{outcomes.Epoch(i % 40), uint64(1 + i/40*2), outcomes.IsHandled + outcomes.Result(i%2)}
		w.add([]result{r, r})
		want[r] = true
	}
	for frames := 0; len(w.results) > 0; frames++ {
		if frames > 1000 {
			t.Fatal("the results do not end")
		}
		f, err := outcomes.Decode(w.frame())
		if err != nil || len(f.Answer) == 0 {
			t.Fatalf("got %+v, %v, want an answer", f, err)
		}
		for _, p := range f.Answer {
			for _, r := range p.Of {
				for n := r.First; n <= r.Last; n++ {
					delete(want, result{p.Epoch, n, p.Result})
				}
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("%d results were not told", len(want))
	}
}

// TestEpochsOfASubstream: a sender has one epoch, and seldom another one; a peer that makes up epochs is at fault.
func TestEpochsOfASubstream(t *testing.T) {
	b, trunk := newBooks(t)
	i := b.on(from(1, 1, "192.0.2.1"))
	frame := func(e outcomes.Epoch) any {
		return i.Message(outcomes.AppendAsk(nil, outcomes.Ask{Epoch: e}), nil)
	}
	for range 3 {
		for e := range outcomes.Epoch(epochsMost) {
			for range 100 {
				if v := frame(e + 1); v != nil {
					t.Fatalf("epoch %d: got %v", e+1, v)
				}
			}
		}
		v, bad := frame(1000).(violated)
		if !bad || !errors.Is(v.err, outcomes.ErrLimit) {
			t.Fatalf("got %v after %d epochs, want a violation", v, epochsMost)
		}
		behind := frame(1)
		if _, _, err := i.Hear(t.Context(), []any{behind}); err == nil {
			t.Fatalf("got %v after the violation, want the substream to end", behind)
		}
		i.ended = false
		trunk.now = trunk.now.Add(time.Hour)
	}
}
