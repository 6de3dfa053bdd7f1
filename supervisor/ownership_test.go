package supervisor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// delivery is a message with a session, as an upgrade task sends it.
type delivery struct{ session *Handover[*closer] }

func (d delivery) Discard()       { d.session.Discard() }
func (d delivery) Source() Source { return d.session.Source() }

// Every session that was ever handed out is closed exactly once, whether it
// was queued, in flight, in hand or late, and however its receiver ends.
func TestHandoversAreClosedExactlyOnce(t *testing.T) {
	for round := range 30 {
		for _, end := range []string{"restart", "stop", "respawn", "tree"} {
			bubble(t, func(t *testing.T) {
				var mu sync.Mutex
				var sessions []*closer
				make1 := func(name string) *Handover[*closer] {
					s := &closer{name: name}
					mu.Lock()
					sessions = append(sessions, s)
					mu.Unlock()
					return Hand(s, nil)
				}
				x := Spec{Name: "x", New: act(func(c actor.Context) {
					switch m := c.Message().(type) {
					case *actor.Started:
						for i := range 5 {
							Do(c, i, func(ctx context.Context) (*Handover[*closer], error) {
								time.Sleep(time.Duration(i) * time.Second)
								return make1(fmt.Sprint("do ", i)), nil
							})
						}
						Go(c, "dial", nil, func(ctx context.Context) error {
							for i := range 5 {
								Tell(ctx, delivery{make1(fmt.Sprint("told ", i))})
								time.Sleep(700 * time.Millisecond)
							}
							return nil
						})
					case Done[*Handover[*closer]]:
						if s, ok := m.Value.Take(); ok {
							Own(c, s)
						}
					case delivery:
						if s, ok := m.session.Take(); ok {
							Own(c, s)
						}
					case boom:
						panic(errBoom)
					}
				})}
				sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
					switch c.Message().(type) {
					case *actor.Started:
						Spawn(c, x)
					case *actor.Terminated:
						if end == "respawn" {
							Spawn(c, x)
						}
					case string:
						c.Stop(below(c, "x"))
					}
				})}, Options{})
				synctest.Wait()
				pid := child(sys, r, "x")
				var senders sync.WaitGroup
				for s := range 3 {
					senders.Go(func() {
						for i := range 40 {
							sys.Root.Send(pid, delivery{make1(fmt.Sprint("sent ", s, i))})
						}
					})
				}
				time.Sleep(time.Duration(round%5) * 500 * time.Millisecond)
				switch end {
				case "restart":
					sys.Root.Send(pid, boom{})
				case "stop", "respawn":
					sys.Root.Send(r.PID(), "stop x")
				}
				senders.Wait()
				sys.Root.Send(pid, delivery{make1("late")})
				sys.Root.Send(sys.NewLocalPID("t/nobody"), delivery{make1("to nobody")})
				pass(10 * time.Second)
				if err := r.Stop(t.Context(), nil); err != nil {
					t.Error(err)
				}
				sys.Root.Send(pid, delivery{make1("after the end")})
				synctest.Wait()
				for _, s := range sessions {
					if got := s.n.Load(); got != 1 {
						t.Errorf("%s: %s was closed %d times, want once", end, s.name, got)
					}
				}
			})
		}
	}
}

func TestHandoverHasOneOwner(t *testing.T) {
	for range 200 {
		s := &closer{name: "s"}
		h := Hand(s, outsider("peer"))
		var taken atomic.Int32
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				if i%2 == 0 {
					if v, ok := h.Take(); ok {
						taken.Add(1)
						if v != s {
							t.Error("Take returned another value")
						}
					}
				} else {
					h.Discard()
				}
			})
		}
		wg.Wait()
		if got := taken.Load() + s.n.Load(); got != 1 {
			t.Fatalf("%d took it, %d closed it; want one in all", taken.Load(), s.n.Load())
		}
		if h.Source() != outsider("peer") {
			t.Errorf("source: got %v, want peer", h.Source())
		}
	}
	var none *Handover[*closer]
	if _, ok := none.Take(); ok || none.Source() != nil || none.Close() != nil {
		t.Error("a nil Handover is not empty")
	}
	var zero Handover[*closer]
	if _, ok := zero.Take(); ok {
		t.Error("a zero Handover is not empty")
	}
}

// The closer of a Go belongs to the task.
func TestTaskClosesItsCloserOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		done, blocked, late := &closer{name: "done"}, &closer{name: "blocked"}, &closer{name: "late"}
		stop := make(chan struct{})
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "x", New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case string:
				Go(c, "done", done, func(context.Context) error { return nil })
				Go(c, "blocked", blocked, func(context.Context) error { <-stop; return nil })
			case boom:
				panic(errBoom)
			case *actor.Stopped:
				_ = m
				Go(c, "late", late, func(context.Context) error { t.Error("a task began after the end"); return nil })
			}
		})})}, Options{})
		synctest.Wait()
		x := child(sys, r, "x")
		sys.Root.Send(x, "go")
		synctest.Wait()
		wantClosed(t, done, 1)
		wantClosed(t, blocked, 0)
		sys.Root.Send(x, boom{})
		synctest.Wait()
		wantClosed(t, blocked, 1)
		close(stop)
		synctest.Wait()
		wantClosed(t, blocked, 1)
		sys.Root.Stop(x)
		synctest.Wait()
		wantClosed(t, late, 1)
	})
}

func TestDoRefusesWhatWouldLeak(t *testing.T) {
	if safely(func() { mustNotLeak[*closer]() }) == nil {
		t.Error("Do of a plain closer: got accepted, want a panic")
	}
	for name, f := range map[string]func(){
		"handover": mustNotLeak[*Handover[*closer]],
		"value":    mustNotLeak[int],
		"nothing":  mustNotLeak[struct{}],
	} {
		if p := safely(f); p != nil {
			t.Errorf("%s: got %v, want accepted", name, p)
		}
	}
}

