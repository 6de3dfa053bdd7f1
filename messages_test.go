package gamelan_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// heard records bodies; its methods may be called from any goroutine.
type heard struct {
	mu     sync.Mutex
	bodies []string
}

func (h *heard) add(m gamelan.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bodies = append(h.bodies, string(m.Body))
}

func (h *heard) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.bodies, want) {
		t.Errorf("got %q, want %q", h.bodies, want)
	}
}

// say sends messages, each of which must be confirmed.
func say(t *testing.T, from, to *gamelantest.Node, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if out, err := from.Send(t.Context(), to.ID(), []byte(body)); err != nil || out.Kind != gamelan.Confirmed {
			t.Fatalf("message %.20q: got %v, %v, want confirmed", body, out, err)
		}
	}
}

// line returns the line of an actor of the user's in the tree, and its restarts.
func line(t *testing.T, n *gamelantest.Node, name string) (text string, restarts uint64) {
	t.Helper()
	for _, info := range n.Inspection().Tree().Snapshot() {
		if strings.HasSuffix(info.Path, "/extensions/"+name) {
			d, err := n.Inspection().Tree().Inspect(t.Context(), info.Path)
			if err != nil {
				t.Fatal(err)
			}
			return d.Line, info.Restarts
		}
	}
	t.Fatalf("got no actor %s", name)
	return "", 0
}

func TestWithMessages(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		got := new(heard)
		log := new(logLines)
		a := net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{}, gamelan.WithLogger(slog.New(slog.NewTextHandler(log, nil))),
			gamelan.WithMessages(func(ctx context.Context, m gamelan.Message) error {
				got.add(m)
				if m.Peer != a.ID() || m.From != a.PublicKey() || m.Seq != 0 || m.DHT != nil {
					t.Errorf("got %+v, want the message of %s", m, a.ID())
				}
				switch string(m.Body) {
				case "bad":
					return errors.New("no such thing")
				case "bug":
					panic("a bug")
				}
				time.Sleep(time.Second) // it may wait
				return ctx.Err()
			}))
		net.Connect(a, b)
		conn, _ := b.Connection(a.ID())
		say(t, a, b, "one", "bad", "bug", "bad", "bad", "two")
		time.Sleep(3 * time.Second)
		got.want(t, "one", "bad", "bug", "bad", "bad", "two")
		text, restarts := line(t, b, "handler")
		if want := "2 messages handled, 4 failed, last error: no such thing"; text != want || restarts != 1 {
			t.Errorf("got %q and %d restarts, want %q and 1", text, restarts, want)
		}
		if now, ok := b.Connection(a.ID()); !ok || now.ID != conn.ID {
			t.Error("the peer has lost its connection by our panic")
		}
		if log.with("panicked", "a bug", "then=\"it restarts\"") != 1 {
			t.Errorf("got the log %q, want one line on the panic", log.lines)
		}
		if n := log.with("returns errors", "no such thing", "peer="+a.ID().String()); n != 1 {
			t.Errorf("got %d warnings for three errors within a minute, want 1", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := log.with("returns errors", "n=2"); n != 1 {
			t.Errorf("got %d warnings a minute later about the other two errors, want 1: %q", n, log.lines)
		}
	})
}

// TestMessagesPanic has a function panic under each policy, and under PanicStop again
// after the handler was registered anew.
func TestMessagesPanic(t *testing.T) {
	for policy, want := range map[gamelan.PanicPolicy]struct {
		bodies   []string
		restarts uint64
	}{
		gamelan.PanicRestart: {[]string{"bug", "after"}, 1},
		gamelan.PanicContain: {[]string{"bug", "after"}, 0},
		gamelan.PanicStop:    {[]string{"bug"}, 0},
	} {
		t.Run(fmt.Sprint(policy), func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				net.Quiet = true
				got := new(heard)
				a := net.Start(gamelan.Config{})
				b := net.Start(gamelan.Config{PeerCredit: 64 << 10}, gamelan.WithLogger(discard),
					gamelan.WithMessages(func(_ context.Context, m gamelan.Message) error {
						got.add(m)
						if string(m.Body) == "bug" {
							time.Sleep(time.Second) // the others wait behind it
							panic("a bug")
						}
						return nil
					}, gamelan.OnPanic(policy)))
				net.Connect(a, b)
				say(t, a, b, "bug", "after")
				time.Sleep(2 * time.Second)
				got.want(t, want.bodies...)
				if policy != gamelan.PanicStop {
					if _, restarts := line(t, b, "handler"); restarts != want.restarts {
						t.Errorf("got %d restarts, want %d", restarts, want.restarts)
					}
					return
				}
				// The credit of what waited went back: a whole credit's worth comes through.
				again := gamelantest.NewCollector()
				if err := b.RegisterHandler(t.Context(), again.New); err != nil {
					t.Fatal(err)
				}
				for range 8 {
					say(t, a, b, strings.Repeat("x", 32<<10))
				}
				synctest.Wait()
				if again.Len() != 8 {
					t.Errorf("got %d messages, want 8: the stopped function holds credit", again.Len())
				}
			})
		})
	}
}

