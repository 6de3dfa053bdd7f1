package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func TestTrap06SelfSendsNeverBlock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 100_000
		got := 0
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch c.Message().(type) {
			case string:
				for i := range n {
					c.Send(c.Self(), i)
				}
			case int:
				got++
			}
		})}, Options{})
		sys.Root.Send(r.PID(), "go")
		synctest.Wait()
		if got != n {
			t.Errorf("got %d of its own messages, want %d", got, n)
		}
		i := info(t, r, "t/tree")
		if i.HighWater < n-batchSize || i.Depth != 0 {
			t.Errorf("high water %d, depth %d, want about %d and 0", i.HighWater, i.Depth, n)
		}
		c := r.host.lookup("t/tree")
		if c.user != (fifo{}) {
			t.Errorf("got %+v after the burst, want no memory kept", c.user)
		}
	})
}

func TestTrap07NothingIsDroppedAndOrderHolds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		var got []int
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case string:
				<-release
			case int:
				got = append(got, m)
			}
		})}, Options{})
		sys.Root.Send(r.PID(), "wait")
		const n = 5000
		for i := range n {
			sys.Root.Send(r.PID(), i)
		}
		synctest.Wait()
		if i := info(t, r, "t/tree"); i.Depth != n {
			t.Errorf("depth: got %d, want %d", i.Depth, n)
		}
		close(release)
		synctest.Wait()
		if len(got) != n {
			t.Fatalf("got %d messages, want %d", len(got), n)
		}
		for i, m := range got {
			if m != i {
				t.Fatalf("message %d: got %d", i, m)
			}
		}
	})
}

func TestTrap08FiguresAreOfOneActor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		spec := func(name string) Spec {
			return Spec{Name: name, Kind: "twin", New: act(func(c actor.Context) {
				if _, ok := c.Message().(boom); ok {
					panic(errBoom)
				}
			})}
		}
		sys, r := startTree(t, Spec{New: Group(spec("a"), spec("b"))}, Options{})
		synctest.Wait()
		for range 3 {
			sys.Root.Send(child(sys, r, "a"), 1)
		}
		sys.Root.Send(child(sys, r, "a"), boom{})
		synctest.Wait()
		if a := info(t, r, "t/tree/a"); a.Handled != 4 || a.Kind != "twin" {
			t.Errorf("a handled %d, want 4 with the one that panicked", a.Handled)
		}
		if b := info(t, r, "t/tree/b"); b.Handled != 0 {
			t.Errorf("b handled %d, want 0", b.Handled)
		}
	})
}

func TestTrap09LeftoversAreDiscardedInsideStopped(t *testing.T) {
	for range 50 {
		bubble(t, func(t *testing.T) {
			const n = 40 // more than a batch
			var discarded atomic.Int32
			atEnd := int32(-1)
			hold := make(chan struct{})
			sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
				switch c.Message().(type) {
				case *actor.Started:
					Spawn(c, Spec{Name: "x", New: act(func(c actor.Context) {
						if _, ok := c.Message().(string); ok {
							<-hold
						}
					})})
				case string:
					c.Stop(below(c, "x"))
				case *actor.Terminated:
					atEnd = discarded.Load()
				}
			})}, Options{})
			synctest.Wait()
			x := child(sys, r, "x")
			sys.Root.Send(x, "hold")
			for i := range n {
				sys.Root.Send(x, parcel{i, &discarded})
			}
			answer := make(chan error, 1)
			go func() {
				_, err := Ask[int](context.Background(), sys, x, "anybody?")
				answer <- err
			}()
			synctest.Wait()
			sys.Root.Send(r.PID(), "stop x")
			synctest.Wait()
			close(hold)
			if err := <-answer; !errors.Is(err, ErrNoActor) {
				t.Errorf("request among the leftovers: got %v, want ErrNoActor", err)
			}
			synctest.Wait()
			if atEnd != n {
				t.Errorf("when the parent heard of the end %d were discarded, want %d", atEnd, n)
			}
		})
	}
}

func TestTrap10OrderlyEndsAreAnnounced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				for _, name := range []string{"rude", "polite"} {
					Spawn(c, Spec{Name: name, Drains: true, New: act(func(c actor.Context) {
						switch c.Message().(type) {
						case string: // rude: last words and gone
							c.Send(c.Parent(), "last words")
							c.Stop(c.Self())
						case Drain:
							c.Send(c.Parent(), "last words")
							c.Respond(Drained{From: c.Self()})
						}
					})})
				}
			case time.Duration:
				c.Send(below(c, "rude"), "bye")
				time.Sleep(m) // the child is faster
			case bool:
				c.Request(below(c, "polite"), Drain{})
			case string:
				j.add("%s", m)
			case Drained:
				j.add("drained %s", nameOf(m.From.Id))
				c.Stop(m.From)
			case *actor.Terminated:
				j.add("end of %s", nameOf(m.Who.Id))
			}
		})}, Options{})
		synctest.Wait()
		sys.Root.Send(r.PID(), time.Second)
		pass(2 * time.Second)
		j.want(t, "end of rude", "last words") // what the rule is for
		sys.Root.Send(r.PID(), true)
		synctest.Wait()
		j.want(t, "last words", "drained polite", "end of polite")
	})
}

