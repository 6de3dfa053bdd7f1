package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

var quiet = slog.New(slog.DiscardHandler)

// testInbox is an inbox in a tree of its own.
type testInbox struct {
	t   *testing.T
	sys *actor.ActorSystem
	pid *actor.PID
}

type crash struct{}

// crashing panics on crash and is an inbox otherwise.
type crashing struct{ actor.Actor }

func (x crashing) Receive(c actor.Context) {
	if _, ok := c.Message().(crash); ok {
		panic("crash")
	}
	x.Actor.Receive(c)
}

func startInbox(t *testing.T) *testInbox {
	sys := gamelan.NewSystem(quiet)
	producer := inboxOf(new(inboxCounts))
	root, err := supervisor.Start(sys, "test", supervisor.Spec{
		Name: "node", New: supervisor.Group(supervisor.Spec{Name: "inbox", New: func() actor.Actor { return crashing{producer(nil)} }}),
	}, supervisor.Options{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Stop(context.Background(), nil) })
	b := &testInbox{t, sys, sys.NewLocalPID("test/node/inbox")}
	for end := time.Now().Add(patience); len(root.Snapshot()) < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the tree did not start")
		}
	}
	return b
}

// receive gives n messages to the inbox; their bodies count on from first.
func (b *testInbox) receive(first, n int) {
	for i := range n {
		b.sys.Root.Send(b.pid, actors.Received{Body: fmt.Append(nil, first+i)})
	}
}

// pull asks for what there is; it fails the test if nothing comes.
func (b *testInbox) pull(listener, taken uint64) pulled {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	r, err := supervisor.Ask[pulled](ctx, b.sys, b.pid, pull{listener, taken})
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// take pulls until n messages have come and returns the number of the last; it
// checks that their bodies count on from first.
func (b *testInbox) take(listener, taken uint64, first, n int) uint64 {
	b.t.Helper()
	for got := 0; got < n; {
		for _, m := range b.pull(listener, taken).messages {
			if want := fmt.Sprint(first + got); string(m.Body) != want {
				b.t.Fatalf("listener %d: got message %s, want %s", listener, m.Body, want)
			}
			got++
			taken = m.Seq
		}
	}
	return taken
}

func TestInboxKeepsTheLastThousandForTheFirstListener(t *testing.T) {
	b := startInbox(t)
	b.receive(1, inboxKept+7)
	if m := b.pull(1, 0).messages[0]; string(m.Body) != "8" || m.Seq != 8 || m.Lost != 7 {
		t.Errorf("first: got %s, number %d, lost %d, want 8, 8, 7", m.Body, m.Seq, m.Lost)
	}
	last := b.take(1, 0, 8, inboxKept)
	b.receive(5000, 1)
	if m := b.pull(1, last).messages[0]; string(m.Body) != "5000" || m.Lost != 0 {
		t.Errorf("next: got %s, lost %d, want 5000, none", m.Body, m.Lost)
	}
}

func TestInboxGivesEveryMessageToEveryListener(t *testing.T) {
	b := startInbox(t)
	b.receive(0, 3)
	one := b.take(1, 0, 0, 3)
	two := b.take(2, 0, 0, 3) // the first has not said that he is done with them
	b.receive(3, 2*inboxKept)
	one = b.take(1, one, 3, 2*inboxKept)
	b.take(2, two, 3, 2*inboxKept)
	b.sys.Root.Send(b.pid, leave{2, 0})
	b.receive(9000, 1)
	b.take(1, one, 9000, 1)
}

func TestInboxGivesAgainWhatWasNotTaken(t *testing.T) {
	b := startInbox(t)
	b.receive(0, 2)
	for range 2 {
		if got := len(b.pull(1, 0).messages); got != 2 {
			t.Fatalf("got %d messages, want 2", got)
		}
	}
	if m := b.pull(1, 1).messages; len(m) != 1 || string(m[0].Body) != "1" {
		t.Errorf("after taking one: got %d messages, want the second", len(m))
	}
}

func TestInboxForgetsWhatALeavingListenerTook(t *testing.T) {
	b := startInbox(t)
	b.receive(0, 2)
	taken := b.take(1, 0, 0, 2)
	b.sys.Root.Send(b.pid, leave{1, taken})
	b.receive(2, 1)
	b.take(2, 0, 2, 1)
}

func TestInboxAfterARestartSaysWhatWasLost(t *testing.T) {
	b := startInbox(t)
	b.receive(0, 5)
	taken := b.take(1, 0, 0, 5)
	b.receive(5, 4)
	b.sys.Root.Send(b.pid, crash{})
	b.receive(9, 1)
	m := b.pull(1, taken).messages
	if string(m[0].Body) != "9" || m[0].Lost != 4 {
		t.Errorf("got %s, lost %d, want 9 and 4", m[0].Body, m[0].Lost)
	}
}

func TestInboxRefusesTooManyListeners(t *testing.T) {
	b := startInbox(t)
	b.receive(0, 1)
	for i := range maxListeners {
		b.pull(uint64(i+1), 0)
	}
	if !b.pull(99, 0).refused {
		t.Errorf("listener %d: got messages, want a refusal", maxListeners+1)
	}
	b.sys.Root.Send(b.pid, leave{1, 0})
	if b.pull(99, 0).refused {
		t.Error("after one left: got a refusal, want messages")
	}
}

func TestHeldCreditComesBackOnce(t *testing.T) {
	var h heldCredit
	var given [3]int
	var free []func()
	for i := range given {
		free = append(free, h.hold(func() { given[i]++ }))
	}
	free[1]()
	h.Close()
	if given != [3]int{1, 1, 1} {
		t.Errorf("got %v, want each once", given)
	}
}

// pair starts two nodes; the first knows the second.
func pair(t *testing.T) (a, b *gamelan.Node) {
	t.Helper()
	start := func() *gamelan.Node {
		n, err := gamelan.Start(t.Context(), gamelan.Config{}, gamelan.WithHandler(inboxOf(new(inboxCounts))), gamelan.WithLogger(quiet))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close(context.Background()) })
		return n
	}
	a, b = start(), start()
	if _, err := a.AddSeed(t.Context(), b.Seed()); err != nil {
		t.Fatal(err)
	}
	return a, b
}

