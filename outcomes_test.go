package gamelan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// TestHandled: an outcome says whether the peer has handled a message, by the way that its program
// receives them.
func TestHandled(t *testing.T) {
	bad := errors.New("bad")
	function := func(_ context.Context, m gamelan.Message) error {
		switch string(m.Body) {
		case "error":
			return bad
		case "panic":
			panic("on purpose")
		}
		if m.ID.IsZero() {
			t.Error("the message has no id")
		}
		return nil
	}
	for name, x := range map[string]struct {
		option gamelan.Option
		fails  []string
	}{
		"function": {gamelan.WithMessages(function), []string{"error", "panic"}},
		"handler": {gamelan.WithHandler(gamelan.Handle(func(m gamelan.Received) {
			if string(m.Body) == "panic" {
				panic("on purpose")
			}
		})), []string{"panic"}},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, x.option)
				net.Introduce(a, b)
				for _, body := range append([]string{"good"}, x.fails...) {
					begun := time.Now()
					out, err := a.Send(t.Context(), b.ID(), []byte(body), gamelan.Handled())
					want := protocol.Confirmed
					if body != "good" {
						want = protocol.Failed
					}
					if err != nil || out.Kind != want || want == protocol.Failed && !errors.Is(out.Err, gamelan.ErrDropped) {
						t.Errorf("%s: got %v, %v, want %v", body, out, err, want)
					}
					if took := time.Since(begun); took > time.Second {
						t.Errorf("%s: the outcome took %v", body, took)
					}
				}
			})
		})
	}
}

// TestHandledOneByOne: the answer to a message does not wait until the one before is proven to be read.
func TestHandledOneByOne(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		b := net.Start(gamelan.Config{}, gamelan.WithMessages(func(context.Context, gamelan.Message) error { return nil }))
		a := net.Start(gamelan.Config{})
		net.Connect(a, b)
		began := time.Now()
		for range 40 {
			if out, err := a.Send(t.Context(), b.ID(), []byte("x"), gamelan.Handled()); err != nil || out.Kind != protocol.Confirmed {
				t.Fatalf("got %v, %v", out, err)
			}
		}
		if took := time.Since(began); took > 2*time.Millisecond {
			t.Errorf("40 messages, one at a time, took %v: an answer has waited for the proof of the one before", took)
		}
	})
}

// TestHandledInALoop: a message of a loop is handled when the loop asks for the next one; the one at
// which the loop ends is not.
func TestHandledInALoop(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(a, b)
		loop := b.Messages(t.Context())
		var pending []*gamelan.Pending[gamelan.Outcome]
		for i := range 3 {
			p, err := a.Submit(t.Context(), b.ID(), fmt.Append(nil, i), gamelan.Handled())
			if err != nil {
				t.Fatal(err)
			}
			pending = append(pending, p)
		}
		time.Sleep(time.Second)
		if p := pending[0].Result(); p.Kind != 0 {
			t.Fatalf("got %v before any loop", p)
		}
		for m := range loop {
			if string(m.Body) == "2" {
				break
			}
		}
		for i, p := range pending {
			want := protocol.Confirmed
			if i == 2 {
				want = protocol.Failed
			}
			if out := p.Wait(t.Context()); out.Kind != want {
				t.Errorf("message %d: got %v, want %v", i, out, want)
			}
		}
	})
}

// TestHandledIsRefused: who cannot tell what became of a message says so at once.
func TestHandledIsRefused(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := net.Start(gamelan.Config{})
		taking := net.Start(gamelan.Config{}, gamelan.WithHandler(gamelantest.NewCollector().New))
		silent := net.Start(gamelan.Config{})
		unknown := net.Start(gamelan.Config{})
		for _, b := range []*gamelantest.Node{taking, silent} {
			net.Introduce(a, b)
		}
		for name, x := range map[string]struct {
			to   *gamelantest.Node
			opt  gamelan.SendOption
			want error
			text string
		}{
			"no inbox":   {taking, gamelan.Kept(), gamelan.ErrNotKept, "WithInbox"},
			"no handler": {silent, gamelan.Handled(), gamelan.ErrNotTaken, "handler"},
			"unknown":    {unknown, gamelan.Handled(), gamelan.ErrUnknownPeer, ""},
		} {
			begun := time.Now()
			options := []gamelan.SendOption{x.opt}
			if name != "no handler" { // that one may get a handler
				options = append(options, gamelan.Until(time.Hour))
			}
			out, err := a.Send(t.Context(), x.to.ID(), []byte("hello"), options...)
			if err != nil || out.Kind != protocol.Failed || !errors.Is(out.Err, x.want) || !strings.Contains(out.String(), x.text) {
				t.Errorf("%s: got %v, %v, want it to fail with %v", name, out, err, x.want)
			}
			if took := time.Since(begun); took > 30*time.Second {
				t.Errorf("%s: the outcome took %v", name, took)
			}
		}
	})
}