// TestMessagesCredit has a function that does not return: only its peer's credit is used
// up, and comes back when the function returns.
func TestMessagesCredit(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var n int
		var mu sync.Mutex
		gate := make(chan struct{})
		a := net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{PeerCredit: 64 << 10}, gamelan.WithMessages(func(context.Context, gamelan.Message) error {
			<-gate
			mu.Lock()
			defer mu.Unlock()
			n++
			return nil
		}))
		net.Connect(a, b)
		const all = 200
		var sent []*gamelan.Pending[gamelan.Outcome]
		for range all {
			p, err := a.Submit(t.Context(), b.ID(), make([]byte, 4<<10))
			if err != nil {
				t.Fatal(err)
			}
			sent = append(sent, p)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		waiting := 0
		text, _ := line(t, b, "handler")
		if _, err := fmt.Sscanf(text, "0 messages handled, %d waiting", &waiting); err != nil || waiting > 16 {
			t.Errorf("got %q, want at most 16 messages of 4 KiB waiting with 64 KiB of credit", text)
		}
		close(gate)
		for _, p := range sent {
			if out := p.Wait(t.Context()); out.Kind != gamelan.Confirmed {
				t.Fatalf("got %v, want confirmed", out)
			}
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if n != all {
			t.Errorf("got %d calls, want %d", n, all)
		}
	})
}

// TestMessagesClose closes a node whose function has one message in hand and two that
// wait. All are handled; with a deadline that is too short the context of the call ends.
func TestMessagesClose(t *testing.T) {
	for limit, want := range map[time.Duration][]string{
		time.Minute: {"1", "2", "3"},
		time.Second: {"1"},
	} {
		t.Run(limit.String(), func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				net.Quiet = true
				got := new(heard)
				a := net.Start(gamelan.Config{})
				b := net.Start(gamelan.Config{}, gamelan.WithLogger(discard), gamelan.WithMessages(func(ctx context.Context, m gamelan.Message) error {
					got.add(m)
					select {
					case <-time.After(5 * time.Second):
					case <-ctx.Done():
					}
					return nil
				}))
				net.Connect(a, b)
				say(t, a, b, "1", "2", "3")
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				if err := b.Close(ctx); err != nil {
					t.Errorf("got %v", err)
				}
				got.want(t, want...)
			})
		})
	}
}

// TestMessagesWhileDraining sends messages to a node that stops already, and whose connections
// still live because another actor takes its time: they fail at once, and are not handled.
func TestMessagesWhileDraining(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		got := new(heard)
		a := net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{},
			gamelan.WithActor("slow", func(*gamelan.Node) actor.Actor {
				return gamelan.Handle(func(addTo) { time.Sleep(time.Minute) })(nil)
			}),
			gamelan.WithMessages(func(_ context.Context, m gamelan.Message) error {
				got.add(m)
				time.Sleep(5 * time.Second)
				return nil
			}))
		net.Connect(a, b)
		say(t, a, b, "1")
		if err := b.Tell("slow", addTo{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		closed := make(chan error)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
			defer cancel()
			closed <- b.Close(ctx)
		}()
		var pending []*gamelan.Pending[gamelan.Outcome]
		submit := func(body string) {
			p, err := a.Submit(t.Context(), b.ID(), []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			pending = append(pending, p)
		}
		time.Sleep(time.Second)
		submit("2")
		submit("3")
		time.Sleep(20 * time.Second)
		submit("4") // the first message is handled
		synctest.Wait()
		for i, p := range pending {
			select {
			case <-p.Done():
			default:
				t.Errorf("message %d: got no outcome, want one at once", i+2)
			}
			if out := p.Wait(t.Context()); out.Kind != gamelan.Failed || out.Reason != protocol.DialFailed || !errors.Is(out.Err, actors.ErrPeerStops) {
				t.Errorf("message %d: got %v, want that it failed because the peer stops", i+2, out)
			}
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		got.want(t, "1")
	})
}

