package supervisor

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// handTree starts parents of each policy, with a child "a" that writes down what it hears. "hang" makes it wait.
func handTree(t *testing.T, heard *journal, release <-chan struct{}) (*actor.ActorSystem, *Root) {
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
					heard.add("%s", m)
				}
			})()
		}}
	}
	return startTree(t, Spec{New: Group(
		Spec{Name: "restart", Children: Policy{Action: Restart, Max: 2, Initial: time.Minute, Ceiling: time.Minute}, New: Group(child(Supervised))},
		Spec{Name: "temporary", Children: Policy{Action: Temporary}, New: Group(child(Supervised))},
		Spec{Name: "isolate", Children: Policy{Action: Isolate}, New: Group(child(ContainOnPanic))},
	)}, Options{})
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
		var heard journal
		release := make(chan struct{})
		sys, r := handTree(t, &heard, release)
		synctest.Wait()
		heard.take()
		path := r.PID().Id + "/restart/a"
		sys.Root.Send(sys.NewLocalPID(path), "hang")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Restart(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := r.Restart(ctx, r.PID().Id+"/temporary/a"); !errors.Is(err, ErrOnlyStops) {
			t.Errorf("temporary: got %v", err)
		}
		close(release)
		synctest.Wait()
		wantHeard(t, &heard, "hang", "started")
	})
}