// TestUntil: what waits for a peer that is away is sent, in order, when it comes, and fails at its limit.
func TestUntil(t *testing.T) {
	for name, opts := range map[string][]gamelan.SendOption{
		"read": nil, "handled": {gamelan.Handled()}, "resend": {gamelan.Resend()},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				a := net.Start(gamelan.Config{})
				got := gamelantest.NewCollector()
				cfg := gamelan.Config{Secret: gamelantest.Secret(9), Listen: []string{"/memory/9"}}
				b := net.Start(cfg, gamelan.WithHandler(got.New))
				net.Connect(a, b)
				seed := b.ID()
				b.Close(t.Context())
				late, err := a.Submit(t.Context(), seed, []byte("late"), append(opts, gamelan.Until(5*time.Second))...)
				if err != nil {
					t.Fatal(err)
				}
				var pending []*gamelan.Pending[gamelan.Outcome]
				var want []string
				for i := range 300 {
					p, err := a.Submit(t.Context(), seed, fmt.Append(nil, i), append(opts, gamelan.Until(time.Hour))...)
					if err != nil {
						t.Fatal(err)
					}
					pending, want = append(pending, p), append(want, fmt.Sprint(i))
				}
				if out := late.Wait(t.Context()); out.Kind != protocol.Failed || out.Reason != protocol.Expired || out.Err == nil {
					t.Errorf("got %v, want expired, with the last error", out)
				}
				time.Sleep(time.Minute)
				net.Start(cfg, gamelan.WithHandler(got.New))
				begun := time.Now()
				for i, p := range pending {
					if out := p.Wait(t.Context()); out.Kind != protocol.Confirmed {
						t.Fatalf("message %d: got %v", i, out)
					}
				}
				if took := time.Since(begun); took > 15*time.Second {
					t.Errorf("the messages took %v after the peer's start", took)
				}
				time.Sleep(time.Second) // what is read is delivered a moment later
				if !slices.Equal(got.Bodies(), want) {
					t.Errorf("got %d messages, want %d in order", got.Len(), len(want))
				}
			})
		})
	}
}

// TestUntilSoon: what waits is written with the first connection, in whatever order the dial, the greeting and its answer
// are heard of. The connection itself may take a pause between two dials. GAMELAN_LONG tries each third of a second.
func TestUntilSoon(t *testing.T) {
	step := 5
	if os.Getenv("GAMELAN_LONG") != "" {
		step = 1
	}
	for k := 0; k < 60; k += step {
		gamelantest.Bubble(t, func(t *testing.T) {
			net := gamelantest.NewNetwork(t)
			a := net.Start(gamelan.Config{})
			got := gamelantest.NewCollector()
			cfg := gamelan.Config{Secret: gamelantest.Secret(9), Listen: []string{"/memory/9"}}
			b := net.Start(cfg, gamelan.WithHandler(got.New))
			net.Connect(a, b)
			b.Close(t.Context())
			p, err := a.Submit(t.Context(), b.ID(), []byte("x"), gamelan.Handled(), gamelan.Until(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute + time.Duration(k)*333*time.Millisecond)
			net.Start(cfg, gamelan.WithHandler(got.New))
			begun := time.Now()
			if out := p.Wait(t.Context()); out.Kind != protocol.Confirmed {
				t.Errorf("got %v", out)
			}
			if took := time.Since(begun); took > 11*time.Second {
				t.Errorf("it took %v from the start of the peer", took)
			}
		})
	}
}

// TestOnceOverCuts: over many cuts of the connection each message is handled once, and its outcome says so.
//
// conforms: V 42
func TestOnceOverCuts(t *testing.T) {
	for name, opt := range map[string]gamelan.SendOption{"handled": gamelan.Handled(), "resend": gamelan.Resend()} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				a := net.Start(gamelan.Config{})
				got := gamelantest.NewCollector()
				b := net.Start(gamelan.Config{}, gamelan.WithMessages(got.Hear))
				net.Connect(a, b)
				net.SetLinkBetween(a, b, memory.Link{Latency: time.Millisecond})
				ctx, stop := context.WithCancel(t.Context())
				cuts := 0
				var cutter sync.WaitGroup
				cutter.Go(func() {
					for ctx.Err() == nil {
						time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
						cuts += net.Cut(a, b)
					}
				})
				var wg sync.WaitGroup
				for s := range 4 {
					wg.Go(func() {
						for i := range 250 {
							body := fmt.Sprintf("%d-%d", s, i)
							out, err := a.Send(t.Context(), b.ID(), []byte(body), opt, gamelan.Until(time.Hour))
							if err != nil || out.Kind != protocol.Confirmed {
								t.Errorf("%s: got %v, %v", body, out, err)
							}
						}
					})
				}
				wg.Wait()
				stop()
				cutter.Wait()
				time.Sleep(time.Second) // what is read is delivered a moment later
				times := make(map[string]int)
				for _, body := range got.Bodies() {
					times[body]++
				}
				for body, n := range times {
					if n != 1 {
						t.Errorf("%s was handled %d times", body, n)
					}
				}
				if len(times) != 1000 || cuts < 10 {
					t.Errorf("got %d messages over %d cuts, want 1000 over some", len(times), cuts)
				}
			})
		})
	}
}

