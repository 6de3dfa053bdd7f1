package supervisor

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// outside is a message that a peer chose.
type outside struct {
	fall bool
	*parcel
}

func (outside) Source() Source { return outsider("peer") }

// panicLog collects the panics that Options.Panicked receives.
type panicLog struct{ all []Panic }

func (l *panicLog) hear(p Panic) { l.all = append(l.all, p) }

// take returns the panics since the last call.
func (l *panicLog) take() string {
	var parts []string
	for _, p := range l.all {
		parts = append(parts, fmt.Sprintf("%s on %s of %v: %s", p.Path[strings.LastIndexByte(p.Path, '/')+1:], p.Err.Msg, p.Source, p.Then()))
	}
	l.all = nil
	return strings.Join(parts, "; ")
}

// startFragile runs an actor x below p, that panics on boom and on what an
// outsider makes it fall with, and counts what its incarnation has handled.
func startFragile(t *testing.T, o OnPanic, parent Policy) (send func(...any), at func() Info, j *journal, l *panicLog) {
	j, l = new(journal), new(panicLog)
	child := Spec{Name: "x", OnPanic: o, New: func() actor.Actor {
		handled := 0
		return fn(func(c actor.Context) {
			switch m := c.Message().(type) {
			case boom:
				panic(errBoom)
			case outside:
				if m.fall {
					panic(errBoom)
				}
				handled++
				j.add("handled %d", handled)
			}
		})
	}}
	top := Spec{Name: "p", Children: parent, New: act(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *actor.Started:
			Spawn(c, child)
		case ChildFailed:
			j.add("failed: %v", m.Err)
		case RetryDue:
			j.add("retry")
			Spawn(c, child)
		}
	})}
	sys, r := startTree(t, Spec{New: Group(top)}, Options{Panicked: l.hear})
	send = func(all ...any) {
		for _, m := range all {
			sys.Root.Send(sys.NewLocalPID("t/tree/p/x"), m)
		}
		synctest.Wait()
	}
	return send, func() Info { t.Helper(); return info(t, r, "t/tree/p/x") }, j, l
}

// A peer's message restarts the actor five times a minute, at once and outside the
// parent's budget; a further one is contained, and a minute later it restarts again.
func TestRestartOnPanic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		send, at, j, l := startFragile(t, RestartOnPanic, Policy{Action: Isolate, Max: 1, Retry: time.Hour})
		for n := range 8 {
			send(outside{fall: true}, outside{}, outside{})
			want, fate := []string{"handled 1", "handled 2"}, "it restarts"
			if n >= 5 {
				want = []string{fmt.Sprint("handled ", 2*(n-5)+3), fmt.Sprint("handled ", 2*(n-5)+4)}
				fate = "it goes on without that message"
			}
			j.want(t, want...)
			if got, want := l.take(), "x on supervisor.outside of peer: "+fate; got != want {
				t.Errorf("panic %d: got %q, want %q", n+1, got, want)
			}
		}
		if i := at(); i.Incarnation != 6 || i.Restarts != 5 || i.Contained != 3 || i.RestartsWindow != 0 || i.OnPanic != RestartOnPanic {
			t.Errorf("got incarnation %d, %d restarts, %d contained, %d charged, on panic %s; want 6, 5, 3, 0, restart", i.Incarnation, i.Restarts, i.Contained, i.RestartsWindow, i.OnPanic)
		}
		pass(PanicWindow)
		send(outside{fall: true})
		if i := at(); i.Incarnation != 7 {
			t.Errorf("a minute later: got incarnation %d, want 7", i.Incarnation)
		}
		l.take()
		send(boom{}, boom{}) // nobody's message: the parent's budget, of one restart
		if got, want := l.take(), "x on supervisor.boom of <nil>: it restarts; x on supervisor.boom of <nil>: it has stopped, and is tried again in 1h0m0s"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		j.want(t, "failed: supervisor: t/tree/p/x panicked on supervisor.boom: boom")
		pass(time.Hour)
		j.want(t, "retry")
		send(outside{})
		j.want(t, "handled 1")
	})
}

// Whoever chose the message, the same incarnation goes on.
func TestContainOnPanic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		send, at, j, l := startFragile(t, ContainOnPanic, Policy{Action: Isolate, Max: -1})
		send(outside{})
		for range 10 {
			send(outside{fall: true}, boom{})
		}
		send(outside{})
		j.want(t, "handled 1", "handled 2")
		if i := at(); i.Incarnation != 1 || i.Contained != 20 || i.Restarts != 0 {
			t.Errorf("got incarnation %d, %d contained, %d restarts; want 1, 20, 0", i.Incarnation, i.Contained, i.Restarts)
		}
		if got := len(l.all); got != 20 {
			t.Errorf("got %d panics told, want 20", got)
		}
	})
}

