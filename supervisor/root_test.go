package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// staged is an actor that drains for d and logs its end.
func staged(name string, d time.Duration, j *journal) Spec {
	return Spec{Name: name, Drains: d > 0, New: func() actor.Actor {
		var asker *actor.PID
		return fn(func(c actor.Context) {
			switch c.Message().(type) {
			case Drain:
				j.add("%s drains", name)
				asker = c.Sender()
				After(c, d, "drained")
			case string:
				j.add("%s drained", name)
				c.Send(asker, Drained{From: c.Self()})
			case *actor.Stopped:
				j.add("%s stopped", name)
			}
		})
	}}
}

func TestStopRunsThePhasesInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		_, r := startTree(t, Spec{New: Group(
			staged("peers", time.Second, &j),
			Spec{Name: "protocols", New: Group(staged("chat", 2*time.Second, &j), staged("plain", 0, &j))},
			staged("door", time.Second, &j),
			staged("rest", 0, &j),
		)}, Options{Phases: []Phase{
			{Drain: []string{"door", "absent"}, Stop: []string{"door"}},
			{Drain: []string{"protocols"}, Stop: []string{"protocols"}},
			{Drain: []string{"peers"}, Stop: []string{"peers"}},
		}})
		synctest.Wait()
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.Stop(ctx, errBoom); err != errBoom {
			t.Errorf("got %v, want the cause", err)
		}
		if took := time.Since(begin); took != 4*time.Second {
			t.Errorf("took %v, want 4s", took)
		}
		got := j.take()
		want := []string{"door drains", "door drained", "door stopped", "chat drains", "chat drained"}
		if !slices.Equal(got[:5], want) {
			t.Errorf("got  %q\nwant %q first", got, want)
		}
		if i := slices.Index(got, "peers drains"); i < slices.Index(got, "chat stopped") || i < slices.Index(got, "plain stopped") {
			t.Errorf("peers drained before the protocols had stopped: %q", got)
		}
		if got[len(got)-1] != "rest stopped" {
			t.Errorf("what no phase names stops last: %q", got)
		}
	})
}

// A drain that does not end costs three quarters of the time left, a failed
// actor is not asked, and the later phases run nevertheless.
func TestSlowDrainDoesNotEatTheTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		sys, r := startTree(t, Spec{Children: Policy{Initial: time.Hour, Ceiling: time.Hour}, New: Group(
			staged("slow", time.Hour, &j), staged("next", time.Millisecond, &j),
			Spec{Name: "failed", Drains: true, New: act(func(c actor.Context) {
				switch c.Message().(type) {
				case boom:
					panic(errBoom)
				case Drain:
					t.Error("a failed actor was asked to drain")
				}
			})},
		)}, Options{Phases: []Phase{
			{Drain: []string{"failed"}},
			{Drain: []string{"slow"}, Stop: []string{"slow"}},
			{Drain: []string{"next"}, Stop: []string{"next"}},
		}})
		synctest.Wait()
		for range 2 {
			sys.Root.Send(child(sys, r, "failed"), boom{})
			synctest.Wait()
		}
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		if err := r.Stop(ctx, nil); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != 6*time.Second+time.Millisecond {
			t.Errorf("took %v, want 6.001s", took)
		}
		j.want(t, "slow drains", "slow stopped", "next drains", "next drained", "next stopped")
	})
}

func TestStopNamesTasks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hold := make(chan struct{})
		_, r := startTree(t, Spec{New: Group(Spec{Name: "x", New: act(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				Go(c, "reader", nil, func(context.Context) error { <-hold; return nil })
			}
		})})}, Options{})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var stuck *StuckError
		if err := r.Stop(ctx, nil); !errors.As(err, &stuck) || !slices.Equal(stuck.Paths, []string{"t/tree/x (task reader)"}) {
			t.Errorf("got %v, want the reader", err)
		}
		close(hold)
		synctest.Wait()
	})
}

// Stop without a deadline waits, also for tasks that end late.
func TestStopWaitsForTasks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, r := startTree(t, Spec{New: act(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				Go(c, "slow", nil, func(ctx context.Context) error { <-ctx.Done(); time.Sleep(time.Hour); return nil })
			}
		})}, Options{})
		synctest.Wait()
		begin := time.Now()
		if err := r.Stop(context.Background(), nil); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != time.Hour {
			t.Errorf("took %v, want 1h", took)
		}
	})
}