// TestPeerThatHangsUp: a peer that reads and hangs up is not dialed again at once, again and again.
func TestPeerThatHangsUp(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := net.Start(gamelan.Config{})
		got := gamelantest.NewCollector()
		unblock := got.Block()
		b := net.Start(gamelan.Config{}, gamelan.WithMessages(got.Hear))
		net.Connect(a, b)
		net.SetLinkBetween(a, b, memory.Link{Latency: time.Millisecond})
		p, err := a.Submit(t.Context(), b.ID(), []byte("job"), gamelan.Handled(), gamelan.Until(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		cuts := 0
		for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			cuts += net.Cut(a, b)
		}
		if cuts < 10 || cuts > 100 {
			t.Errorf("got %d connections in five minutes, want some, with growing pauses", cuts)
		}
		unblock()
		if out := p.Wait(t.Context()); out.Kind != protocol.Confirmed || got.Len() != 1 {
			t.Errorf("got %v, and %d messages handled", out, got.Len())
		}
	})
}

// TestPoison: a message that its function never handles comes again with growing pauses, and goes to the shelf. Others are
// handled meanwhile. Its sender waits, until it is handled after all or dropped.
func TestPoison(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		net.Quiet = true
		a := net.Start(gamelan.Config{})
		var at []time.Duration
		begun, healed := time.Now(), false
		var log bytes.Buffer
		b := net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{MaxAttempts: 6}), gamelan.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
			gamelan.WithMessages(func(_ context.Context, m gamelan.Message) error {
				if !strings.HasPrefix(string(m.Body), "poison") || healed {
					return nil
				}
				if at = append(at, time.Since(begun).Round(time.Second)); m.Attempt != len(at) {
					t.Errorf("got attempt %d, want %d", m.Attempt, len(at))
				}
				if m.Attempt == 2 {
					panic("on purpose")
				}
				return errors.New("on purpose")
			}))
		net.Connect(a, b)
		submit := func(body string) *gamelan.Pending[gamelan.Outcome] {
			p, err := a.Submit(t.Context(), b.ID(), []byte(body), gamelan.Handled(), gamelan.Until(24*time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		poison := submit("poison")
		if out := submit("good").Wait(t.Context()); out.Kind != protocol.Confirmed || time.Since(begun) > time.Second {
			t.Errorf("got %v after %v of the one behind it", out, time.Since(begun))
		}
		time.Sleep(time.Hour)
		if want := []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second, 31 * time.Second}; !slices.Equal(at, want) {
			t.Errorf("it was tried at %v, want %v", at, want)
		}
		dead := func() (seqs []uint64) {
			for m, err := range b.Inbox().Dead(t.Context()) {
				if err != nil || m.Attempt != 6 {
					t.Errorf("got %+v, %v, want six attempts", m, err)
				}
				seqs = append(seqs, m.Seq)
			}
			return seqs
		}
		if got := dead(); len(got) != 1 || b.Inbox().Status().Dead != 1 || poison.Result().Kind != 0 {
			t.Fatalf("got %v on the shelf and outcome %v, want the message, and that its sender waits", got, poison.Result())
		}
		synctest.Wait() // the log has a line each hour
		if got := strings.Count(log.String(), "on the shelf of the inbox"); got != 1 {
			t.Errorf("got %d lines of the log that say so, want one: %s", got, &log)
		}
		healed = true
		if n, err := b.Inbox().Retry(t.Context()); n != 1 || err != nil {
			t.Errorf("got %d, %v retried", n, err)
		}
		if out := poison.Wait(t.Context()); out.Kind != protocol.Confirmed || len(dead()) > 0 {
			t.Errorf("got %v, want it handled", out)
		}
		healed, at = false, nil
		poison = submit("poison, too")
		time.Sleep(time.Hour)
		if n, err := b.Inbox().Drop(t.Context(), dead()...); n != 1 || err != nil {
			t.Errorf("got %d, %v dropped", n, err)
		}
		if out := poison.Wait(t.Context()); out.Kind != protocol.Failed || !errors.Is(out.Err, gamelan.ErrDropped) || b.Inbox().Status().Messages > 0 {
			t.Errorf("got %v, want it dropped", out)
		}
	})
}

