package supervisor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// phase prints a lifecycle message.
func phase(m any) string { return strings.ToLower(strings.TrimPrefix(typeName(m), "*actor.")) }

func TestTrap20OwnedIsClosedOnceAfterTheChildren(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		a, b := &closer{name: "a", log: &j}, &closer{name: "b", log: &j}
		taken := &closer{name: "taken"}
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "x", New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				j.add("started")
				Spawn(c, Spec{Name: "kid", New: act(func(c actor.Context) {
					if _, ok := c.Message().(*actor.Stopped); ok {
						time.Sleep(time.Second)
						j.add("kid stopped")
					}
				})})
			case []*closer:
				for _, o := range m {
					Own(c, o)
				}
				Own(c, taken)()
			case boom:
				panic(errBoom)
			}
		})})}, Options{})
		x := child(sys, r, "x")
		synctest.Wait()
		sys.Root.Send(x, []*closer{a, b})
		sys.Root.Send(x, boom{})
		pass(3 * time.Second)
		j.want(t, "started", "kid stopped", "close b", "close a", "started")
		a2 := &closer{name: "a2", log: &j}
		sys.Root.Send(x, []*closer{a2})
		synctest.Wait()
		if err := r.Stop(t.Context(), nil); err != nil {
			t.Error(err)
		}
		j.want(t, "kid stopped", "close a2")
		wantClosed(t, a, 1)
		wantClosed(t, b, 1)
		wantClosed(t, a2, 1)
		wantClosed(t, taken, 0)
	})
}

func TestTrap21StopNamesWhoIsStuck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hold := make(chan struct{})
		sys, r := startTree(t, Spec{New: Group(
			Spec{Name: "good", New: act(func(actor.Context) {})},
			Spec{Name: "branch", New: Group(Spec{Name: "stuck", New: act(func(c actor.Context) {
				if _, ok := c.Message().(string); ok {
					<-hold
				}
			})})})}, Options{})
		synctest.Wait()
		sys.Root.Send(child(sys, r, "branch/stuck"), "hold")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin := time.Now()
		err := r.Stop(ctx, errBoom)
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("Stop took %v, want 3s", took)
		}
		var stuck *StuckError
		if !errors.As(err, &stuck) || !slices.Equal(stuck.Paths, []string{"t/tree/branch/stuck"}) {
			t.Errorf("got %v, want branch/stuck alone", err)
		}
		if !errors.Is(err, errBoom) || !errors.Is(r.Err(), errBoom) {
			t.Errorf("got %v, want the cause too", err)
		}
		<-r.Done()
		close(hold)
		synctest.Wait()
		if left := r.Snapshot(); len(left) != 0 {
			t.Errorf("when it has let go: got %v, want nobody left", left)
		}
	})
}