// One panic stops the actor for good, and its parent's budget is not asked.
func TestStopOnPanic(t *testing.T) {
	for _, m := range []any{outside{fall: true}, boom{}} {
		bubble(t, func(t *testing.T) {
			send, at, j, l := startFragile(t, StopOnPanic, Policy{Action: Isolate, Retry: time.Minute})
			send(outside{}, m, outside{})
			j.want(t, "handled 1", fmt.Sprintf("failed: supervisor: t/tree/p/x panicked on %T: boom", m))
			if got, want := l.take(), fmt.Sprintf("x on %T of %v: it has stopped for good", m, sourceOf(m)); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if i := at(); i.State != StateFailed || !i.NextRestart.IsZero() {
				t.Errorf("got %s, next try %v; want it failed for good", i.State, i.NextRestart)
			}
			pass(time.Hour)
			j.want(t)
		})
	}
}

// What cannot be gone on from is the parent's to decide.
func TestContainOnPanicInStarted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		starts := 0
		_, r := startTree(t, Spec{New: Group(Spec{Name: "p", Children: Policy{Action: Isolate, Max: 2}, New: act(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				Spawn(c, Spec{Name: "x", OnPanic: ContainOnPanic, New: act(func(c actor.Context) {
					if _, ok := c.Message().(*actor.Started); ok {
						if starts++; starts < 3 {
							panic(errBoom)
						}
						j.add("started")
					}
				})})
			case ChildFailed:
				j.add("failed")
			}
		})})}, Options{})
		pass(time.Minute)
		j.want(t, "started")
		if i := info(t, r, "t/tree/p/x"); i.Restarts != 2 {
			t.Errorf("got %d restarts, want 2", i.Restarts)
		}
	})
}

// What the actor owned is closed, what it had in hand discarded, and what waits
// is handled by the next incarnation.
func TestRestartOnPanicKeepsTheQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		var p parcel
		var discarded atomic.Int32
		p = parcel{1, &discarded}
		life := 0
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "x", OnPanic: RestartOnPanic, New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				life++
				Own(c, &closer{name: fmt.Sprint("of life ", life), log: &j})
			case outside:
				if m.fall {
					panic(errBoom)
				}
				j.add("life %d", life)
			}
		})})}, Options{})
		synctest.Wait()
		x := child(sys, r, "x")
		b := Bundle{outside{}, outside{true, &p}, outside{}, outside{}}
		sys.Root.Send(x, &b)
		synctest.Wait()
		j.want(t, "life 1", "close of life 1", "life 2", "life 2")
		if got := discarded.Load(); got != 1 {
			t.Errorf("got %d discarded, want the one in hand", got)
		}
	})
}

// Without anybody to tell, one record per panic goes to the log, with the stack
// where debug is logged.
func TestPanicsAreLoggedOnce(t *testing.T) {
	for level, stacks := range map[slog.Level]int{slog.LevelInfo: 0, slog.LevelDebug: 4} {
		bubble(t, func(t *testing.T) {
			var out strings.Builder
			log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}))
			sys, r := startTree(t, Spec{New: Group(Spec{Name: "p", Children: Policy{Action: Isolate, Max: 1}, New: act(func(c actor.Context) {
				if _, ok := c.Message().(*actor.Started); ok {
					Spawn(c, Spec{Name: "x", OnPanic: RestartOnPanic, New: act(func(c actor.Context) {
						switch c.Message().(type) {
						case boom, outside:
							panic(errBoom)
						}
					})})
				}
			})})}, Options{Logger: log})
			synctest.Wait()
			for _, m := range []any{outside{}, outside{}, boom{}, boom{}} {
				sys.Root.Send(child(sys, r, "p/x"), m)
				synctest.Wait()
			}
			if got := strings.Count(out.String(), "\n"); got != 4 {
				t.Errorf("got %d records, want 4:\n%s", got, out.String())
			}
			if got := strings.Count(out.String(), "stack="); got != stacks {
				t.Errorf("%v: got %d stacks, want %d", level, got, stacks)
			}
		})
	}
}

// Forget takes a stopped child out of the figures.
func TestForget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "p", Children: Policy{Action: Isolate}, New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				Spawn(c, Spec{Name: "x", OnPanic: StopOnPanic, New: act(func(c actor.Context) {
					if _, ok := c.Message().(boom); ok {
						panic(errBoom)
					}
				})})
			case string:
				Forget(c, m)
			}
		})})}, Options{})
		synctest.Wait()
		sys.Root.Send(child(sys, r, "p/x"), boom{})
		synctest.Wait()
		if i := info(t, r, "t/tree/p/x"); i.State != StateFailed {
			t.Errorf("got %s, want failed", i.State)
		}
		sys.Root.Send(child(sys, r, "p"), "x")
		synctest.Wait()
		for _, i := range r.Snapshot() {
			if i.Name == "x" {
				t.Errorf("got %+v, want it forgotten", i)
			}
		}
	})
}