// TestOrderOfOutcomes: messages with outcomes are delivered in their order, from the first contact on and over cuts.
//
// conforms: V 42
func TestOrderOfOutcomes(t *testing.T) {
	for round := range 5 {
		gamelantest.Bubble(t, func(t *testing.T) {
			net := gamelantest.NewNetwork(t)
			a := net.Start(gamelan.Config{})
			got := gamelantest.NewCollector()
			b := net.Start(gamelan.Config{}, gamelan.WithMessages(got.Hear))
			net.Connect(a, b)
			net.SetLinkBetween(a, b, memory.Link{Latency: time.Duration(1+rand.IntN(20)) * time.Millisecond})
			var want []string
			var pending []*gamelan.Pending[gamelan.Outcome]
			cuts := 0
			for i := range 1000 {
				p, err := a.Submit(t.Context(), b.ID(), fmt.Append(nil, i), gamelan.Handled(), gamelan.Until(time.Hour))
				if err != nil {
					t.Fatal(err)
				}
				pending, want = append(pending, p), append(want, fmt.Sprint(i))
				time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond)
				if round > 0 && i%200 == 100 {
					cuts += net.Cut(a, b)
				}
			}
			for i, p := range pending {
				if out := p.Wait(t.Context()); out.Kind != protocol.Confirmed {
					t.Errorf("message %d: got %v", i, out)
				}
			}
			time.Sleep(time.Second) // what is read is delivered a moment later
			if all := got.Bodies(); !slices.Equal(all, want) || round > 0 && cuts == 0 {
				i := 0
				for i < min(len(all), len(want)) && all[i] == want[i] {
					i++
				}
				t.Errorf("round %d, %d cuts: got %d messages, want %d; at %d got %v", round, cuts, len(all), len(want), i, all[i:min(i+5, len(all))])
			}
		})
	}
}