func TestTrap22PanicsWhileEndingAreContained(t *testing.T) {
	for _, when := range []string{"stopping", "stopped", "restarting"} {
		t.Run(when, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var j journal
				own := &closer{name: "own"}
				sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
					switch m := c.Message().(type) {
					case *actor.Started:
						Spawn(c, Spec{Name: "x", New: act(func(c actor.Context) {
							switch c.Message().(type) {
							case *actor.Started:
								j.add("started")
								if own.n.Load() == 0 {
									Own(c, own)
								}
							case boom:
								panic(errBoom)
							}
							if phase(c.Message()) == when {
								panic(when)
							}
						})})
					case string:
						c.Stop(below(c, m))
					case *actor.Terminated:
						j.add("parent told")
					}
				})}, Options{})
				synctest.Wait()
				if when == "restarting" {
					sys.Root.Send(child(sys, r, "x"), boom{})
					synctest.Wait()
					j.want(t, "started", "started")
					if got := info(t, r, "t/tree/x").Restarts; got != 1 {
						t.Errorf("restarts: got %d, want 1", got)
					}
				} else {
					sys.Root.Send(r.PID(), "x")
					synctest.Wait()
					j.want(t, "started", "parent told")
				}
				wantClosed(t, own, 1)
				if err := r.Stop(t.Context(), nil); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestTrap23PanicOnTerminatedWhileEnding(t *testing.T) {
	for _, way := range []string{"stop", "restart"} {
		t.Run(way, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var j journal
				sys, r := startTree(t, Spec{New: Group(Spec{Name: "x", New: act(func(c actor.Context) {
					switch c.Message().(type) {
					case *actor.Started:
						j.add("started")
						Spawn(c, Spec{Name: "kid", New: act(func(actor.Context) {})})
					case *actor.Terminated:
						j.add("terminated")
						panic(errBoom)
					case boom:
						panic(errBoom)
					case *actor.Stopped:
						j.add("stopped")
					}
				})})}, Options{})
				synctest.Wait()
				if way == "stop" {
					sys.Root.Stop(child(sys, r, "x"))
					synctest.Wait()
					j.want(t, "started", "terminated", "stopped")
				} else {
					sys.Root.Send(child(sys, r, "x"), boom{})
					synctest.Wait()
					j.want(t, "started", "started")
				}
				if err := r.Stop(t.Context(), nil); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestTrap24RestartCannotReviveAStoppingActor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				Spawn(c, Spec{Name: "x", New: act(func(c actor.Context) {
					if _, ok := c.Message().(*actor.Started); ok {
						j.add("started")
						Spawn(c, Spec{Name: "slow", New: act(func(c actor.Context) {
							if _, ok := c.Message().(*actor.Stopping); ok {
								time.Sleep(time.Second)
							}
						})})
					}
				})})
			case string:
				c.Stop(below(c, "x"))
				c.(actor.Supervisor).RestartChildren(below(c, "x"))
			case *actor.Terminated:
				j.add("terminated")
			}
		})}, Options{})
		synctest.Wait()
		sys.Root.Send(r.PID(), "stop, then restart")
		pass(3 * time.Second)
		j.want(t, "started", "terminated")
	})
}

func TestTrap25FailedActorHearsNoTerminated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		hold := Policy{Initial: time.Minute, Ceiling: time.Minute}
		sys, r := startTree(t, Spec{Children: hold, New: Group(Spec{Name: "x", New: act(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				j.add("started")
				Spawn(c, Spec{Name: "kid", New: act(func(actor.Context) {})})
			case *actor.Terminated:
				j.add("terminated")
			case boom:
				panic(errBoom)
			}
		})})}, Options{})
		synctest.Wait()
		x := child(sys, r, "x")
		sys.Root.Send(x, boom{})
		synctest.Wait()
		sys.Root.Send(x, boom{}) // now it waits half a minute at least
		synctest.Wait()
		if got := info(t, r, x.Id); got.State != StateBackingOff || got.NextRestart.IsZero() {
			t.Fatalf("got %s, next %v, want a restart that waits", got.State, got.NextRestart)
		}
		sys.Root.Stop(child(sys, r, "x/kid"))
		synctest.Wait()
		j.want(t, "started", "started")
	})
}

func TestTrap26OwnChildrenAreNotWatched(t *testing.T) {
	bubble(t, func(t *testing.T) {
		heard := 0
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				Spawn(c, Spec{Name: "x", New: act(func(actor.Context) {})})
			case *actor.Terminated:
				heard++
			}
		})}, Options{})
		synctest.Wait()
		sys.Root.Stop(child(sys, r, "x"))
		synctest.Wait()
		if heard != 1 {
			t.Errorf("heard Terminated %d times, want once", heard)
		}
	})
	for file, n := range selected(t, "Watch") {
		if file != "top.go" && file != "mailbox.go" { // the shutdown watches others' children; the mailbox sees who asks to watch
			t.Errorf("%s uses %v", file, n)
		}
	}
}

func TestTrap27RestartsAreVisibleInTheRegistryOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		told := 0
		sys, r := startTree(t, Spec{New: Group(
			Spec{Name: "x", New: act(func(c actor.Context) {
				if _, ok := c.Message().(boom); ok {
					panic(errBoom)
				}
			})},
			Spec{Name: "watcher", New: act(func(c actor.Context) {
				switch m := c.Message().(type) {
				case *actor.PID:
					c.Watch(m)
				case *actor.Terminated:
					told++
				}
			})})}, Options{})
		synctest.Wait()
		x := child(sys, r, "x")
		sys.Root.Send(child(sys, r, "watcher"), x)
		synctest.Wait()
		sys.Root.Send(x, boom{})
		synctest.Wait()
		if got := info(t, r, x.Id); got.Restarts != 1 || got.Incarnation != 2 || got.RestartsWindow != 1 || told != 0 {
			t.Errorf("got %d restarts, incarnation %d, window %d, told %d; want 1, 2, 1, 0", got.Restarts, got.Incarnation, got.RestartsWindow, told)
		}
		pass(2 * time.Minute)
		if got := info(t, r, x.Id).RestartsWindow; got != 0 {
			t.Errorf("window after two minutes: got %d, want 0", got)
		}
		sys.Root.Stop(x)
		synctest.Wait()
		if told != 1 {
			t.Errorf("the registration did not survive the restart: told %d times, want 1", told)
		}
	})
}

