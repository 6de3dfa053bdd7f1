package gamelan_test

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// submitAll submits n messages of size bytes to b, and returns a function that counts
// their outcomes when all have one.
func submitAll(t *testing.T, a, b *gamelantest.Node, n, size int, opts ...gamelan.SendOption) (outcomes func() map[protocol.OutcomeKind]int) {
	t.Helper()
	pending := make(chan *gamelan.Pending[gamelan.Outcome], n)
	go func() { // Submit waits for credit
		defer close(pending)
		for i := range n {
			body := make([]byte, size)
			copy(body, []byte{byte(i), byte(i >> 8), byte(i >> 16)})
			p, err := a.Submit(t.Context(), b.ID(), body, opts...)
			if err != nil {
				return
			}
			pending <- p
		}
	}()
	return func() map[protocol.OutcomeKind]int {
		counts := make(map[protocol.OutcomeKind]int)
		for p := range pending {
			counts[p.Wait(t.Context()).Kind]++
		}
		return counts
	}
}

// keptAfter starts the closed node anew and returns how many messages its inbox has.
func keptAfter(t *testing.T, net *gamelantest.Network, cfg gamelan.Config, c gamelan.InboxConfig) int {
	t.Helper()
	n := net.Start(cfg, gamelan.WithInbox(c))
	synctest.Wait()
	s := n.Inbox().Status()
	if s.Loading || s.Err != nil {
		t.Fatalf("got the inbox %+v, want it read", s)
	}
	return s.Messages
}

// TestCloseReadsWhatIsConfirmed closes a node while a confirmed message waits in the
// multiplexer: the task that reads it has not begun.
func TestCloseReadsWhatIsConfirmed(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var slow atomic.Bool
		slow.Store(true)
		cfg := gamelan.Config{DataDir: t.TempDir()}
		a := net.Start(gamelan.Config{})
		b := net.Start(cfg, gamelan.WithInbox(gamelan.InboxConfig{}), gamelan.WithFault(func(path, point string) {
			if slow.Load() && strings.Contains(path, "/plain/") && strings.HasPrefix(point, "task reader") {
				time.Sleep(100 * time.Millisecond)
			}
		}))
		net.Connect(a, b)
		out, err := a.Send(t.Context(), b.ID(), []byte("a message"))
		wantOutcome(t, "send", out, err, protocol.Confirmed, protocol.ReasonNone)
		if got := b.Inbox().Status().Received; got != 0 {
			t.Fatalf("got %d messages in the inbox already, want the reader to be slow", got)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := keptAfter(t, net, cfg, gamelan.InboxConfig{}); got != 1 {
			t.Errorf("got %d messages kept, want the confirmed one", got)
		}
	})
}

// TestCloseKeepsBeyondAFullInbox closes a node whose inbox is full: the inbox keeps what
// was confirmed beyond its limit.
func TestCloseKeepsBeyondAFullInbox(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		cfg, limits := gamelan.Config{DataDir: t.TempDir()}, gamelan.InboxConfig{MaxMessages: 100}
		a := net.Start(gamelan.Config{})
		b := net.Start(cfg, gamelan.WithInbox(limits))
		net.Connect(a, b)
		outcomes := submitAll(t, a, b, 10_000, 200)
		time.Sleep(5 * time.Second)
		if s := b.Inbox().Status(); !s.Full || s.Waiting == 0 {
			t.Fatalf("got the inbox %+v, want it full", s)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		a.Close(t.Context())
		got := outcomes()
		if kept := keptAfter(t, net, cfg, limits); kept < got[protocol.Confirmed] || got[protocol.Confirmed] < 3000 {
			t.Errorf("got %d kept of %v, want all that were confirmed, and these more than the credit", kept, got)
		}
	})
}

// TestCloseOfTwoAtOnce closes two nodes at once with messages under way both ways: neither
// waits for proofs that the other gives no more.
func TestCloseOfTwoAtOnce(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		a := net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		b := net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		net.Connect(a, b)
		net.SetLink(slowLink)
		there, back := submitAll(t, a, b, 1000, 1000), submitAll(t, b, a, 1000, 1000)
		time.Sleep(300 * time.Millisecond)
		began := time.Now()
		done := make(chan error, 2)
		for _, n := range []*gamelantest.Node{a, b} {
			go func() { done <- n.Close(t.Context()) }()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("Close took %v of virtual time, want a few round trips", took)
		}
		to, from := there(), back()
		t.Log(to, from)
		if n := to[protocol.Confirmed] + from[protocol.Confirmed]; heard.Len() < n {
			t.Errorf("got %d heard, want the %d confirmed ones", heard.Len(), n)
		}
	})
}