// TestFirstRestart: a receiver with an inbox that ends before it has written anything of its sender is the same one afterwards.
// GAMELAN_LONG tries each 10 ms.
func TestFirstRestart(t *testing.T) {
	step := 30 * time.Millisecond
	if os.Getenv("GAMELAN_LONG") != "" {
		step = 10 * time.Millisecond
	}
	for d := time.Duration(0); d < 300*time.Millisecond; d += step {
		gamelantest.Bubble(t, func(t *testing.T) {
			net := gamelantest.NewNetwork(t)
			a := net.Start(gamelan.Config{})
			cfg := gamelan.Config{DataDir: t.TempDir(), Listen: []string{"/memory/9"}}
			start := func() *gamelantest.Node { return net.Start(cfg, gamelan.WithInbox(gamelan.InboxConfig{})) }
			b := start()
			id := b.ID()
			net.Connect(a, b)
			net.SetLink(memory.Link{Latency: 20 * time.Millisecond})
			p, err := a.Submit(t.Context(), id, []byte("x"), gamelan.Kept(), gamelan.Until(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(d)
			net.Cut(a, b)
			if err := b.Close(t.Context()); err != nil {
				t.Error(err)
			}
			b = start()
			out := p.Wait(t.Context())
			time.Sleep(time.Second) // the inbox is read
			if out.Kind != protocol.Confirmed || b.Inbox().Status().Messages != 1 {
				t.Errorf("restart after %v: got %v, and %d messages in the inbox", d, out, b.Inbox().Status().Messages)
			}
		})
	}
}

// TestSlowLoops: loops that are slow, each longer than a message may be in hand, handle each message once.
func TestSlowLoops(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}))
		net.Connect(a, b)
		var pending []*gamelan.Pending[gamelan.Outcome]
		for i := range 300 {
			p, err := a.Submit(t.Context(), b.ID(), fmt.Append(nil, i), gamelan.Handled())
			if err != nil {
				t.Fatal(err)
			}
			pending = append(pending, p)
		}
		time.Sleep(time.Second)
		var mu sync.Mutex
		times := make(map[string]int)
		ctx, stop := context.WithCancel(t.Context())
		var loops sync.WaitGroup
		for range 3 {
			loops.Go(func() {
				for m := range b.Messages(ctx) {
					if time.Sleep(2 * time.Second); strings.HasSuffix(string(m.Body), "50") {
						time.Sleep(5 * time.Minute)
					}
					mu.Lock()
					times[string(m.Body)]++
					mu.Unlock()
				}
			})
		}
		for i, p := range pending {
			if out := p.Wait(t.Context()); out.Kind != protocol.Confirmed {
				t.Errorf("message %d: got %v", i, out)
			}
		}
		time.Sleep(10 * time.Minute)
		stop()
		loops.Wait()
		mu.Lock()
		defer mu.Unlock()
		for body, n := range times {
			if n > 1 {
				t.Errorf("%s was handled %d times", body, n)
			}
		}
		if len(times) != 300 {
			t.Errorf("got %d messages, want 300", len(times))
		}
	})
}

// TestForgotten: a peer that was started again does not know what it had handled, and handles no copy.
func TestForgotten(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := net.Start(gamelan.Config{})
		got := gamelantest.NewCollector()
		cfg := gamelan.Config{Secret: gamelantest.Secret(9), Listen: []string{"/memory/9"}}
		b := net.Start(cfg, gamelan.WithMessages(got.Hear))
		net.Connect(a, b)
		got.Block()
		p, err := a.Submit(t.Context(), b.ID(), []byte("job"), gamelan.Handled(), gamelan.Until(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		net.Partition(a, b) // so that b cannot say that it has dropped the message
		ended, cancel := context.WithTimeout(t.Context(), time.Second)
		b.Close(ended)
		cancel()
		net.Start(cfg, gamelan.WithMessages(got.Hear))
		if out := p.Wait(t.Context()); out.Kind != protocol.InDoubt || !errors.Is(out.Err, gamelan.ErrForgotten) {
			t.Errorf("got %v, want in doubt: the peer has forgotten", out)
		}
		if got.Len() != 1 {
			t.Errorf("the message was handled %d times, want once", got.Len())
		}
	})
}

// TestWithdrawn: the end of a Send's context ends its message.
func TestWithdrawn(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := net.Start(gamelan.Config{})
		got := gamelantest.NewCollector()
		unblock := got.Block()
		b := net.Start(gamelan.Config{}, gamelan.WithMessages(got.Hear))
		net.Connect(a, b)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		out, err := a.Send(ctx, b.ID(), []byte("slow"), gamelan.Handled())
		if err != nil || out.Kind != protocol.InDoubt || out.Reason != protocol.Expired {
			t.Errorf("got %v, %v, want in doubt: expired", out, err)
		}
		unblock()
		if out, err := a.Send(t.Context(), b.ID(), []byte("next"), gamelan.Handled()); err != nil || out.Kind != protocol.Confirmed {
			t.Errorf("got %v, %v, want the next one confirmed", out, err)
		}
	})
}