func TestTrap28FailuresInStartedWaitAndEscalate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var at []time.Duration
		begin := time.Now()
		parents := 0
		_, r := startTree(t, Spec{New: Group(Spec{Name: "p", New: act(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); !ok {
				return
			}
			if parents++; parents > 1 {
				return
			}
			Spawn(c, Spec{Name: "x", New: act(func(c actor.Context) {
				if _, ok := c.Message().(*actor.Started); ok {
					at = append(at, time.Since(begin))
					panic(errBoom)
				}
			})})
		})})}, Options{})
		pass(time.Minute)
		if len(at) != 6 {
			t.Fatalf("started %d times (%v), want 6: once and 5 restarts", len(at), at)
		}
		if at[1] != 0 {
			t.Errorf("the first restart waited %v, want nothing", at[1])
		}
		for i, nominal := range []time.Duration{250, 500, 1000, 2000} {
			nominal *= time.Millisecond
			if got := at[i+2] - at[i+1]; got < nominal/2 || got > nominal {
				t.Errorf("restart %d waited %v, want 50 to 100 %% of %v", i+2, got, nominal)
			}
		}
		if parents != 2 {
			t.Errorf("parent started %d times, want 2: it fails when the budget is spent", parents)
		}
		if got := info(t, r, "t/tree/p"); got.LastFailure == nil || got.LastFailure.Path != "t/tree/p/x" {
			t.Errorf("parent's failure: got %v, want the child's cause", got.LastFailure)
		}
	})
}

func TestTrap29DelayedRestartIsTheParentsMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var starts atomic.Int32
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				Spawn(c, Spec{Name: "x", New: act(func(c actor.Context) {
					if _, ok := c.Message().(*actor.Started); ok {
						starts.Add(1)
						panic(errBoom)
					}
				})})
			case time.Duration:
				time.Sleep(m)
			case string:
				c.Stop(below(c, m))
			}
		})}, Options{})
		synctest.Wait() // one start, one restart, the second waits 250 ms at most
		sys.Root.Send(r.PID(), 10*time.Second)
		pass(5 * time.Second)
		if starts.Load() != 2 {
			t.Errorf("started %d times while the parent was busy, want 2: nobody else restarts", starts.Load())
		}
		pass(5100 * time.Millisecond)
		if starts.Load() != 3 {
			t.Errorf("started %d times, want 3 when the parent is free", starts.Load())
		}
		sys.Root.Send(r.PID(), "x") // stopped while it waits for the next
		pass(time.Minute)
		if starts.Load() != 3 {
			t.Errorf("started %d times, want 3: a dead child is not restarted", starts.Load())
		}
	})
}

func TestTrap30FailureOfTheTreeIsAnOrderedStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		_, r := startTree(t, Spec{
			New: Group(Spec{Name: "door", Drains: true, New: act(func(c actor.Context) {
				switch c.Message().(type) {
				case Drain:
					j.add("door drains")
					c.Respond(Drained{From: c.Self()})
				case *actor.Stopped:
					j.add("door stopped")
				}
			})}, Spec{Name: "x", New: act(func(c actor.Context) {
				switch c.Message().(type) {
				case *actor.Started:
					After(c, time.Millisecond, boom{})
				case boom:
					panic(errBoom)
				}
			})}, Spec{Name: "last", New: act(func(c actor.Context) {
				if _, ok := c.Message().(*actor.Stopped); ok {
					j.add("last stopped")
				}
			})}),
		}, Options{Phases: []Phase{{Drain: []string{"door", "not there"}, Stop: []string{"door"}}}})
		<-r.Done()
		j.want(t, "door drains", "door stopped", "last stopped")
		var p *PanicError
		if err := r.Err(); !errors.Is(err, errBoom) || !errors.As(err, &p) || p.Path != "t/tree/x" {
			t.Errorf("got %v, want boom of t/tree/x", r.Err())
		}
		if got := r.Stop(t.Context(), errors.New("other")); !errors.Is(got, errBoom) {
			t.Errorf("a later Stop: got %v, want the first cause", got)
		}
	})
}

