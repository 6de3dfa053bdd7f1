package supervisor

import (
	"context"
	"errors"
	"go/ast"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func TestTrap35PanicInATaskIsAnError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		errs := make(map[string]error)
		log := &logSink{}
		_, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				Go(c, "go", nil, func(context.Context) error { panic(errBoom) })
				Do(c, "do", func(context.Context) (int, error) { panic(errBoom) })
				Go(c, "exit", nil, func(context.Context) error { runtime.Goexit(); return nil })
			case TaskDone:
				errs[m.Name] = m.Err
			case Done[int]:
				errs[m.Key.(string)] = m.Err
			}
		})}, Options{Logger: log.logger()})
		synctest.Wait()
		for _, name := range []string{"go", "do", "exit"} {
			var p *PanicError
			if !errors.As(errs[name], &p) || p.Msg != name || p.Path != "t/tree" || len(p.Stack) == 0 {
				t.Errorf("%s: got %v, want a PanicError with its stack", name, errs[name])
			}
		}
		if !errors.Is(errs["go"], errBoom) || !errors.Is(errs["exit"], errGoexit) {
			t.Errorf("got %v and %v, want boom and Goexit", errs["go"], errs["exit"])
		}
		got := info(t, r, "t/tree")
		if len(got.Tasks) != 0 || got.Restarts != 0 {
			t.Errorf("got tasks %v, %d restarts, want none", got.Tasks, got.Restarts)
		}
		// Even when the actor makes nothing of the error.
		if n := log.count("task failed"); n != 3 || got.LastFailure == nil {
			t.Errorf("got %d log lines and last failure %v, want 3 and one", n, got.LastFailure)
		}
	})
}

// The same in an actor is a failure like any other.
func TestTrap35GoexitInAnActor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		handled := 0
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "x", New: act(func(c actor.Context) {
			switch c.Message().(type) {
			case boom:
				runtime.Goexit()
			case int:
				handled++
			}
		})})}, Options{})
		x := child(sys, r, "x")
		sys.Root.Send(x, 1)
		sys.Root.Send(x, boom{})
		sys.Root.Send(x, 2)
		synctest.Wait()
		if i := info(t, r, x.Id); handled != 2 || i.Restarts != 1 || !errors.Is(i.LastFailure, errGoexit) {
			t.Errorf("got %d handled, %d restarts, %v; want 2 and 1", handled, i.Restarts, i.LastFailure)
		}
	})
}

func TestTrap36NoFutures(t *testing.T) {
	unused(t, "RequestFuture", "NewFuture", "Result", "PipeTo")
}

func TestTrap37NoReenter(t *testing.T) { unused(t, "ReenterAfter") }

func TestTrap38TimersAreExactAndEnd(t *testing.T) {
	unused(t, "SetReceiveTimeout", "CancelReceiveTimeout")
	bubble(t, func(t *testing.T) {
		var j journal
		begin := time.Now()
		var once, every *Timer
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "x", New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				At(c, begin.Add(time.Hour), "at")
				once = After(c, time.Second, "once")
				every = Every(c, time.Minute, "every")
			case string:
				j.add("%s %v", m, Now(c).Sub(begin))
			case int: // the timer's message waits behind this one
				time.Sleep(10 * time.Second)
				once.Stop()
				once.Stop()
			case time.Duration:
				time.Sleep(m)
			case bool:
				every.Stop()
			case boom:
				panic(errBoom)
			}
		})})}, Options{})
		x := child(sys, r, "x")
		synctest.Wait()
		sys.Root.Send(x, 1)
		pass(11 * time.Second)
		j.want(t) // once was stopped while its message was in the mailbox
		pass(150 * time.Second)
		j.want(t, "every 1m0s", "every 2m0s")
		sys.Root.Send(x, 10*time.Minute)
		pass(11 * time.Minute)
		got := j.take()
		if len(got) > 2 {
			t.Errorf("ticks piled up behind a blocked actor: %v", got)
		}
		sys.Root.Send(x, true)
		pass(time.Hour)
		j.want(t, "at 1h0m0s")
		sys.Root.Send(x, boom{}) // new timers, the old ones are gone
		pass(90 * time.Second)
		if got := j.take(); len(got) != 3 { // at, in the past, once and one minute
			t.Errorf("got %v, want at, once and every of the new incarnation alone", got)
		}
	})
}

func TestTrap39NoStash(t *testing.T) { unused(t, "Stash") }

