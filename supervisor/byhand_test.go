package supervisor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// handTree starts parents of each policy, with a child "a" that writes down what it hears. "hang" makes it wait.
func handTree(t *testing.T, heard *journal, release <-chan struct{}, told ...*journal) (*actor.ActorSystem, *Root) {
	t.Helper()
	child := func(onPanic OnPanic) Spec {
		return Spec{Name: "a", OnPanic: onPanic, New: func() actor.Actor {
			return act(func(c actor.Context) {
				switch m := c.Message().(type) {
				case *actor.Started:
					heard.add("started")
				case string:
					if m == "hang" {
						<-release
					}
					if m == "panic" {
						panic("on purpose")
					}
					if m == "slow" {
						time.Sleep(2 * time.Millisecond)
						return
					}
					heard.add("%s", m)
				}
			})()
		}}
	}
	byHand := func(path string, stopped bool) {
		for _, j := range told {
			j.add("%s, stopped: %v", nameOf(strings.TrimSuffix(path, "/a")), stopped)
		}
	}
	return startTree(t, Spec{New: Group(
		Spec{Name: "restart", Children: Policy{Action: Restart, Max: 2, Initial: time.Minute, Ceiling: time.Minute}, New: Group(child(Supervised))},
		Spec{Name: "temporary", Children: Policy{Action: Temporary}, New: Group(child(Supervised))},
		Spec{Name: "isolate", Children: Policy{Action: Isolate}, New: Group(child(ContainOnPanic))},
		Spec{Name: "again", Children: Policy{Action: Isolate, Max: -1, Retry: time.Hour}, New: Group(child(Supervised))},
		Spec{Name: "once", Children: Policy{Action: Isolate, Max: -1}, New: act(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				Spawn(c, child(Supervised))
			}
		})},
	)}, Options{Logger: quiet, ByHand: byHand})
}

// TestRestartByHand: a new incarnation comes in its turn, messages stay, no budget is charged, and nobody hears of a failure.
func TestRestartByHand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var heard journal
		sys, r := handTree(t, &heard, nil)
		synctest.Wait()
		heard.take()
		path := r.PID().Id + "/restart/a"
		for range 20 { // more than the parent allows
			sys.Root.Send(sys.NewLocalPID(path), "before")
			synctest.Wait()
			if err := r.Restart(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			sys.Root.Send(sys.NewLocalPID(path), "after")
			synctest.Wait()
			if got := heard.take(); !slices.Equal(got, []string{"before", "started", "after"}) {
				t.Fatalf("got %q", got)
			}
		}
		for _, i := range r.Snapshot() {
			if i.Path == path && (i.LastFailure != nil || i.Restarts != 20 || i.State != StateRunning) {
				t.Errorf("got %+v", i)
			}
		}
		// One that waits for its restart after failures restarts at once.
		for range 2 {
			sys.Root.Send(sys.NewLocalPID(path), "panic")
			synctest.Wait()
		}
		heard.take()
		if err := r.Restart(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		if got := heard.take(); !slices.Equal(got, []string{"started"}) {
			t.Errorf("while it waited: got %q", got)
		}
		// A parent restarts with its children.
		if err := r.Restart(t.Context(), r.PID().Id+"/temporary"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantHeard(t, &heard, "started")
		if err := r.Stop(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if err := r.Restart(t.Context(), path); !errors.Is(err, ErrNoActor) {
			t.Errorf("after the end: got %v", err)
		}
	})
}

// TestStopByHand: an actor stops if the tree can do without it.
func TestStopByHand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var heard journal
		sys, r := handTree(t, &heard, nil)
		synctest.Wait()
		root := r.PID().Id
		for path, want := range map[string]error{root + "/temporary/a": nil, root + "/isolate/a": nil, root + "/restart/a": ErrNeeded, root + "/restart": ErrNeeded, root: ErrTop, "nobody": ErrNoActor} {
			for range 100 {
				sys.Root.Send(sys.NewLocalPID(root+"/temporary/a"), "waits")
			}
			if err := r.StopActor(t.Context(), path); !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", path, err, want)
			}
			synctest.Wait()
			there := slices.ContainsFunc(r.Snapshot(), func(i Info) bool { return i.Path == path })
			if path != "nobody" && there != (want != nil) {
				t.Errorf("%s: it is there: %v", path, there)
			}
		}
		for path, want := range map[string]error{root + "/temporary/a": ErrNoActor, root: ErrTop} {
			if err := r.Restart(t.Context(), path); !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", path, err, want)
			}
		}
	})
}

// TestRestartOfAStuckActor: whoever asks is told that the actor has not come to it; it restarts when it does.
func TestRestartOfAStuckActor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var heard, told journal
		release := make(chan struct{})
		sys, r := handTree(t, &heard, release, &told)
		synctest.Wait()
		heard.take()
		path := r.PID().Id + "/restart/a"
		sys.Root.Send(sys.NewLocalPID(path), "hang")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Restart(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := r.Restart(ctx, r.PID().Id+"/temporary/a"); !errors.Is(err, ErrOnlyStops) {
			t.Errorf("temporary: got %v", err)
		}
		if got := told.take(); len(got) > 0 {
			t.Errorf("while it hangs: told %q", got)
		}
		close(release)
		synctest.Wait()
		wantHeard(t, &heard, "hang", "started")
		wantHeard(t, &told, "restart, stopped: false")
	})
}