// TestMessagesLoopEndedBefore begins a loop whose ctx has ended: its handler serves the next one.
func TestMessagesLoopEndedBefore(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for m, err := range b.Messages(ended) {
			t.Errorf("got %v, %v in a loop that has ended", m, err)
		}
		net.Connect(a, b)
		say(t, a, b, "1")
		got := new(heard)
		for m, err := range b.Messages(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got.add(m)
			break
		}
		got.want(t, "1")
	})
}

// TestMessagesLoop receives in loops: in order, with the credit returned after the body,
// and with messages that wait between two loops.
func TestMessagesLoop(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		for m, err := range b.Messages(ctx) { // from now on b takes messages
			t.Errorf("got %v, %v before there are any", m, err)
		}
		cancel()
		net.Connect(a, b)
		say(t, a, b, "1", "2", "3")
		got := new(heard)
		for m, err := range b.Messages(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got.add(m)
			if string(m.Body) == "2" {
				break
			}
		}
		got.want(t, "1", "2")
		done := make(chan struct{})
		go func() {
			defer close(done)
			for m, err := range b.Messages(context.Background()) {
				if err != nil {
					t.Error(err)
				}
				got.add(m)
				time.Sleep(time.Second)
			}
		}()
		say(t, a, b, "4", "5")
		synctest.Wait()
		if err := b.Close(t.Context()); err != nil { // what was accepted still comes
			t.Fatal(err)
		}
		<-done
		got.want(t, "1", "2", "3", "4", "5")
	})
}

// TestMessagesLoopUnregister ends a loop by taking its handler away, with messages waiting.
func TestMessagesLoopUnregister(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{PeerCredit: 64 << 10})
		loop := func() (n int) {
			for _, err := range b.Messages(t.Context()) {
				if err != nil {
					t.Error(err)
				}
				if n++; n == 1 {
					time.Sleep(time.Minute)
				}
			}
			return n
		}
		first := make(chan int)
		go func() { first <- loop() }()
		synctest.Wait()
		net.Connect(a, b)
		say(t, a, b, strings.Repeat("x", 20<<10), strings.Repeat("x", 20<<10), strings.Repeat("x", 20<<10))
		synctest.Wait()
		if err := b.UnregisterHandler(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := <-first; n != 1 {
			t.Errorf("got %d messages, want 1: the others were dropped with the handler", n)
		}
		go func() { first <- loop() }() // registers again
		time.Sleep(time.Minute)
		say(t, a, b, strings.Repeat("x", 60<<10), strings.Repeat("x", 60<<10))
		synctest.Wait()
		if err := b.UnregisterHandler(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := <-first; n < 1 {
			t.Errorf("got %d messages after the handler was registered again, want some", n)
		}
	})
}