func TestListenerThatDoesNotReadHoldsTheSender(t *testing.T) {
	a, b := pair(t)
	const total = 10000 // of 1 KiB: far more than the credit of both nodes and what is on the way
	taken := make(chan int)
	go func() {
		defer close(taken)
		for m := range (inboxMessages{b}).Subscribe(t.Context()) {
			var i int
			fmt.Sscan(string(m.Body), &i)
			taken <- i
			if i == total-1 {
				return
			}
		}
	}()
	var pending []*gamelan.Pending
	send := func(ctx context.Context) error {
		p, err := a.Enqueue(ctx, b.ID(), fmt.Appendf(nil, "%-1024d", len(pending)))
		if err == nil {
			pending = append(pending, p)
		}
		return err
	}
	if err := send(t.Context()); err != nil {
		t.Fatal(err)
	}
	for want := 0; want == 0; want++ { // the first has arrived: somebody listens
		if got := <-taken; got != want {
			t.Fatalf("got message %d, want %d", got, want)
		}
	}
	for len(pending) < total {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		err := send(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(pending) == total {
		t.Fatalf("all %d messages were accepted although nobody took them", total)
	}
	go func() {
		for len(pending) < total {
			if send(t.Context()) != nil {
				return
			}
		}
	}()
	for want := 1; want < total; want++ {
		if got := <-taken; got != want {
			t.Fatalf("got message %d, want %d", got, want)
		}
	}
}

func TestSenderUnderstandsWhatIsPrinted(t *testing.T) {
	a, b := pair(t)
	s := nodeSender{a}
	want := b.ID().String()
	for _, peer := range []string{b.ID().String(), b.ID().Short(), b.PublicKey().String(), b.Seed()} {
		if got, err := s.Resolve(t.Context(), peer); got != want || err != nil {
			t.Errorf("%s: got %s, %v, want %s", peer, got, err, want)
		}
	}
	for _, peer := range []string{a.ID().String(), a.Seed(), "00112233445566778899aabbcc", "0011223344556677", "nonsense", "x::y"} {
		if got, err := s.Resolve(t.Context(), peer); err == nil {
			t.Errorf("%s: got %s, want an error", peer, got)
		}
	}
}

func TestOutcomesInWords(t *testing.T) {
	for _, c := range []struct {
		o    gamelan.Outcome
		want string
	}{
		{gamelan.Outcome{Kind: protocol.Confirmed}, "confirmed"},
		{gamelan.Outcome{Kind: protocol.InDoubt, Reason: protocol.ConnectionLost}, "in doubt: connection lost"},
		{gamelan.Outcome{Kind: protocol.Failed, Reason: protocol.DialFailed, Err: errors.New("actors: refused\nby \x1b")}, `failed: dial failed: refused by \x1b`},
	} {
		if got := outcomeText(outcomeOf(c.o)); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