// TestConfirmedAheadOfTheHandler pours messages into a node whose handler stands still: no more
// is confirmed than a stop or a kill may lose.
func TestConfirmedAheadOfTheHandler(t *testing.T) {
	for _, size := range []int{10, 1000, 100_000} {
		gamelantest.Bubble(t, func(t *testing.T) {
			net := gamelantest.NewNetwork(t)
			stand := make(chan struct{})
			a := net.Start(gamelan.Config{}, gamelan.WithLogger(discard))
			b := net.Start(gamelan.Config{}, gamelan.WithLogger(discard), gamelan.WithMessages(func(context.Context, gamelan.Message) error {
				<-stand
				return nil
			}))
			net.Connect(a, b)
			outcomes := submitAll(t, a, b, 3*peerBound/size, size)
			time.Sleep(time.Minute)
			a.Close(t.Context())
			confirmed := outcomes()[protocol.Confirmed]
			t.Logf("%d bytes confirmed in messages of %d", confirmed*size, size)
			if got := confirmed * size; got > peerBound || got < 1<<19 {
				t.Errorf("got %d bytes of messages of %d bytes confirmed, want at most %d, and half a MiB at least", got, size, peerBound)
			}
			close(stand)
		})
	}
}

// TestCutLosesNothingConfirmed cuts the connection again and again under load: everything that
// was confirmed is handled, once.
func TestCutLosesNothingConfirmed(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		handled, twice := new(bodySet), 0
		a := net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{}, gamelan.WithMessages(func(_ context.Context, m gamelan.Message) error {
			before := len(handled.of)
			if handled.add(m.Body); len(handled.of) == before {
				twice++
			}
			return nil
		}))
		net.Connect(a, b)
		net.SetLink(slowLink)
		random := rand.New(rand.NewPCG(1, 2))
		confirmed := 0
		for range 20 {
			ctx, stop := context.WithCancel(t.Context())
			sent, wait := pour(t, ctx, random, a, b)
			time.Sleep(time.Duration(50+random.IntN(200)) * time.Millisecond)
			net.Cut(a, b)
			stop()
			wait()
			time.Sleep(time.Second)
			synctest.Wait()
			if lost, _ := sent.minus(handled); lost > 0 || twice > 0 {
				t.Fatalf("got %d of %d confirmed messages lost and %d handled twice, want none", lost, len(sent.of), twice)
			}
			confirmed += len(sent.of)
			handled.of = nil // the next round begins with the same numbers
		}
		t.Logf("%d confirmed", confirmed)
	})
}

// TestPanicStopCountsWhatIsDropped has a handler panic and stop for good while messages wait for
// it: all that were confirmed were handled, or are in the log.
func TestPanicStopCountsWhatIsDropped(t *testing.T) {
	for name, handler := range map[string]func(handle func()) gamelan.Option{
		"actor": func(handle func()) gamelan.Option {
			return gamelan.WithHandler(gamelan.Handle(func(gamelan.Received) { handle() }), gamelan.OnPanic(gamelan.PanicStop))
		},
		"function": func(handle func()) gamelan.Option {
			return gamelan.WithMessages(func(context.Context, gamelan.Message) error { handle(); return nil }, gamelan.OnPanic(gamelan.PanicStop))
		},
	} {
		for opts, sends := range map[string][]gamelan.SendOption{"plain": nil, "with ids": {gamelan.Resend()}} {
			t.Run(name+"/"+opts, func(t *testing.T) {
				gamelantest.Bubble(t, func(t *testing.T) {
					net := gamelantest.NewNetwork(t)
					log, handled := new(logLines), 0
					a := net.Start(gamelan.Config{})
					b := net.Start(gamelan.Config{}, gamelan.WithLogger(slog.New(slog.NewTextHandler(log, nil))), handler(func() {
						time.Sleep(10 * time.Millisecond)
						if handled == 50 {
							panic("a bug")
						}
						handled++
					}))
					net.Connect(a, b)
					outcomes := submitAll(t, a, b, 500, 100, sends...)
					time.Sleep(time.Minute)
					b.Close(t.Context())
					a.Close(t.Context())
					confirmed := outcomes()[protocol.Confirmed]
					inHand := 0
					if name == "function" {
						inHand = 1 // is counted as a panic
					}
					if dropped, _ := droppedOf(log); handled != 50 || confirmed != 500 || handled+dropped+inHand != confirmed {
						t.Errorf("got %d confirmed, %d handled and %d in the log, want all 500 among these", confirmed, handled, dropped)
					}
				})
			})
		}
	}
}

