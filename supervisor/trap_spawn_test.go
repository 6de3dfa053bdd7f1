package supervisor

import (
	"fmt"
	"go/ast"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// The tests named TestTrapNN hold one rule each against a trap of protoactor-go.

func TestTrap01DuplicateNamePanicsAndMakesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var made atomic.Int32
		var j journal
		twin := Spec{Name: "twin", New: func() actor.Actor { made.Add(1); return fn(func(actor.Context) {}) }}
		_, r := startTree(t, Spec{New: act(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				Spawn(c, twin)
				j.add("%v", safely(func() { Spawn(c, twin) }) != nil)
				j.add("%v", safely(func() { Spawn(c, Spec{Name: "No/Name", New: twin.New}) }) != nil)
			}
		})}, Options{})
		synctest.Wait()
		j.want(t, "true", "true")
		if got := made.Load(); got != 1 {
			t.Errorf("New ran %d times, want 1", got)
		}
		if got := info(t, r, "t/tree").Restarts; got != 0 {
			t.Errorf("parent restarts: got %d, want 0", got)
		}
	})
}

// New runs in the child's own turn: its panic is the child's.
func TestTrap01NewRunsInTheActorsTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tries := 0
		_, r := startTree(t, Spec{New: Group(Spec{Name: "late", New: func() actor.Actor {
			if tries++; tries == 1 {
				panic(errBoom)
			}
			return fn(func(actor.Context) {})
		}})}, Options{})
		synctest.Wait()
		if got := info(t, r, "t/tree/late"); got.Restarts != 1 || got.State != StateRunning {
			t.Errorf("got %d restarts, %s, want 1, running", got.Restarts, got.State)
		}
		if got := info(t, r, "t/tree").Restarts; got != 0 {
			t.Errorf("parent restarts: got %d, want 0", got)
		}
	})
}

func TestTrap02NameIsFreeOnTerminated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		spec := Spec{Name: "x", New: act(func(actor.Context) {})}
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				Spawn(c, spec)
			case string:
				c.Stop(below(c, "x"))
				for range 1000 { // until the process registry has forgotten it
					if _, there := c.ActorSystem().ProcessRegistry.GetLocal("t/tree/x"); !there {
						break
					}
					synctestYield()
				}
				j.add("in use %v", safely(func() { Spawn(c, spec) }) != nil)
			case *actor.Terminated:
				if j.add("free %v", safely(func() { Spawn(c, spec) }) == nil); m.Who.Id != "t/tree/x" {
					t.Errorf("got Terminated of %s", m.Who.Id)
				}
			}
		})}, Options{})
		synctest.Wait()
		sys.Root.Send(r.PID(), "again")
		pass(time.Second)
		j.want(t, "in use true", "free true")
		// The parent knows the new one: it stops it with itself.
		if err := r.Stop(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if _, there := sys.ProcessRegistry.GetLocal("t/tree/x"); there {
			t.Error("the second x has outlived its parent")
		}
	})
}

func TestTrap03SendingInTheSpawnWindowIsSafe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		_, r := startTree(t, Spec{New: act(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); !ok {
				return
			}
			h := of(c).cell.host
			// OnInit is the window: the process is registered, the mailbox is
			// not linked yet.
			props := actor.PropsFromProducer(
				func() actor.Actor { return &wrapper{host: h} },
				actor.WithMailbox(func() actor.Mailbox { return &cell{host: h} }),
				actor.WithDispatcher(h.dispatch),
				actor.WithSupervisor(strategy{}),
				actor.WithOnInit(func(ctx actor.Context) {
					j.add("sender panics: %v", safely(func() { ctx.ActorSystem().Root.Send(ctx.Self(), "early") }))
				}))
			h.mu.Lock()
			h.seeds["t/tree/x"] = seed{parent: of(c).cell, spec: Spec{Name: "x", New: act(func(c actor.Context) {
				j.add("%s", strings.TrimPrefix(typeName(c.Message()), "*actor."))
			})}}
			h.mu.Unlock()
			if _, err := c.SpawnNamed(props, "x"); err != nil {
				t.Error(err)
			}
		})}, Options{})
		synctest.Wait()
		j.want(t, "sender panics: <nil>", "Started", "string")
		_ = r
	})
	unused(t, "WithOnInit")
}

func TestTrap04NobodyAnswersToNil(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "plain", New: act(func(actor.Context) {})})}, Options{})
		synctest.Wait()
		for _, rel := range []string{"", "/plain"} {
			pid := sys.NewLocalPID("t/tree" + rel)
			for _, m := range []any{Drain{}, Attach{Spec{Name: "y", New: act(func(actor.Context) {})}}, Attach{}, Detach{}} {
				sys.Root.Send(pid, m) // without a sender
			}
		}
		synctest.Wait()
		for _, i := range r.Snapshot() {
			if i.Restarts != 0 || i.LastFailure != nil {
				t.Errorf("%s failed: %v", i.Path, i.LastFailure)
			}
		}
		if _, err := Ask[int](t.Context(), sys, nil, 1); err == nil {
			t.Error("Ask of no PID: got no error")
		}
	})
}

func TestTrap05ChildrenIsCopied(t *testing.T) {
	for file, f := range sources(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if fmt.Sprint(selector(call.Fun)) == "slices.Clone" {
				return false // whatever is inside is copied
			}
			if strings.HasSuffix(selector(call.Fun), ".Children") {
				t.Errorf("%s uses Children() without a copy", file)
			}
			return true
		})
	}
}

func selector(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		return selector(e.X) + "." + e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return ""
}

func below(c actor.Context, name string) *actor.PID {
	return c.ActorSystem().NewLocalPID(c.Self().Id + "/" + name)
}