func TestTrap31NoGuardians(t *testing.T) {
	unused(t, "WithGuardian", "WithGuardianStrategy", "Guardians")
	bubble(t, func(t *testing.T) {
		sys := newSystem()
		sys.Root.WithSpawnMiddleware(func(next actor.SpawnFunc) actor.SpawnFunc {
			return func(*actor.ActorSystem, string, *actor.Props, actor.SpawnerContext) (*actor.PID, error) {
				return nil, errBoom
			}
		})
		r, err := Start(sys, "t", Spec{Name: "tree", New: act(func(c actor.Context) { panic(errBoom) })}, Options{Logger: quiet})
		if err != nil {
			t.Fatal(err, "; the shared root's middleware must not reach us")
		}
		<-r.Done()
		if !errors.Is(r.Err(), errBoom) {
			t.Errorf("got %v, want boom", r.Err())
		}
	})
}

// boss is an actor that would decide for itself.
type boss struct{ asked *int }

func (b boss) Receive(c actor.Context) {
	if _, ok := c.Message().(*actor.Started); ok {
		Spawn(c, Spec{Name: "x", New: act(func(c actor.Context) {
			if _, ok := c.Message().(boom); ok {
				panic(errBoom)
			}
		})})
	}
}

func (b boss) HandleFailure(_ *actor.ActorSystem, s actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, _, _ any) {
	*b.asked++
	s.ResumeChildren(child)
}

func TestTrap32ActorsDoNotOverrideThePolicy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		asked := 0
		sys, r := startTree(t, Spec{Children: Policy{Action: Temporary}, New: func() actor.Actor { return boss{&asked} }}, Options{})
		synctest.Wait()
		sys.Root.Send(child(sys, r, "x"), boom{})
		synctest.Wait()
		if asked != 0 || alive(r, "t/tree/x") {
			t.Errorf("asked %d times, alive %v; want the policy Temporary to decide", asked, alive(r, "t/tree/x"))
		}
	})
}

func TestTrap33TheParentDecidesInItsTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				Spawn(c, Spec{Name: "x", New: act(func(c actor.Context) {
					if _, ok := c.Message().(boom); ok {
						panic(errBoom)
					}
				})})
			case time.Duration:
				time.Sleep(m)
			}
		})}, Options{})
		synctest.Wait()
		sys.Root.Send(r.PID(), time.Second)
		synctest.Wait()
		sys.Root.Send(child(sys, r, "x"), boom{})
		synctest.Wait()
		if got := info(t, r, "t/tree/x").State; got != StateSuspended {
			t.Errorf("while the parent is busy: got %s, want suspended", got)
		}
		pass(2 * time.Second)
		if got := info(t, r, "t/tree/x"); got.State != StateRunning || got.Restarts != 1 {
			t.Errorf("got %s, %d restarts, want running after one", got.State, got.Restarts)
		}
	})
}

func TestTrap34StopIsOursAndIdempotent(t *testing.T) {
	unused(t, "StopFuture", "Shutdown")
	bubble(t, func(t *testing.T) {
		sys, r := startTree(t, Spec{New: act(func(actor.Context) {})}, Options{})
		other, err := Start(sys, "u", Spec{Name: "tree", New: act(func(c actor.Context) {
			if _, ok := c.Message().(string); ok {
				c.Respond(true)
			}
		})}, Options{Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		for range 3 {
			if err := r.Stop(t.Context(), nil); err != nil {
				t.Errorf("got %v, want nil", err)
			}
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("three stops of an idle tree took %v, want no time", took)
		}
		if ok, err := Ask[bool](t.Context(), sys, other.PID(), "still there?"); !ok || err != nil {
			t.Errorf("the other tree of the system: got %v, want it alive", err)
		}
		// The name is free at once.
		again, err := Start(sys, "t", Spec{Name: "tree", New: act(func(actor.Context) {})}, Options{Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		again.Stop(t.Context(), nil)
		other.Stop(t.Context(), nil)
	})
}
