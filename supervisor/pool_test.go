package supervisor

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func TestPoolUsesGoroutinesAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPool(func() {})
		p.keep = 2
		ids := make(map[string]int)
		for range 5 {
			p.Schedule(func() { ids[goroutineID()]++ })
			synctest.Wait()
		}
		if len(ids) != 1 {
			t.Errorf("five activations in a row: got goroutines %v, want one", ids)
		}
		release := make(chan struct{})
		for range 5 {
			p.Schedule(func() { <-release })
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		if got := waiting(p); got != 2 {
			t.Errorf("after five activations at once: got %d idle goroutines, want %d", got, p.keep)
		}
		p.Schedule(runtime.Goexit)
		synctest.Wait()
		if got := waiting(p); got != 1 {
			t.Errorf("after Goexit: got %d idle goroutines, want 1", got)
		}
		p.stop()
		ran := false
		p.Schedule(func() { ran = true })
		synctest.Wait()
		if !ran || waiting(p) != 0 {
			t.Errorf("after stop: got run %t, %d idle goroutines, want it run and none idle", ran, waiting(p))
		}
	})
}

// TestIdleGoroutinesEnd has a tree that is never stopped: its idle goroutines end by
// themselves, or the bubble would not.
func TestIdleGoroutinesEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys, r := startTree(t, Spec{New: Group(
			Spec{Name: "a", New: act(func(actor.Context) {})},
			Spec{Name: "b", New: act(func(actor.Context) {})},
		)}, Options{})
		synctest.Wait()
		sys.Root.Send(child(sys, r, "a"), 1)
		sys.Root.Send(child(sys, r, "b"), 1)
		synctest.Wait()
		if waiting(r.host.pool) == 0 {
			t.Error("got no idle goroutine after two activations, want some")
		}
		stacks := allStacks()
		if got := stacksOf(stacks, r.PID().Id+"/a"); len(got) > 0 {
			t.Errorf("an idle goroutine has the label of the actor that it served:\n%s", got)
		}
		time.Sleep(3 * StuckAfter)
		synctest.Wait()
		if got := waiting(r.host.pool); got != 0 {
			t.Errorf("after %s without work: got %d idle goroutines, want none", 3*StuckAfter, got)
		}
	})
}

// TestPoolThatIsTrimmedAfterItsEnd has the watchdog, which was at work when the tree ended,
// come too late.
func TestPoolThatIsTrimmedAfterItsEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPool(func() {})
		p.Schedule(func() {})
		synctest.Wait()
		if !p.trim() {
			t.Error("got no idle goroutine left, want one")
		}
		p.stop()
		if p.trim() {
			t.Error("after stop: got idle goroutines left, want none")
		}
	})
}

// TestTaskThatOutlivesItsActor has a goroutine become idle after a task whose actor has ended,
// when no activation follows.
func TestTaskThatOutlivesItsActor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "a", New: act(func(c actor.Context) {
			if c.Message() == "do" {
				Do(c, "x", func(context.Context) (int, error) { time.Sleep(3 * StuckAfter); return 1, nil })
				c.Stop(c.Self())
			}
		})})}, Options{})
		synctest.Wait()
		sys.Root.Send(child(sys, r, "a"), "do")
		time.Sleep(6 * StuckAfter)
		synctest.Wait()
		if got := waiting(r.host.pool); got != 0 {
			t.Errorf("got %d idle goroutines, want none", got)
		}
	})
}

// TestGoroutinesOfTasks: Go and Lender take an idle goroutine of the pool, and GoLong does not.
func TestGoroutinesOfTasks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var lend func(func())
		end := make(chan struct{})
		wait := func(context.Context) error { <-end; return nil }
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch c.Message() {
			case "go":
				Go(c, "t", nil, wait)
			case "long":
				GoLong(c, "t", nil, wait)
			case "lend":
				lend = Lender(c)
			}
		})}, Options{})
		tell := func(what string) (idle int) {
			sys.Root.Send(r.PID(), what)
			synctest.Wait()
			return waiting(r.host.pool)
		}
		lendTwo(r.host.pool)
		synctest.Wait()
		before := tell("nothing")
		if before < 2 {
			t.Fatalf("got %d idle goroutines, want some", before)
		}
		if got := tell("long"); got != before {
			t.Errorf("GoLong: got %d idle goroutines left of %d, want all", got, before)
		}
		if got := tell("go"); got != before-1 {
			t.Errorf("Go: got %d idle goroutines left of %d, want one fewer", got, before)
		}
		tell("lend")
		lend(func() { <-end })
		synctest.Wait()
		if got := waiting(r.host.pool); got != before-2 {
			t.Errorf("Lender: got %d idle goroutines left of %d, want two fewer", got, before)
		}
		close(end)
	})
}

// lendTwo makes two goroutines of the pool work at the same time.
func lendTwo(p *pool) {
	both := make(chan struct{})
	p.Schedule(func() { both <- struct{}{} })
	p.Schedule(func() { <-both })
}

// counting is a Runtime that wraps Real and counts tasks.
type counting struct {
	Runtime
	tasks *atomic.Int32
}

func (c counting) Task(long bool, run func() (deliver func())) {
	c.tasks.Add(1)
	c.Runtime.Task(long, run)
}

// TestWrappedRuntime: a Runtime that wraps Real runs the tasks itself.
func TestWrappedRuntime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var tasks atomic.Int32
		startTree(t, Spec{New: act(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				Do(c, "x", func(context.Context) (int, error) { return 1, nil })
			}
		})}, Options{Runtime: counting{Real(), &tasks}})
		synctest.Wait()
		if got := tasks.Load(); got != 1 {
			t.Errorf("got %d tasks, want 1", got)
		}
	})
}

func waiting(p *pool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

func goroutineID() string {
	var buf [64]byte
	return strings.Fields(string(buf[:runtime.Stack(buf[:], false)]))[1]
}