// A stop by failure has a deadline of its own.
func TestFailureStopGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hold := make(chan struct{})
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				Spawn(c, Spec{Name: "stuck", New: act(func(c actor.Context) {
					if _, ok := c.Message().(string); ok {
						<-hold
					}
				})})
			case boom:
				panic(errBoom)
			}
		})}, Options{StopTimeout: 3 * time.Second})
		synctest.Wait()
		sys.Root.Send(child(sys, r, "stuck"), "hold")
		synctest.Wait()
		sys.Root.Send(r.PID(), boom{})
		begin := time.Now()
		<-r.Done()
		var stuck *StuckError
		if err := r.Err(); time.Since(begin) != 3*time.Second || !errors.Is(err, errBoom) || !errors.As(err, &stuck) {
			t.Errorf("after %v: got %v, want boom and the stuck one after 3s", time.Since(begin), r.Err())
		}
		close(hold)
		synctest.Wait()
	})
}

func TestTreeThatStopsItselfEndsTheRoot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, r := startTree(t, Spec{New: act(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				c.Stop(c.Self())
			}
		})}, Options{})
		<-r.Done()
		if r.Err() != nil {
			t.Errorf("got %v, want nil", r.Err())
		}
	})
}

func TestStartRefusesBadNames(t *testing.T) {
	sys := newSystem()
	good := Spec{Name: "tree", New: act(func(actor.Context) {})}
	for _, name := range []string{"", "A", "a/b", "future1", "guardian", "ask", "$x", ".."} {
		if _, err := Start(sys, name, good, Options{Logger: quiet}); err == nil {
			t.Errorf("the name %q: got accepted", name)
		}
	}
	if _, err := Start(sys, "t", Spec{Name: "x"}, Options{}); err == nil {
		t.Error("a tree without New: got accepted")
	}
	r, err := Start(sys, "t", good, Options{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Start(sys, "t", good, Options{Logger: quiet}); err == nil {
		t.Error("a name in use: got accepted")
	}
	r.Stop(t.Context(), nil)
}

func TestSnapshotShowsTheTree(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys, r := startTree(t, Spec{Kind: "node", New: Group(
			Spec{Name: "b", Kind: "leaf", Alarm: 10, New: act(func(c actor.Context) {
				if d, ok := c.Message().(time.Duration); ok {
					time.Sleep(d)
				}
			})},
			Spec{Name: "a", Children: Policy{Action: Isolate}, New: Group()})}, Options{})
		synctest.Wait()
		var paths []string
		for _, i := range r.Snapshot() {
			paths = append(paths, i.Path)
		}
		if want := []string{"t", "t/tree", "t/tree/a", "t/tree/b"}; !slices.Equal(paths, want) {
			t.Errorf("got %v, want %v", paths, want)
		}
		a := info(t, r, "t/tree/a")
		if a.Parent != "t/tree" || a.Name != "a" || a.Kind != "a" || a.Type != "*supervisor.group" || a.Children.Action != Isolate || a.Policy != "restart" || a.StartedAt.IsZero() {
			t.Errorf("got %+v", a)
		}
		b := child(sys, r, "b")
		sys.Root.Send(b, 5*time.Second)
		synctest.Wait()
		for range 12 {
			sys.Root.Send(b, "wait")
		}
		pass(2 * time.Second)
		i := info(t, r, b.Id)
		if i.State != StateBusy || i.Message != "time.Duration" || time.Since(i.Since) != 2*time.Second {
			t.Errorf("got %s with %s since %v, want busy for 2s", i.State, i.Message, time.Since(i.Since))
		}
		if i.Depth != 12 || !i.Alarmed || i.Alarm != 10 || i.HighWater != 12 || i.OldestAge != 2*time.Second {
			t.Errorf("got depth %d, alarmed %v at %d, high water %d, oldest %v; want 12, true, 10, 12, 2s", i.Depth, i.Alarmed, i.Alarm, i.HighWater, i.OldestAge)
		}
		pass(4 * time.Second)
		i = info(t, r, b.Id)
		if i.State != StateRunning || i.Message != "" || i.Depth != 0 || i.Handled != 13 || i.BusyTime != 5*time.Second || i.Alarmed {
			t.Errorf("got %+v, want idle after 5s of work", i)
		}
	})
}

