package supervisor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func TestSpawnAskStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				Spawn(c, Spec{Name: "echo", Kind: "echo", New: act(func(c actor.Context) {
					if s, ok := c.Message().(string); ok {
						c.Respond(s + s)
					}
				})})
			case int:
				c.Respond(m + 1)
			}
		})}, Options{})
		synctest.Wait() // until the tree has spawned its children
		got, err := Ask[int](t.Context(), sys, r.PID(), 41)
		if got != 42 || err != nil {
			t.Errorf("got %d, %v, want 42", got, err)
		}
		s, err := Ask[string](t.Context(), sys, child(sys, r, "echo"), "ab")
		if s != "abab" || err != nil {
			t.Errorf("got %q, %v, want abab", s, err)
		}
		if _, err := Ask[int](t.Context(), sys, child(sys, r, "echo"), "ab"); !errors.Is(err, ErrWrongReply) {
			t.Errorf("got %v, want ErrWrongReply", err)
		}
		if _, err := Ask[int](t.Context(), sys, child(sys, r, "none"), "ab"); !errors.Is(err, ErrNoActor) {
			t.Errorf("got %v, want ErrNoActor", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := Ask[int](ctx, sys, r.PID(), "no answer"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a timeout", err)
		}
		if err := r.Stop(t.Context(), nil); err != nil {
			t.Errorf("stop: got %v, want nil", err)
		}
		synctest.Wait()
		if got := r.Snapshot(); len(got) != 0 {
			t.Errorf("after the stop: got %v, want no actor", got)
		}
	})
}

func TestRestartKeepsQueueAndCountsRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "a", New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				j.add("started")
			case int:
				if m == 2 {
					panic(errBoom)
				}
				j.add("got %d", m)
			}
		})})}, Options{})
		synctest.Wait()
		for i := range 4 {
			sys.Root.Send(child(sys, r, "a"), i)
		}
		synctest.Wait()
		j.want(t, "started", "got 0", "got 1", "started", "got 3")
		i := info(t, r, "t/tree/a")
		if i.Restarts != 1 || i.Incarnation != 2 || i.State != StateRunning || i.Depth != 0 {
			t.Errorf("got %+v, want one restart and an idle second incarnation", i)
		}
		if !errors.Is(i.LastFailure, errBoom) || i.LastFailure.Msg != "int" {
			t.Errorf("last failure: got %v, want boom on int", i.LastFailure)
		}
	})
}

func TestTasksAndTimers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		type tick struct{}
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				begin := Now(c)
				After(c, time.Second, "late")
				Every(c, 10*time.Second, tick{})
				Go(c, "loop", nil, func(ctx context.Context) error {
					Tell(ctx, "told")
					<-ctx.Done()
					return ctx.Err()
				})
				Do(c, 7, func(context.Context) (time.Duration, error) { return time.Since(begin), nil })
			case Done[time.Duration]:
				j.add("done %v %v %v", m.Key, m.Value, m.Err)
			case string:
				j.add("%s", m)
			case tick:
				j.add("tick")
			}
		})}, Options{})
		synctest.Wait()
		j.take() // order of told and done is open
		if got := info(t, r, r.PID().Id).Tasks; len(got) != 1 || got[0] != "loop" {
			t.Errorf("tasks: got %v, want loop", got)
		}
		pass(31 * time.Second)
		synctest.Wait()
		j.want(t, "late", "tick", "tick", "tick")
		_ = sys
	})
}