// credits counts what is lent out.
type credits struct{ out atomic.Int32 }

type frame struct {
	peer string
	bad  bool
	lent *credits
	back *atomic.Bool
}

func (c *credits) frame(peer string, bad bool) frame {
	c.out.Add(1)
	return frame{peer, bad, c, new(atomic.Bool)}
}

func (f frame) give() {
	if f.back.CompareAndSwap(false, true) {
		f.lent.out.Add(-1)
	}
}
func (f frame) Finish()        { f.give() }
func (f frame) Discard()       { f.give() }
func (f frame) Source() Source { return outsider(f.peer) }

func TestPanicsOnAttributedMessagesAreContained(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var lent credits
		told := make(map[any]int)
		handled := 0
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "x", New: act(func(c actor.Context) {
			if f, ok := c.Message().(frame); ok {
				if f.bad {
					panic(errBoom)
				}
				handled++
			}
		})})}, Options{Contained: func(source Source, path string, err *PanicError) {
			if path != "t/tree/x" || !errors.Is(err, errBoom) || len(err.Stack) == 0 {
				t.Errorf("told of %s, %v", path, err)
			}
			told[source]++
		}})
		synctest.Wait()
		x := child(sys, r, "x")
		for i := range 1000 {
			f := lent.frame(fmt.Sprint("peer ", i%2), i < 900)
			if i%3 == 0 { // with a sender, as a request
				sys.Root.RequestWithCustomSender(x, f, nil)
			} else {
				sys.Root.Send(x, f)
			}
		}
		synctest.Wait()
		i := info(t, r, x.Id)
		if i.Contained != 900 || i.Restarts != 0 || i.RestartsWindow != 0 || i.Incarnation != 1 || handled != 100 {
			t.Errorf("got %d contained, %d restarts, %d charged, %d handled; want 900, 0, 0, 100", i.Contained, i.Restarts, i.RestartsWindow, handled)
		}
		if told[outsider("peer 0")] != 450 || told[outsider("peer 1")] != 450 {
			t.Errorf("told: got %v, want 450 each", told)
		}
		if got := lent.out.Load(); got != 0 {
			t.Errorf("credits not returned: got %d, want 0 of 1,000", got)
		}
	})
}

// Without a source the panic is ours; a Done carries the source of its value.
func TestSourceDecides(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "x", New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case delivery:
				panic(errBoom)
			case string:
				s := &closer{name: m}
				Do(c, nil, func(context.Context) (delivery, error) { return delivery{Hand(s, outsider("peer"))}, nil })
			case Done[delivery]:
				panic(errBoom)
			}
		})})}, Options{})
		synctest.Wait()
		x := child(sys, r, "x")
		peers, ours := &closer{name: "peer's"}, &closer{name: "ours"}
		sys.Root.Send(x, delivery{Hand(peers, outsider("peer"))})
		sys.Root.Send(x, "do")
		synctest.Wait()
		if i := info(t, r, x.Id); i.Contained != 2 || i.Restarts != 0 {
			t.Errorf("with a source: got %d contained, %d restarts, want 2 and 0", i.Contained, i.Restarts)
		}
		sys.Root.Send(x, delivery{Hand(ours, nil)})
		synctest.Wait()
		if i := info(t, r, x.Id); i.Contained != 2 || i.Restarts != 1 {
			t.Errorf("without: got %d contained, %d restarts, want 2 and 1", i.Contained, i.Restarts)
		}
		wantClosed(t, peers, 1)
		wantClosed(t, ours, 1)
	})
}

func TestUnhandledCountsAndDiscards(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var discarded atomic.Int32
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) { Unhandled(c) })}, Options{})
		sys.Root.Send(r.PID(), parcel{1, &discarded})
		sys.Root.Send(r.PID(), 7)
		synctest.Wait()
		if got := info(t, r, "t/tree").Unhandled; got != 2 || discarded.Load() != 1 {
			t.Errorf("got %d unhandled, %d discarded, want 2 and 1", got, discarded.Load())
		}
	})
}

// TestPIDsOfEndedActors: whoever keeps the PID of an actor that has ended keeps nothing that the
// actor had, or was made of.
func TestPIDsOfEndedActors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var left atomic.Int32
		large := func() *[1 << 20]byte {
			b := new([1 << 20]byte)
			left.Add(1)
			runtime.AddCleanup(b, func(int) { left.Add(-1) }, 0)
			return b
		}
		spec := func() Spec {
			of := large()
			return Spec{Name: "x", New: func() actor.Actor {
				has := large()
				return fn(func(c actor.Context) {
					if c.Message() == "touch" {
						of[0]++
						has[0]++
					}
				})
			}}
		}
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch c.Message() {
			case "spawn":
				Spawn(c, spec())
			case "stop":
				c.Stop(below(c, "x"))
			}
		})}, Options{})
		var kept []*actor.PID
		for range 5 {
			sys.Root.Send(r.PID(), "spawn")
			synctest.Wait()
			pid := child(sys, r, "x")
			sys.Root.Send(pid, "touch")
			kept = append(kept, pid)
			synctest.Wait()
			sys.Root.Send(r.PID(), "stop")
			synctest.Wait()
		}
		for range 3 {
			runtime.GC()
			time.Sleep(time.Second)
		}
		if n := left.Load(); n != 0 {
			t.Errorf("got %d left of %d actors that have ended, want none", n, len(kept))
		}
		for _, pid := range kept {
			sys.Root.Send(pid, "touch") // a dead letter
		}
	})
}