func TestTrap40SubscribersCannotHurtPublishers(t *testing.T) {
	for file, n := range selected(t, "EventStream") {
		if file != "deadletter.go" || len(n) != 1 {
			t.Errorf("%s uses %v; one subscriber per system, for dead letters", file, n)
		}
	}
	unused(t, "SubscribeWithPredicate")
	bubble(t, func(t *testing.T) {
		type news struct{}
		var published []any
		sys, r := startTree(t, Spec{New: Group(
			Spec{Name: "bad", New: act(func(c actor.Context) {
				switch c.Message().(type) {
				case *actor.Started:
					Subscribe[news](c)
				case news:
					panic(errBoom)
				}
			})},
			Spec{Name: "p", New: act(func(c actor.Context) {
				switch c.Message().(type) {
				case string:
					Publish(c, news{})
				}
			})})}, Options{Published: func(e any) { published = append(published, e); panic(errBoom) }})
		synctest.Wait()
		sys.Root.Send(child(sys, r, "p"), "go")
		sys.Root.Send(child(sys, r, "p"), "go")
		synctest.Wait()
		if got := info(t, r, "t/tree/p"); got.Restarts != 0 || got.LastFailure != nil {
			t.Errorf("the publisher failed: %v", got.LastFailure)
		}
		if len(published) != 2 {
			t.Errorf("Options.Published heard %d events, want 2", len(published))
		}
		pass(time.Second)
		if got := info(t, r, "t/tree/bad").Restarts; got != 2 {
			t.Errorf("subscriber restarts: got %d, want 2", got)
		}
		// A second tree does not add a second subscriber.
		n := sys.EventStream.Length()
		r2, err := Start(sys, "u", Spec{Name: "tree", New: act(func(actor.Context) {})}, Options{Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		r2.Stop(t.Context(), nil)
		if got := sys.EventStream.Length(); got != n {
			t.Errorf("subscribers: got %d, want %d", got, n)
		}
	})
}

// faulty panics wherever it can.
type faulty struct{ n *atomic.Int32 }

func (f faulty) Discard()       { f.n.Add(1); panic("discard") }
func (f faulty) Finish()        { f.n.Add(1); panic("finish") }
func (f faulty) Source() Source { panic("source") }
func (f faulty) Close() error   { f.n.Add(1); panic("close") }

func TestTrap41FaultyDiscardAndCloseAreContained(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var n atomic.Int32
		f := faulty{&n}
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "x", New: act(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				Own(c, f)
				Go(c, "t", f, func(ctx context.Context) error { <-ctx.Done(); return nil })
			case string:
				panic(errBoom)
			}
		})})}, Options{Contained: func(Source, string, *PanicError) { panic("contained") }})
		x := child(sys, r, "x")
		synctest.Wait()
		sys.Root.Send(x, f) // Finish
		synctest.Wait()
		if got := info(t, r, x.Id); got.Restarts != 0 || n.Load() != 1 {
			t.Errorf("a faulty Finish: got %d restarts, %d calls, want 0 and 1", got.Restarts, n.Load())
		}
		sys.Root.Send(x, "fail") // closes the task and the owned closer
		synctest.Wait()
		if got := info(t, r, x.Id); got.Restarts != 1 || n.Load() != 3 {
			t.Errorf("faulty closers: got %d restarts, %d calls, want 1 and 3", got.Restarts, n.Load())
		}
		if p := safely(func() { sys.Root.Send(sys.NewLocalPID("nobody"), f) }); p != nil {
			t.Errorf("a dead letter panics in its sender: %v", p)
		}
		if got := n.Load(); got != 4 {
			t.Errorf("got %d calls, want 4 with Discard", got)
		}
		if err := r.Stop(t.Context(), nil); err != nil {
			t.Error(err)
		}
	})
}

func TestTrap42StacksAreKeptAndOursAreNotLogged(t *testing.T) {
	var _ actor.IgnoreDeadLetterLogging = (*stamped)(nil)
	var _ actor.IgnoreDeadLetterLogging = (*order)(nil)
	bubble(t, func(t *testing.T) {
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "x", New: act(func(c actor.Context) {
			if _, ok := c.Message().(boom); ok {
				explode()
			}
		})})}, Options{})
		synctest.Wait()
		sys.Root.Send(child(sys, r, "x"), boom{})
		synctest.Wait()
		f := info(t, r, "t/tree/x").LastFailure
		if f == nil || !strings.Contains(string(f.Stack), "supervisor.explode") {
			t.Errorf("got %v, want the stack of explode", f)
		}
	})
}

//go:noinline
func explode() { panic(errBoom) }

func TestTrap43TasksKeepNoContext(t *testing.T) {
	unused(t, "WithHeaders", "WithSenderMiddleware")
	for _, typ := range []reflect.Type{reflect.TypeFor[task](), reflect.TypeFor[timer](), reflect.TypeFor[asker]()} {
		for f := range typ.Fields() {
			if f.Type == reflect.TypeFor[actor.Context]() {
				t.Errorf("%v.%s is an actor.Context, which is not safe outside Receive", typ, f.Name)
			}
		}
	}
	// Root.Request drops the sender: only RequestWithCustomSender is used.
	for file, f := range sources(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Request" && strings.HasSuffix(selector(s.X), ".Root") {
				t.Errorf("%s uses Root.Request", file)
			}
			return true
		})
	}
}

func TestTrap44NoMetricProviders(t *testing.T) {
	unused(t, "WithMetricProviders", "WithDefaultPrometheusProvider", "MetricsProvider")
}

func TestTrap45OnlyTheActorPackageIsImported(t *testing.T) {
	for file, f := range sources(t) {
		for _, i := range f.Imports {
			path, _ := strconv.Unquote(i.Path.Value)
			if strings.Contains(path, ".") && path != "github.com/asynkron/protoactor-go/actor" {
				t.Errorf("%s imports %s", file, path)
			}
		}
	}
}