// TestCloseSaysWhatWaits closes a node while messages wait: for a slow actor, for a slow function, or for a loop
// between two rounds. All that were confirmed are handled, or in the log.
func TestCloseSaysWhatWaits(t *testing.T) {
	slow := func(handled *atomic.Int64) { time.Sleep(100 * time.Millisecond); handled.Add(1) }
	for name, start := range map[string]func(t *testing.T, net *gamelantest.Network, handled *atomic.Int64, opts ...gamelan.Option) *gamelantest.Node{
		"actor": func(_ *testing.T, net *gamelantest.Network, handled *atomic.Int64, opts ...gamelan.Option) *gamelantest.Node {
			return net.Start(gamelan.Config{}, append(opts, gamelan.WithHandler(gamelan.Handle(func(gamelan.Received) { slow(handled) })))...)
		},
		"function": func(_ *testing.T, net *gamelantest.Network, handled *atomic.Int64, opts ...gamelan.Option) *gamelantest.Node {
			return net.Start(gamelan.Config{}, append(opts, gamelan.WithMessages(func(context.Context, gamelan.Message) error { slow(handled); return nil }))...)
		},
		"loop that has ended": func(t *testing.T, net *gamelantest.Network, _ *atomic.Int64, opts ...gamelan.Option) *gamelantest.Node {
			b := net.Start(gamelan.Config{}, opts...)
			ended, end := context.WithCancel(t.Context())
			end()
			for range b.Messages(ended) {
				t.Error("got a message")
			}
			return b
		},
		"loop that goes on": func(t *testing.T, net *gamelantest.Network, handled *atomic.Int64, opts ...gamelan.Option) *gamelantest.Node {
			b := net.Start(gamelan.Config{}, opts...)
			all := b.Messages(t.Context()) // it is the handler before anything comes
			go func() {
				for range all {
					slow(handled)
				}
			}()
			return b
		},
	} {
		for opts, sends := range map[string][]gamelan.SendOption{"plain": nil, "with ids": {gamelan.Resend()}} {
			t.Run(name+"/"+opts, func(t *testing.T) {
				gamelantest.Bubble(t, func(t *testing.T) {
					net := gamelantest.NewNetwork(t)
					var handled atomic.Int64
					log := new(logLines)
					a := net.Start(gamelan.Config{})
					b := start(t, net, &handled, gamelan.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
					net.Connect(a, b)
					outcomes := submitAll(t, a, b, 500, 100, sends...)
					time.Sleep(time.Second)
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					b.Close(ctx)
					a.Close(t.Context())
					confirmed := outcomes()[protocol.Confirmed]
					time.Sleep(time.Minute) // a loop gets the rest
					dropped, _ := droppedOf(log)
					if want := name != "loop that goes on"; confirmed != 500 || int(handled.Load())+dropped < confirmed || want != (dropped > 0) {
						t.Errorf("got %d confirmed, %d handled and %d in the log, want all 500 among these", confirmed, handled.Load(), dropped)
					}
				})
			})
		}
	}
}

// TestCloseSaysWhatWaitsOfItself: what a node has sent to itself, and seen confirmed, is handled or in the log.
func TestCloseSaysWhatWaitsOfItself(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		handled, log := 0, new(logLines)
		a := gamelantest.NewNetwork(t).Start(gamelan.Config{}, gamelan.WithLogger(slog.New(slog.NewTextHandler(log, nil))),
			gamelan.WithMessages(func(context.Context, gamelan.Message) error {
				time.Sleep(100 * time.Millisecond)
				handled++
				return nil
			}))
		outcomes := submitAll(t, a, a, 100, 1000, gamelan.Resend())
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a.Close(ctx)
		confirmed := outcomes()[protocol.Confirmed]
		if dropped, bytes := droppedOf(log); confirmed != 100 || handled+dropped != confirmed || bytes != 1000*dropped {
			t.Errorf("got %d confirmed, %d handled, and %d with %d bytes in the log, want all among these", confirmed, handled, dropped, bytes)
		}
	})
}

// TestPanicsKeepTheInbox has the function of a node with an inbox panic under each policy: what
// was handled does not come again, and nothing else is lost, also over a restart of the node.
func TestPanicsKeepTheInbox(t *testing.T) {
	for _, policy := range []gamelan.PanicPolicy{gamelan.PanicRestart, gamelan.PanicContain, gamelan.PanicStop} {
		t.Run(policy.String(), func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				cfg := gamelan.Config{DataDir: t.TempDir()}
				handled, bugs := new(bodySet), 0
				a := net.Start(gamelan.Config{})
				b := net.Start(cfg, gamelan.WithLogger(discard), gamelan.WithInbox(gamelan.InboxConfig{}), gamelan.WithMessages(func(_ context.Context, m gamelan.Message) error {
					if binary.BigEndian.Uint64(m.Body) == 50 && bugs < 3 {
						bugs++
						panic("a bug")
					}
					handled.add(m.Body)
					return nil
				}, gamelan.OnPanic(policy)))
				net.Connect(a, b)
				sent := new(bodySet)
				for i := range 100 {
					body := binary.BigEndian.AppendUint64(nil, uint64(i))
					out, err := a.Send(t.Context(), b.ID(), body)
					wantOutcome(t, "send", out, err, protocol.Confirmed, protocol.ReasonNone)
					sent.add(body)
				}
				time.Sleep(time.Minute)
				if err := b.Close(t.Context()); err != nil {
					t.Error(err)
				}
				kept := keptBodies(t, net, cfg, gamelan.InboxConfig{})
				again := len(handled.of) + len(kept.of) - len(sent.of)
				missing, _ := sent.minus(handled)
				if again != 0 || bugs == 0 || missing != len(kept.of) || (len(kept.of) > 0) != (policy == gamelan.PanicStop) {
					t.Errorf("got %d handled and %d kept after %d panics, want each of %d one of both, and some kept only if the function has stopped",
						len(handled.of), len(kept.of), bugs, len(sent.of))
				}
			})
		})
	}
}
