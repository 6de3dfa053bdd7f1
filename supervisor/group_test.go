package supervisor

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func TestGroupAttachDetachSurviveRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "g", Children: Policy{Max: -1}, New: Group(failing("a", &j), failing("b", &j))})}, Options{})
		g := child(sys, r, "g")
		synctest.Wait()
		got, err := Ask[Attached](t.Context(), sys, g, Attach{failing("c", &j)})
		if err != nil || got.Err != nil || got.PID.Id != g.Id+"/c" {
			t.Fatalf("attach: got %+v, %v", got, err)
		}
		if got, _ := Ask[Attached](t.Context(), sys, g, Attach{failing("c", &j)}); got.Err == nil {
			t.Error("attach of a name in use: got no error")
		}
		sys.Root.Send(g, Detach{"a"})
		synctest.Wait()
		j.take()
		sys.Root.Send(child(sys, r, "g/c"), boom{}) // spends the budget: g restarts
		synctest.Wait()
		j.wantAll(t, "b started", "c started")
		if alive(r, g.Id+"/a") || info(t, r, g.Id).Restarts != 1 {
			t.Errorf("a is alive: %v; restarts %d, want 1", alive(r, g.Id+"/a"), info(t, r, g.Id).Restarts)
		}
	})
}

// Attach of the name of a child that is stopping waits for its end.
func TestGroupAttachWaitsForTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		slow := Spec{Name: "x", New: act(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Stopping); ok {
				time.Sleep(time.Second)
			}
		})}
		sys, r := startTree(t, Spec{New: Group(slow)}, Options{})
		synctest.Wait()
		sys.Root.Send(r.PID(), Detach{"x"})
		begin := time.Now()
		got, err := Ask[Attached](t.Context(), sys, r.PID(), Attach{slow})
		if err != nil || got.Err != nil || time.Since(begin) != time.Second {
			t.Errorf("got %+v, %v after %v; want it attached after 1s", got, err, time.Since(begin))
		}
		if !alive(r, "t/tree/x") {
			t.Error("x is not alive")
		}
	})
}

// Children that ended in order do not come back with the group's restart.
func TestGroupForgetsWhoEnded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "g", Children: Policy{Action: Temporary}, New: Group(failing("a", &j), failing("b", &j))})}, Options{})
		synctest.Wait()
		sys.Root.Send(child(sys, r, "g/a"), boom{})
		synctest.Wait()
		if specs := r.host.lookup("t/tree/g").roster.specs; len(specs) != 1 || specs[0].Name != "b" {
			t.Errorf("got %v on the roster, want b", specs)
		}
	})
}

func TestGroupRetriesIsolatedChildren(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		sys, r := startTree(t, Spec{Children: Policy{Action: Isolate, Max: -1, Retry: 30 * time.Second}, New: Group(failing("x", &j), failing("y", &j))}, Options{})
		synctest.Wait()
		j.take()
		sys.Root.Send(child(sys, r, "x"), boom{})
		sys.Root.Send(child(sys, r, "y"), boom{})
		synctest.Wait()
		sys.Root.Send(r.PID(), Detach{"y"}) // nobody wants it any more
		pass(29 * time.Second)
		j.want(t)
		pass(time.Minute)
		j.want(t, "x started")
		if got := info(t, r, "t/tree/x").State; got != StateRunning {
			t.Errorf("x: got %s, want running", got)
		}
	})
}

func TestGroupDrainsAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "g", New: Group(
			staged("a", time.Second, &j), staged("b", 3*time.Second, &j), staged("c", 0, &j))})}, Options{})
		synctest.Wait()
		begin := time.Now()
		got, err := Ask[Drained](t.Context(), sys, r.PID(), Drain{Deadline: begin.Add(time.Minute)})
		if err != nil || got.From.Id != "t/tree" || time.Since(begin) != 3*time.Second {
			t.Errorf("got %v, %v after %v, want all drained after 3s", got, err, time.Since(begin))
		}
		// A child that ends meanwhile is not waited for.
		go func() { time.Sleep(time.Second); sys.Root.Stop(child(sys, r, "g/b")) }()
		begin = time.Now()
		if _, err := Ask[Drained](t.Context(), sys, child(sys, r, "g"), Drain{}); err != nil || time.Since(begin) != time.Second {
			t.Errorf("got %v after %v, want drained after 1s", err, time.Since(begin))
		}
	})
}

var _ actor.Actor = (*group)(nil)
