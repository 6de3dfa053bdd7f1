package supervisor

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"
)

func TestWorkerDoesItsJobsInOrderAndEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []int
		var ends []TaskDone
		var w *Worker[int]
		release := make(chan struct{})
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				w = Work(c, "w", nil, func(ctx context.Context, job int) error {
					<-release
					if job < 0 {
						return errBoom
					}
					Tell(ctx, job)
					return nil
				}, nil)
				if !w.Give(1) {
					t.Error("first job: got refused, want taken")
				}
			case string: // the first job is under way
				if !w.Give(2) || w.Give(3) {
					t.Error("with a job under way: want one more taken and the next refused")
				}
				w.Stop()
				w.Stop()
				if w.Give(4) {
					t.Error("after Stop: got taken, want refused")
				}
			case int:
				got = append(got, m)
			case TaskDone:
				ends = append(ends, m)
			}
		})}, Options{})
		synctest.Wait()
		sys.Root.Send(r.PID(), "more")
		synctest.Wait()
		close(release)
		synctest.Wait()
		if want := []int{1, 2}; !slices.Equal(got, want) {
			t.Errorf("got jobs %v done, want %v", got, want)
		}
		if len(ends) != 1 || ends[0] != (TaskDone{Name: "w"}) {
			t.Errorf("got ends %v, want one without an error", ends)
		}
	})
}

func TestWorkerEndsWithAnErrorAndWithItsActor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ends := make(map[string]error)
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "x", New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				Work(c, "fails", nil, func(context.Context, int) error { return errBoom }, nil).Give(1)
				Work(c, "panics", nil, func(context.Context, int) error { panic(errBoom) }, nil).Give(1)
				Work(c, "waits", nil, func(context.Context, int) error { return nil }, nil)
			case TaskDone:
				ends[m.Name] = m.Err
			}
		})})}, Options{})
		synctest.Wait()
		var p *PanicError
		if len(ends) != 2 || ends["fails"] != errBoom || !errors.As(ends["panics"], &p) {
			t.Errorf("got ends %v, want boom and a PanicError", ends)
		}
		if got := info(t, r, "t/tree/x").Tasks; len(got) != 1 {
			t.Errorf("got tasks %v, want the one that waits", got)
		}
		sys.Root.Stop(child(sys, r, "x"))
		synctest.Wait()
		if n := r.host.tasks; n != 0 {
			t.Errorf("got %d tasks after the actor's end, want none", n)
		}
	})
}

// TestWorkerThatIsWoken runs its other function after calls of Wake from elsewhere: once for
// calls that came before it began, and not after Stop.
func TestWorkerThatIsWoken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var w *Worker[int]
		var runs int
		var ends []TaskDone
		release := make(chan struct{})
		startTree(t, Spec{New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				w = Work(c, "w", nil, func(context.Context, int) error { return nil }, func(_ context.Context, by *Waker) error {
					if by != w.Waker() {
						t.Error("got another waker than the worker's")
					}
					runs++
					<-release
					if runs == 3 {
						return errBoom
					}
					return nil
				})
			case TaskDone:
				ends = append(ends, m)
			}
		})}, Options{})
		synctest.Wait()
		for range 3 {
			w.Waker().Wake()
		}
		synctest.Wait() // one run is under way
		for range 3 {
			w.Waker().Wake()
		}
		release <- struct{}{}
		release <- struct{}{}
		synctest.Wait()
		if runs != 2 || len(ends) != 0 {
			t.Errorf("got %d runs and ends %v, want 2 runs", runs, ends)
		}
		close(release)
		w.Waker().Wake()
		synctest.Wait()
		if runs != 3 || len(ends) != 1 || ends[0].Err != errBoom {
			t.Errorf("got %d runs and ends %v, want the end by the third", runs, ends)
		}
		w.Waker().Wake()
		synctest.Wait()
		if runs != 3 {
			t.Error("got a run after the end")
		}
	})
}