func TestTrap11NoUserMessageAfterStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		var discarded atomic.Int32
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "x", New: act(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				Spawn(c, Spec{Name: "slow", New: act(func(c actor.Context) {
					if _, ok := c.Message().(*actor.Stopping); ok {
						time.Sleep(time.Second)
					}
				})})
			case *actor.Stopping:
				j.add("stopping")
			case parcel:
				j.add("parcel")
			case *actor.Stopped:
				j.add("stopped")
			}
		})})}, Options{})
		synctest.Wait()
		x := child(sys, r, "x")
		sys.Root.Stop(x)
		synctest.Wait() // x has heard Stopping and waits for its child
		pid := actor.NewPID(x.Address, x.Id)
		r.host.lookup(x.Id).PostUserMessage(parcel{1, &discarded})
		sys.Root.Send(pid, parcel{2, &discarded})
		pass(2 * time.Second)
		j.want(t, "stopping", "stopped")
		if got := discarded.Load(); got != 2 {
			t.Errorf("discarded: got %d, want 2", got)
		}
	})
}

func TestTrap12MessageInHandIsDiscardedTheRestStays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var discarded atomic.Int32
		var got []int
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "x", New: act(func(c actor.Context) {
			if m, ok := c.Message().(parcel); ok {
				if m.id == 3 {
					panic(errBoom)
				}
				got = append(got, m.id)
			}
		})})}, Options{})
		synctest.Wait()
		x := child(sys, r, "x")
		for i := range 50 {
			sys.Root.Send(x, parcel{i, &discarded})
		}
		synctest.Wait()
		if len(got) != 49 || discarded.Load() != 1 {
			t.Errorf("got %d messages and %d discarded, want 49 and 1", len(got), discarded.Load())
		}
		for i := 1; i < len(got); i++ {
			if got[i] <= got[i-1] {
				t.Fatalf("order after the restart: %v", got)
			}
		}
	})
}

func TestTrap13NothingOfAnOlderIncarnationArrives(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var discarded atomic.Int32
		var j journal
		life := 0
		x := Spec{Name: "x", New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				life++
				mine := life
				if life > 2 {
					return
				}
				After(c, time.Minute, fmt.Sprintf("timer of %d", mine))
				Go(c, "stubborn", nil, func(ctx context.Context) error {
					time.Sleep(time.Minute) // ignores ctx
					Tell(ctx, parcel{mine, &discarded})
					return nil
				})
				Do(c, mine, func(context.Context) (parcel, error) {
					time.Sleep(time.Minute)
					return parcel{mine, &discarded}, nil
				})
			case boom:
				panic(errBoom)
			case *actor.Stopping, *actor.Stopped, *actor.Restarting:
			default:
				j.add("life %d got %T", life, m)
			}
		})}
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started, *actor.Terminated:
				Spawn(c, x)
			case string:
				c.Stop(below(c, "x"))
			}
		})}, Options{})
		synctest.Wait()
		sys.Root.Send(r.PID(), "stop") // second life under the same name
		synctest.Wait()
		sys.Root.Send(child(sys, r, "x"), boom{}) // third life by restart
		synctest.Wait()
		if life != 3 {
			t.Fatalf("got %d lives, want 3", life)
		}
		pass(2 * time.Minute)
		j.want(t)
		if got := discarded.Load(); got != 4 {
			t.Errorf("discarded: got %d, want 4", got)
		}
	})
}

type pack []any

func (p pack) GetMessages() []any { return p }

func TestTrap14BatchIsOneMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case pack:
				j.add("pack of %d", len(m))
			case int:
				j.add("int")
			}
		})}, Options{})
		sys.Root.Send(r.PID(), pack{1, 2})
		sys.Root.RequestWithCustomSender(r.PID(), pack{3}, nil)
		synctest.Wait()
		j.want(t, "pack of 2", "pack of 1")
	})
	var _ actor.MessageBatch = pack{}
}

func TestTrap15PoisonIsNotUsed(t *testing.T) {
	unused(t, "Poison", "PoisonFuture", "PoisonPill")
}

func TestTrap16DrainedSaysWho(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "x", New: act(func(actor.Context) {})})}, Options{})
		synctest.Wait()
		for _, pid := range []*actor.PID{r.PID(), child(sys, r, "x")} {
			got, err := Ask[Drained](t.Context(), sys, pid, Drain{Deadline: time.Now()})
			if err != nil || got.From == nil || got.From.Id != pid.Id {
				t.Errorf("got %v from %v, want %s", err, got.From, pid.Id)
			}
		}
	})
}