// TestKept: a message is kept when it is in the inbox; it is handled when it is acknowledged there.
func TestKept(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}))
		net.Connect(a, b)
		out, err := a.Send(t.Context(), b.ID(), []byte("kept"), gamelan.Kept())
		if err != nil || out.Kind != protocol.Confirmed {
			t.Fatalf("got %v, %v, want it kept", out, err)
		}
		if s := b.Inbox().Status(); s.Messages != 1 {
			t.Fatalf("got %d messages in the inbox, want 1", s.Messages)
		}
		p, err := a.Submit(t.Context(), b.ID(), []byte("handled"), gamelan.Handled())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if out := p.Result(); out.Kind != 0 {
			t.Errorf("got %v before anybody has handled it", out)
		}
		var ids []gamelan.MessageID
		for m, err := range b.Inbox().Listen(t.Context(), gamelan.ListenOptions{Most: 2}) {
			if err != nil || m.ID.IsZero() {
				t.Fatalf("got %+v, %v, want a message with an id", m, err)
			}
			ids = append(ids, m.ID)
			if err := b.Inbox().Ack(t.Context(), m.Seq); err != nil {
				t.Fatal(err)
			}
		}
		if out := p.Wait(t.Context()); out.Kind != protocol.Confirmed {
			t.Errorf("got %v, want it handled", out)
		}
		if len(ids) != 2 || ids[0].Epoch != ids[1].Epoch || ids[0].Number+1 != ids[1].Number {
			t.Errorf("got ids %v, want two of one epoch, in a row", ids)
		}
	})
}

// TestHandledBesideACopier: a listener that copies, and stands still, holds up no sender. It gets its copies when it goes on.
func TestHandledBesideACopier(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}),
			gamelan.WithMessages(func(context.Context, gamelan.Message) error { return nil }))
		net.Connect(a, b)
		ctx, stop := context.WithCancel(t.Context())
		goOn := make(chan struct{})
		copied := new(heard)
		var copier sync.WaitGroup
		copier.Go(func() {
			for m := range b.Inbox().Listen(ctx, gamelan.ListenOptions{All: true}) {
				copied.add(m)
				<-goOn
			}
		})
		time.Sleep(time.Second)
		want := []string{"1", "2", "3"}
		for _, body := range want {
			begun := time.Now()
			out, err := a.Send(t.Context(), b.ID(), []byte(body), gamelan.Handled(), gamelan.Until(time.Minute))
			if took := time.Since(begun); err != nil || out.Kind != protocol.Confirmed || took > time.Second {
				t.Errorf("%s: got %v, %v after %v, want it handled at once", body, out, err, took)
			}
		}
		copied.want(t, "1")
		close(goOn)
		time.Sleep(time.Second)
		copied.want(t, want...)
		stop()
		copier.Wait()
	})
}

// TestKeptOverRestarts: while the receiver is started again and again, and the connection is cut, each message
// is handled once, with its outcome.
//
// conforms: V 42
func TestKeptOverRestarts(t *testing.T) {
	for name, opt := range map[string]gamelan.SendOption{"kept": gamelan.Kept(), "handled": gamelan.Handled(), "resend": gamelan.Resend()} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				a := net.Start(gamelan.Config{})
				var mu sync.Mutex
				times := make(map[string]int)
				cfg := gamelan.Config{DataDir: t.TempDir(), Listen: []string{"/memory/9"}}
				start := func() *gamelantest.Node {
					return net.Start(cfg, gamelan.WithInbox(gamelan.InboxConfig{}), gamelan.WithMessages(func(_ context.Context, m gamelan.Message) error {
						mu.Lock()
						defer mu.Unlock()
						times[string(m.Body)]++
						return nil
					}))
				}
				b := start()
				id, restarts := b.ID(), 0
				net.Connect(a, b)
				net.SetLink(memory.Link{Latency: time.Millisecond})
				ctx, stop := context.WithCancel(t.Context())
				var restarter sync.WaitGroup
				restarter.Go(func() {
					for i := 0; ctx.Err() == nil; i++ {
						time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
						if i%3 < 2 {
							net.Cut(a, b)
							continue
						}
						if err := b.Close(t.Context()); err != nil {
							t.Error(err)
						}
						b = start()
						restarts++
					}
				})
				var wg sync.WaitGroup
				for s := range 4 {
					wg.Go(func() {
						for i := range 100 {
							body := fmt.Sprintf("%d-%d", s, i)
							out, err := a.Send(t.Context(), id, []byte(body), opt, gamelan.Until(time.Hour))
							if err != nil || out.Kind != protocol.Confirmed {
								t.Errorf("%s: got %v, %v", body, out, err)
							}
						}
					})
				}
				wg.Wait()
				stop()
				restarter.Wait()
				time.Sleep(time.Minute)
				mu.Lock()
				defer mu.Unlock()
				for body, n := range times {
					if n != 1 {
						t.Errorf("%s was handled %d times", body, n)
					}
				}
				if len(times) != 400 || restarts == 0 {
					t.Errorf("got %d messages over %d restarts, want 400 over some", len(times), restarts)
				}
			})
		})
	}
}
