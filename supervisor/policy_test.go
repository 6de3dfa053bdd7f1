package supervisor

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func TestBudgetRefusesWhenSpent(t *testing.T) {
	p := Policy{Max: 2, Within: time.Minute}.withDefaults()
	var b budget
	at := time.Unix(1000, 0)
	for i := range 2 {
		if _, ok := b.charge(p, at, 0); !ok {
			t.Fatalf("charge %d: got refused", i+1)
		}
	}
	if _, ok := b.charge(p, at.Add(time.Minute-1), 0); ok {
		t.Error("third charge within the window: got allowed, want refused")
	}
	if got := b.inWindow(p, at.Add(time.Minute-1)); got != 2 {
		t.Errorf("a refusal is not charged: got %d in the window, want 2", got)
	}
	if wait, ok := b.charge(p, at.Add(time.Minute), 0.9); !ok || wait != 0 {
		t.Errorf("after the window: got %v, %v, want at once", wait, ok)
	}
	if _, ok := new(budget).charge(Policy{Max: -1}.withDefaults(), at, 0); ok {
		t.Error("a negative Max: got allowed, want refused")
	}
}

func TestBudgetWaits(t *testing.T) {
	p := Policy{Max: 20, Within: time.Hour}.withDefaults()
	at := time.Unix(1000, 0)
	nominal := []time.Duration{0, 250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000}
	for _, random := range []float64{0, 0.5, 0.999999} {
		var b budget
		for i, n := range nominal {
			n *= time.Millisecond
			wait, ok := b.charge(p, at, random)
			want := n/2 + time.Duration(random*float64(n/2))
			if !ok || wait != want {
				t.Errorf("restart %d, chance %v: got %v, want %v", i+1, random, wait, want)
			}
		}
	}
}

func TestBudgetForgets(t *testing.T) {
	p := Policy{}.withDefaults()
	var b budget
	at := time.Unix(1000, 0)
	for range 10_000 {
		at = at.Add(p.Within)
		if _, ok := b.charge(p, at, 0); !ok {
			t.Fatal("one failure a window: got refused")
		}
	}
	if cap(b.at) > 16 {
		t.Errorf("a slow failer keeps %d times, want few", cap(b.at))
	}
}

// failing is a child that panics on boom.
func failing(name string, log *journal) Spec {
	return Spec{Name: name, New: act(func(c actor.Context) {
		switch c.Message().(type) {
		case *actor.Started:
			log.add("%s started", name)
		case boom:
			panic(errBoom)
		}
	})}
}

// parent records what it hears of its children and respawns at RetryDue.
func parent(kid Spec, log *journal) func() actor.Actor {
	return act(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *actor.Started:
			log.add("parent started")
			Spawn(c, kid)
		case *actor.Terminated:
			log.add("terminated %s", nameOf(m.Who.Id))
		case ChildFailed:
			log.add("failed %s %v", m.Name, errors.Is(m.Err, errBoom))
		case RetryDue:
			log.add("retry %s", m.Name)
			Spawn(c, kid)
		}
	})
}

func TestIsolateStopsTellsAndRetries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		sys, r := startTree(t, Spec{Children: Policy{Action: Isolate, Max: 1, Retry: 30 * time.Second}, New: parent(failing("x", &j), &j)}, Options{})
		synctest.Wait()
		x := child(sys, r, "x")
		sys.Root.Send(x, boom{})
		synctest.Wait()
		j.want(t, "parent started", "x started", "x started")
		sys.Root.Send(x, boom{})
		synctest.Wait()
		got := j.take()
		if len(got) != 2 { // in either order
			t.Fatalf("got %q, want failed and terminated", got)
		}
		i := info(t, r, x.Id)
		if i.State != StateFailed || time.Until(i.NextRestart) != 30*time.Second || !errors.Is(i.LastFailure, errBoom) {
			t.Errorf("got %s, retry in %v, %v; want it shown as failed", i.State, time.Until(i.NextRestart), i.LastFailure)
		}
		pass(29 * time.Second)
		j.want(t)
		pass(time.Second)
		j.want(t, "retry x", "x started")
		if i := info(t, r, x.Id); i.State != StateRunning || i.RestartsWindow != 0 {
			t.Errorf("got %s, window %d, want a fresh budget", i.State, i.RestartsWindow)
		}
	})
}

// RetryDue never comes before the failed child has ended.
func TestIsolateRetryWaitsForTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		first := true
		kid := Spec{Name: "x", New: act(func(c actor.Context) {
			switch c.Message().(type) {
			case boom:
				panic(errBoom)
			case *actor.Stopping:
				if first {
					first = false
					time.Sleep(time.Minute)
				}
			}
		})}
		sys, r := startTree(t, Spec{Children: Policy{Action: Isolate, Max: -1, Retry: time.Second}, New: parent(kid, &j)}, Options{})
		synctest.Wait()
		sys.Root.Send(child(sys, r, "x"), boom{})
		pass(30 * time.Second)
		j.want(t, "parent started", "failed x true")
		pass(31 * time.Second)
		j.want(t, "terminated x", "retry x")
	})
}

func TestTemporaryStops(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		sys, r := startTree(t, Spec{Children: Policy{Action: Temporary}, New: parent(failing("x", &j), &j)}, Options{})
		synctest.Wait()
		sys.Root.Send(child(sys, r, "x"), boom{})
		synctest.Wait()
		j.want(t, "parent started", "x started", "terminated x")
		pass(time.Hour)
		j.want(t)
	})
}

func TestRestartEscalatesWhenSpent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "p", Children: Policy{Max: 1}, New: parent(failing("x", &j), &j)})}, Options{})
		x := child(sys, r, "p/x")
		synctest.Wait()
		for range 2 {
			sys.Root.Send(x, boom{})
			synctest.Wait()
		}
		j.want(t, "parent started", "x started", "x started", "parent started", "x started")
		if i := info(t, r, "t/tree/p"); i.Restarts != 1 || i.Policy != "restart" || i.Children.Max != 1 {
			t.Errorf("got %d restarts, policy %s, children %+v", i.Restarts, i.Policy, i.Children)
		}
	})
}

// While one child waits for its restart the others go on; two that spend the
// budget at once restart their parent once.
func TestTwoEscalationsAreOneFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		kid := func(name string) Spec {
			return Spec{Name: name, New: act(func(c actor.Context) {
				if _, ok := c.Message().(boom); ok {
					panic(errBoom)
				}
			})}
		}
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "p", Children: Policy{Max: -1}, New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				j.add("started")
				Spawn(c, kid("a"))
				Spawn(c, kid("b"))
			case time.Duration:
				time.Sleep(m)
			}
		})})}, Options{})
		synctest.Wait()
		sys.Root.Send(child(sys, r, "p"), time.Second)
		synctest.Wait()
		sys.Root.Send(child(sys, r, "p/a"), boom{})
		sys.Root.Send(child(sys, r, "p/b"), boom{})
		pass(2 * time.Second)
		j.want(t, "started", "started")
		if got := info(t, r, "t/tree/p"); got.Restarts != 1 || got.RestartsWindow != 1 {
			t.Errorf("parent: got %d restarts, %d charged, want 1 and 1", got.Restarts, got.RestartsWindow)
		}
	})
}