func TestMessagesConflicts(t *testing.T) {
	f := func(context.Context, gamelan.Message) error { return nil }
	for want, opts := range map[string][]gamelan.Option{
		"no function":                {gamelan.WithMessages(nil)},
		"WithMessages was given twi": {gamelan.WithMessages(f), gamelan.WithMessages(f)},
		"WithMessages and WithHandl": {gamelan.WithMessages(f), gamelan.WithHandler(newEcho)},
	} {
		if _, err := gamelan.Start(t.Context(), gamelan.Config{}, opts...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	gamelantest.Bubble(t, func(t *testing.T) {
		n := gamelantest.NewNetwork(t).Start(gamelan.Config{}, gamelan.WithMessages(f))
		rounds := 0
		for _, err := range n.Messages(t.Context()) {
			if rounds++; !errors.Is(err, gamelan.ErrProtocolTaken) || !strings.Contains(err.Error(), "leave out") {
				t.Errorf("got %v, want %v and what to do", err, gamelan.ErrProtocolTaken)
			}
		}
		if rounds != 1 {
			t.Errorf("got %d rounds, want 1", rounds)
		}
	})
}

// TestMessagesOfInbox has a function and a loop receive what the inbox keeps: handled
// messages are gone, others come again, over a restart of the node too.
func TestMessagesOfInbox(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		net.Quiet = true
		got := new(heard)
		fail, bug := true, true
		a := net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}), gamelan.WithLogger(discard),
			gamelan.WithMessages(func(_ context.Context, m gamelan.Message) error {
				got.add(m)
				switch {
				case m.Seq == 0:
					t.Error("got no number")
				case string(m.Body) == "later" && fail:
					fail = false
					return errors.New("the database is away")
				case string(m.Body) == "bug" && bug:
					bug = false
					panic("a bug")
				}
				return nil
			}))
		net.Connect(a, b)
		say(t, a, b, "later", "two")
		synctest.Wait()
		got.want(t, "later", "two")
		time.Sleep(2 * time.Minute)
		got.want(t, "later", "two", "later")
		say(t, a, b, "bug", "end")
		time.Sleep(time.Minute)
		got.want(t, "later", "two", "later", "bug", "end", "bug")
		if n := b.Inbox().Status().Messages; n != 0 {
			t.Errorf("got %d messages kept, want none", n)
		}
		if _, restarts := line(t, b, "messages"); restarts != 1 {
			t.Errorf("got %d restarts, want 1", restarts)
		}
	})
}

// TestMessagesBehindASlowOne: what waits behind a message at which the function is for more than a minute is handled as well, while
// another function, of a topic, has nothing to do.
func TestMessagesBehindASlowOne(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		got := new(heard)
		a := net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}),
			gamelan.WithMessages(func(context.Context, gamelan.Message) error { return nil }, gamelan.On("jobs")),
			gamelan.WithMessages(func(_ context.Context, m gamelan.Message) error {
				got.add(m)
				switch string(m.Body) {
				case "first": // the burst comes meanwhile
					time.Sleep(50 * time.Millisecond)
				case "slow":
					time.Sleep(70 * time.Second)
				}
				return nil
			}))
		net.Connect(a, b)
		var want []string
		for i := range 50 { // then it is handed several at once
			want = append(want, fmt.Sprint(i))
		}
		say(t, a, b, want...)
		burst := []string{"first", "slow", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
		var pending []*gamelan.Pending[gamelan.Outcome]
		for _, body := range burst {
			p, err := a.Submit(t.Context(), b.ID(), []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			pending = append(pending, p)
		}
		for _, p := range pending {
			p.Wait(t.Context())
		}
		time.Sleep(10 * time.Minute)
		got.want(t, slices.Concat(want, burst)...)
		if s := b.Inbox().Status(); s.Messages != 0 {
			t.Errorf("got %d messages kept, %d of them in hand, want none", s.Messages, s.InHand)
		}
	})
}

// TestMessagesFailBesideALoop: what a function fails on comes again after the pause that is promised, while a loop of a topic waits.
func TestMessagesFailBesideALoop(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var at []time.Time
		a := net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}),
			gamelan.WithMessages(func(context.Context, gamelan.Message) error {
				if at = append(at, time.Now()); len(at) == 1 {
					return errors.New("not yet")
				}
				return nil
			}))
		net.Connect(a, b)
		ctx, stop := context.WithCancel(t.Context())
		var loop sync.WaitGroup
		loop.Go(func() {
			for range b.Messages(ctx, gamelan.On("jobs")) {
			}
		})
		time.Sleep(time.Second)
		say(t, a, b, "again")
		time.Sleep(10 * time.Second)
		stop()
		loop.Wait()
		if len(at) != 2 {
			t.Fatalf("got %d attempts, want 2", len(at))
		}
		if pause := at[1].Sub(at[0]); pause < time.Second || pause > 1100*time.Millisecond {
			t.Errorf("the second attempt came after %v, want about a second", pause)
		}
	})
}

