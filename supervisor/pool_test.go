package supervisor

import (
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func TestPoolUsesGoroutinesAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &pool{keep: 2}
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
		stacks := goroutines(t)
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

func waiting(p *pool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

func goroutineID() string {
	var buf [64]byte
	return strings.Fields(string(buf[:runtime.Stack(buf[:], false)]))[1]
}

func goroutines(t *testing.T) string {
	var b strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