func TestTrap17TellAllocatesNothing(t *testing.T) {
	unused(t, "WithReceiverMiddleware", "WithContextDecorator", "WithSenderMiddleware", "WithSpawnMiddleware")
	a := &countTo{done: make(chan struct{}, 1), want: 1}
	sys, r := startTree(t, Spec{New: func() actor.Actor { return a }}, Options{})
	msg := &payload{}
	tell := func() {
		sys.Root.Send(r.PID(), msg)
		<-a.done
	}
	for range 100 {
		tell()
	}
	// Waking an idle actor costs what starting a goroutine costs.
	if got := testing.AllocsPerRun(1000, tell); got > 1 {
		t.Errorf("a tell allocates %.2f objects, want at most 1", got)
	}
}

func TestTrap18LateRepliesAreDiscarded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var discarded atomic.Int32
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case time.Duration:
				time.Sleep(m)
				c.Respond(parcel{1, &discarded})
				c.Respond(parcel{2, &discarded})
			case string:
				c.Respond(m)
			}
		})}, Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := Ask[parcel](ctx, sys, r.PID(), time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a timeout", err)
		}
		// The next Ask, by the same process, hears its own reply only.
		if got, err := Ask[string](t.Context(), sys, r.PID(), "mine"); got != "mine" {
			t.Errorf("got %q, %v, want mine", got, err)
		}
		if got := discarded.Load(); got != 2 {
			t.Errorf("discarded: got %d, want 2", got)
		}
		if got, err := Ask[parcel](t.Context(), sys, r.PID(), time.Second); got.id != 1 {
			t.Errorf("got %v, %v, want the first of two replies", got, err)
		}
		synctest.Wait()
		if got := discarded.Load(); got != 3 {
			t.Errorf("discarded: got %d, want 3 with the second reply", got)
		}
		// A reply that comes while nobody asks is not kept for the next Ask.
		late, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, err := Ask[parcel](late, sys, r.PID(), time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a timeout", err)
		}
		pass(2 * time.Minute)
		if got := discarded.Load(); got != 5 {
			t.Errorf("discarded: got %d, want 5 with both replies that nobody waited for", got)
		}
		if got, err := Ask[string](t.Context(), sys, r.PID(), "mine again"); got != "mine again" {
			t.Errorf("got %q, %v, want mine again", got, err)
		}
	})
}

// The end of one subscriber takes no other's events away, and what the last one
// leaves is not kept.
func TestSubscribersEndOneByOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var heard journal
		listener := func(name string) Spec {
			return Spec{Name: name, New: act(func(c actor.Context) {
				switch m := c.Message().(type) {
				case *actor.Started:
					Subscribe[int](c)
				case int:
					heard.add("%s %d", name, m)
				}
			})}
		}
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				for _, name := range []string{"a", "b", "c"} {
					Spawn(c, listener(name))
				}
			case int:
				Publish(c, m)
			case string:
				c.Stop(c.ActorSystem().NewLocalPID(c.Self().Id + "/" + m))
			}
		})}, Options{})
		synctest.Wait()
		for i, ends := range []string{"b", "a", "c"} {
			sys.Root.Send(r.PID(), i)
			synctest.Wait()
			sys.Root.Send(r.PID(), ends)
			synctest.Wait()
		}
		sys.Root.Send(r.PID(), 3)
		synctest.Wait()
		got := heard.take()
		slices.Sort(got) // between receivers there is no order
		if want := []string{"a 0", "a 1", "b 0", "c 0", "c 1", "c 2"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if n := len(r.host.topics); n != 0 {
			t.Errorf("got %d kinds of events with subscribers, want none", n)
		}
	})
}

func TestTrap19OnePublishersOrderHolds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 500
		var heard [2][]int
		listener := func(at int) Spec {
			name := string(rune('a' + at))
			return Spec{Name: name, New: act(func(c actor.Context) {
				switch m := c.Message().(type) {
				case *actor.Started:
					Subscribe[int](c)
					Subscribe[int](c) // twice is once
				case int:
					heard[at] = append(heard[at], m)
				}
			})}
		}
		sys, r := startTree(t, Spec{New: Group(listener(0), Spec{Name: "p", New: act(func(c actor.Context) {
			if _, ok := c.Message().(string); ok {
				for i := range n {
					Publish(c, i)
				}
			}
		})}, listener(1))}, Options{})
		synctest.Wait()
		sys.Root.Send(child(sys, r, "p"), "go")
		synctest.Wait()
		for at, got := range heard {
			if len(got) != n {
				t.Fatalf("%d heard %d events, want %d", at, len(got), n)
			}
			for i := range got {
				if got[i] != i {
					t.Fatalf("%d: event %d is %d", at, i, got[i])
				}
			}
		}
	})
}