// TestRestartOfABusyActor: it restarts after the message that it has in hand, and all that wait are still handled. The answer
// comes with the new incarnation, also when more arrives all the time.
func TestRestartOfABusyActor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var heard, told journal
		sys, r := handTree(t, &heard, nil, &told)
		synctest.Wait()
		heard.take()
		path := r.PID().Id + "/restart/a"
		for range 10_000 {
			sys.Root.Send(sys.NewLocalPID(path), "slow")
		}
		sys.Root.Send(sys.NewLocalPID(path), "last")
		began := time.Now()
		if err := r.Restart(t.Context(), path); err != nil || time.Since(began) > 10*time.Millisecond {
			t.Errorf("got %v after %s", err, time.Since(began))
		}
		wantHeard(t, &told, "restart, stopped: false")
		wantHeard(t, &heard, "started")
		time.Sleep(time.Minute)
		wantHeard(t, &heard, "last")
	})
}

// TestRestartOfAnIsolatedActor: its parent spawns it again at once, and not once more when it would have.
func TestRestartOfAnIsolatedActor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var heard, told journal
		sys, r := handTree(t, &heard, nil, &told)
		synctest.Wait()
		heard.take()
		path := r.PID().Id + "/again/a"
		state := func() string {
			for _, i := range r.Snapshot() {
				if i.Path == path {
					return i.State
				}
			}
			return "none"
		}
		for range 3 {
			sys.Root.Send(sys.NewLocalPID(path), "panic")
			synctest.Wait()
			if got := state(); got != StateFailed {
				t.Fatalf("got %s, want it failed", got)
			}
			if err := r.StopActor(t.Context(), path); !errors.Is(err, ErrStopped) {
				t.Errorf("stop: got %v", err)
			}
			heard.take()
			time.Sleep(10 * time.Minute)
			if err := r.Restart(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			wantHeard(t, &heard, "started")
			wantHeard(t, &told, "again, stopped: false")
			if got := state(); got != StateRunning {
				t.Errorf("got %s, want it running", got)
			}
		}
		sys.Root.Send(sys.NewLocalPID(path), "panic") // half an hour later: the waits of the failures before are over half an hour from now
		time.Sleep(59 * time.Minute)
		if got := state(); got != StateFailed {
			t.Errorf("got %s, want that it waits an hour after its last failure", got)
		}
		time.Sleep(2 * time.Minute)
		wantHeard(t, &heard, "started")

		// A parent may leave its child where it is.
		path = r.PID().Id + "/once/a"
		sys.Root.Send(sys.NewLocalPID(path), "panic")
		synctest.Wait()
		if err := r.Restart(t.Context(), path); !errors.Is(err, ErrStaysFailed) {
			t.Errorf("got %v, want ErrStaysFailed", err)
		}
	})
}

// TestParentOfAnActorThatIsStoppedByHand knows it from one that has ended by itself.
func TestParentOfAnActorThatIsStoppedByHand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var heard, told journal
		spawn := Spec{Name: "a", New: act(func(c actor.Context) {
			if c.Message() == "end" {
				c.Stop(c.Self())
			}
		})}
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "parent", Children: Policy{Action: Temporary}, New: act(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Terminated:
				heard.add("by hand: %v", StoppedByHand(c))
				Spawn(c, spawn)
			case *actor.Started:
				Spawn(c, spawn)
			}
		})})}, Options{ByHand: func(path string, stopped bool) { told.add("%s: %v", nameOf(path), stopped) }})
		path := r.PID().Id + "/parent/a"
		synctest.Wait()
		for range 2 {
			if err := r.StopActor(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			wantHeard(t, &heard, "by hand: true")
			wantHeard(t, &told, "a: true")
			sys.Root.Send(sys.NewLocalPID(path), "end")
			synctest.Wait()
			wantHeard(t, &heard, "by hand: false")
			wantHeard(t, &told)
		}
	})
}

// TestRestartedByHand: an actor and those below it know of it, until it fails.
func TestRestartedByHand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var heard journal
		knows := act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				heard.add("by hand: %v", RestartedByHand(c))
			case string:
				panic(m)
			}
		})
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "parent", New: Group(Spec{Name: "a", New: knows})})}, Options{Logger: quiet})
		parent, a := r.PID().Id+"/parent", r.PID().Id+"/parent/a"
		synctest.Wait()
		wantHeard(t, &heard, "by hand: false")
		for _, path := range []string{parent, a} {
			if err := r.Restart(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			wantHeard(t, &heard, "by hand: true")
		}
		sys.Root.Send(sys.NewLocalPID(a), "panic")
		synctest.Wait()
		wantHeard(t, &heard, "by hand: false")
	})
}