// TestMessagesBehindAFailingOne has a function fail for ever on a message that is larger than all
// that a listener may have in hand: those behind it come all the same.
func TestMessagesBehindAFailingOne(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		net.Quiet = true
		got := new(heard)
		a := net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}), gamelan.WithLogger(discard),
			gamelan.WithMessages(func(_ context.Context, m gamelan.Message) error {
				if len(m.Body) > 1<<20 {
					return errors.New("too large for us")
				}
				got.add(m)
				return nil
			}))
		net.Connect(a, b)
		say(t, a, b, strings.Repeat("x", 5<<20), "1", "2")
		time.Sleep(time.Minute)
		say(t, a, b, "3")
		time.Sleep(time.Minute)
		got.want(t, "1", "2", "3")
		if n := b.Inbox().Status().Messages; n != 1 {
			t.Errorf("got %d messages kept, want the failing one", n)
		}
	})
}

func TestMessagesLoopOfInbox(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}))
		net.Connect(a, b)
		say(t, a, b, "1", "2", "3")
		got := new(heard)
		loop := func(last string) {
			for m, err := range b.Messages(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				got.add(m)
				if string(m.Body) == last {
					return
				}
			}
		}
		loop("2")
		loop("3") // 2 ended the first loop, and comes again
		got.want(t, "1", "2", "2", "3")
		if n := b.Inbox().Status().Messages; n != 1 {
			t.Errorf("got %d messages kept, want the last alone", n)
		}
	})
}

// tally is an actor that counts.
type tally struct{ n int }

type (
	addTo    struct{ by int }
	getTally struct{}
)

func (a *tally) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case addTo:
		a.n += m.by
	case getTally:
		c.Respond(a.n)
	}
}

func TestTellAndAsk(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := gamelantest.NewNetwork(t).Start(gamelan.Config{},
			gamelan.WithActor("counter", func(*gamelan.Node) actor.Actor { return new(tally) }))
		for range 3 {
			if err := n.Tell("counter", addTo{2}); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := n.Ask(t.Context(), "counter", getTally{}); err != nil || got != 6 {
			t.Errorf("got %v, %v, want 6", got, err)
		}
		if got, err := gamelan.Ask[int](t.Context(), n.Node, "counter", getTally{}); err != nil || got != 6 {
			t.Errorf("got %v, %v, want 6", got, err)
		}
		_, err := gamelan.Ask[string](t.Context(), n.Node, "counter", getTally{})
		if err == nil || !strings.Contains(err.Error(), "got int, want string") {
			t.Errorf("got %v, want an error that names both types", err)
		}
		for _, err := range []error{n.Tell("countr", addTo{}), func() error { _, err := n.Ask(t.Context(), "countr", addTo{}); return err }()} {
			if !errors.Is(err, gamelan.ErrNoActor) || !strings.Contains(err.Error(), `"countr"`) {
				t.Errorf("got %v, want %v", err, gamelan.ErrNoActor)
			}
		}
		n.Close(t.Context())
		if err := n.Tell("counter", addTo{}); !errors.Is(err, gamelan.ErrClosed) {
			t.Errorf("got %v, want %v", err, gamelan.ErrClosed)
		}
	})
}

// TestBubbleRegisteredTooLate: what could not be registered in time is not registered later.
func TestBubbleRegisteredTooLate(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(a, b)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		stuck := func() { b.System().Root.Send(nodetest.Trunk(b).Extensions(), nap{}) }
		stuck()
		for _, err := range b.Messages(ctx) {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v of a loop, want that it takes too long", err)
			}
		}
		time.Sleep(time.Minute)
		stuck()
		if _, err := gamelan.Listener(ctx, b.Node, "/t/late/1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v of a listener, want that it takes too long", err)
		}
		time.Sleep(time.Minute)
		if l, err := gamelan.Listener(ctx, b.Node, "/t/late/1"); err != nil {
			t.Errorf("the protocol is not free again: %v", err)
		} else {
			l.Close()
		}
		loop := b.Messages(ctx)
		if out, err := a.Send(ctx, b.ID(), []byte("hello")); err != nil || out.Kind != protocol.Confirmed {
			t.Errorf("got %v, %v of a message to a loop that is there now", out, err)
		}
		for m, err := range loop {
			if err != nil || string(m.Body) != "hello" {
				t.Errorf("got %q, %v, want the message", m.Body, err)
			}
			break
		}
	})
}

// nap keeps the actor that gets it for longer than a registration may take.
type nap struct{}

var _ actor.AutoRespond = nap{}

func (nap) GetAutoResponse(actor.Context) any {
	time.Sleep(15 * time.Second)
	return nil
}