func TestWatchdogNamesTheStuck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		log := &logSink{}
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			if d, ok := c.Message().(time.Duration); ok {
				dawdle(d)
			}
		})}, Options{Logger: log.logger()})
		synctest.Wait()
		sys.Root.Send(r.PID(), time.Minute)
		pass(9 * time.Second)
		if got := info(t, r, "t/tree").State; got != StateBusy {
			t.Errorf("after 9s: got %s, want busy", got)
		}
		pass(30 * time.Second)
		if got := info(t, r, "t/tree").State; got != StateStuck {
			t.Errorf("after 39s: got %s, want stuck", got)
		}
		if got := log.count("actor stuck"); got != 1 {
			t.Errorf("warned %d times, want once", got)
		}
		if got := waitsIn(r.Stacks("t/tree"), ""); !strings.Contains(got, "dawdle ") {
			t.Errorf("got a stuck actor in %q, want dawdle", got)
		}
		if got := string(r.Stacks("t/tree")); !strings.Contains(got, "dawdle") {
			t.Errorf("stacks: got %q, want the goroutine in dawdle", got)
		}
		if got := r.Stacks("t/tre"); len(got) != 0 {
			t.Errorf("stacks of nobody: got %q", got)
		}
		pass(time.Minute)
		if got := info(t, r, "t/tree").State; got != StateRunning {
			t.Errorf("when it is done: got %s, want running", got)
		}
		if r.host.watching.Load() {
			t.Error("the watchdog's timer runs in an idle tree")
		}
	})
}

//go:noinline
func dawdle(d time.Duration) { time.Sleep(d) }

func TestInspectAsksInTheActorsTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys, r := startTree(t, Spec{New: Group(
			Spec{Name: "x", New: func() actor.Actor { return &talker{} }},
			Spec{Name: "mute", New: act(func(actor.Context) {})})}, Options{})
		synctest.Wait()
		sys.Root.Send(child(sys, r, "x"), 3)
		d, err := r.Inspect(t.Context(), "t/tree/x")
		if err != nil || d.Line != "n=3" || fmt.Sprint(d.Value) != "map[n:3]" {
			t.Errorf("got %+v, %v", d, err)
		}
		if d, err := r.Inspect(t.Context(), "t/tree/mute"); err != nil || d != (Detail{}) {
			t.Errorf("mute: got %+v, %v, want nothing", d, err)
		}
		if _, err := r.Inspect(t.Context(), "t/tree/none"); !errors.Is(err, ErrNoActor) {
			t.Errorf("none: got %v, want ErrNoActor", err)
		}
		sys.Root.Send(child(sys, r, "x"), -1)
		var p *PanicError
		if _, err := r.Inspect(t.Context(), "t/tree/x"); !errors.As(err, &p) {
			t.Errorf("faulty Inspect: got %v, want a PanicError", err)
		}
		sys.Root.Send(child(sys, r, "x"), time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := r.Inspect(ctx, "t/tree/x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("busy: got %v, want a timeout", err)
		}
		pass(2 * time.Minute)
	})
}

type talker struct{ n int }

func (a *talker) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case int:
		a.n = m
	case time.Duration:
		time.Sleep(m)
	}
}

func (a *talker) String() string { return fmt.Sprintf("n=%d", a.n) }

func (a *talker) Inspect() any {
	if a.n < 0 {
		panic(errBoom)
	}
	return map[string]int{"n": a.n}
}

// Start returns when the static tree is up, however deep.
func TestStartWaitsForTheTree(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var up atomic.Int32
		slow := func(name string, d time.Duration) Spec {
			return Spec{Name: name, New: act(func(c actor.Context) {
				if _, ok := c.Message().(*actor.Started); ok {
					time.Sleep(d)
					up.Add(1)
				}
			})}
		}
		begin := time.Now()
		startTree(t, Spec{New: Group(slow("a", time.Second), Spec{Name: "g", New: Group(slow("b", 2*time.Second), slow("c", 0))},
			Spec{Name: "bad", New: act(func(c actor.Context) { panic(errBoom) })})}, Options{})
		if took := time.Since(begin); took != 2*time.Second || up.Load() != 3 {
			t.Errorf("Start took %v with %d actors up, want 2s and 3", took, up.Load())
		}
	})
}
