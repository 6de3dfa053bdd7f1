package supervisor

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// crashingSubscriber starts a publisher and a subscriber below policy, whose
// Started panics so often as starts says and which panics when it hears
// a negative number. It writes down what it hears.
func crashingSubscriber(t *testing.T, policy Policy, heard *journal, starts *int) (publish func(...int), r *Root) {
	t.Helper()
	sys, r := startTree(t, Spec{Children: policy, New: Group(
		Spec{Name: "p", New: act(func(c actor.Context) {
			if all, ok := c.Message().([]int); ok {
				for _, n := range all {
					Publish(c, n)
				}
			}
		})},
		Spec{Name: "s", New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				if *starts > 0 && of(c).cell.incarnation.Load() > 1 {
					*starts--
					panic("cannot start")
				}
				Subscribe[int](c)
				heard.add("started")
			case int:
				if m < 0 {
					panic("on purpose")
				}
				heard.add("%d", m)
			}
		})},
	)}, Options{})
	synctest.Wait()
	return func(all ...int) {
		sys.Root.Send(child(sys, r, "p"), all)
		synctest.Wait()
	}, r
}

func wantHeard(t *testing.T, heard *journal, want ...string) {
	t.Helper()
	if got := heard.take(); !slices.Equal(got, want) {
		t.Errorf("heard: got %q, want %q", got, want)
	}
}

// An event published while a subscriber waits for its restart reaches the next
// incarnation, once and in order, also when that fails to start at first.
func TestASubscriberThatBacksOffHearsEveryEventOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var heard journal
		fails := 0
		publish, r := crashingSubscriber(t, Policy{Max: 20, Within: time.Hour}, &heard, &fails)
		publish(1, -1, 2)
		wantHeard(t, &heard, "started", "1", "started", "2") // the first restart is at once
		fails = 2
		publish(-1, 3)
		publish(4)
		if got := info(t, r, r.PID().Id+"/s").State; got != StateBackingOff {
			t.Fatalf("got a subscriber that is %s, want %s", got, StateBackingOff)
		}
		wantHeard(t, &heard)
		time.Sleep(400 * time.Millisecond) // its first start fails
		synctest.Wait()
		publish(5)
		time.Sleep(time.Minute)
		synctest.Wait()
		publish(6)
		wantHeard(t, &heard, "started", "3", "4", "5", "6")
		if got := info(t, r, r.PID().Id+"/s").EventsMissed; got != 0 {
			t.Errorf("got %d events missed, want none", got)
		}
	})
}

// An incarnation that subscribes less than the one before it hears less.
func TestASubscriptionThatIsNotRenewedEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var heard journal
		sys, r := startTree(t, Spec{New: Group(
			Spec{Name: "p", New: act(func(c actor.Context) {
				switch m := c.Message().(type) {
				case int, string:
					Publish(c, m)
				}
			})},
			Spec{Name: "s", New: act(func(c actor.Context) {
				switch m := c.Message().(type) {
				case *actor.Started:
					Subscribe[int](c)
					if of(c).cell.incarnation.Load() == 1 {
						Subscribe[string](c)
					}
				case int:
					heard.add("%d", m)
				case string:
					heard.add("%s", m)
					panic("on purpose")
				}
			})},
		)}, Options{})
		synctest.Wait()
		for _, m := range []any{"a", "b", 1} {
			sys.Root.Send(child(sys, r, "p"), m)
			synctest.Wait()
		}
		wantHeard(t, &heard, "a", "1")
		if n := len(r.host.topics); n != 1 {
			t.Errorf("got %d kinds of events with subscribers, want 1", n)
		}
	})
}

// What waits for a subscriber that does not run is bounded, and what is above
// that is counted.
func TestEventsHeldForASubscriberAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var heard journal
		fails := 0
		publish, r := crashingSubscriber(t, Policy{Max: 20, Within: time.Hour}, &heard, &fails)
		publish(-1)
		publish(-1)
		heard.take()
		all := make([]int, EventsHeld+3)
		publish(all...)
		if got := info(t, r, r.PID().Id+"/s").Depth; got != EventsHeld {
			t.Errorf("got %d events that wait, want %d", got, EventsHeld)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		publish(7)
		got := heard.take()
		if want := 1 + EventsHeld + 1; len(got) != want || got[want-1] != "7" {
			t.Errorf("got %d lines that end with %q, want %d with the event after the restart", len(got), got[len(got)-1], want)
		}
		if got := info(t, r, r.PID().Id+"/s").EventsMissed; got != 3 {
			t.Errorf("got %d events missed, want 3", got)
		}
	})
}

// A subscriber that is not restarted is no subscriber any more.
func TestASubscriptionEndsWithItsActor(t *testing.T) {
	for name, policy := range map[string]Policy{
		"temporary": {Action: Temporary}, "isolate": {Action: Isolate, Max: -1, Retry: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var heard journal
				fails := 0
				publish, r := crashingSubscriber(t, policy, &heard, &fails)
				publish(1, -1)
				publish(2)
				if got := strings.Join(heard.take(), " "); got != "started 1" {
					t.Errorf("heard: got %q, want nothing after the end", got)
				}
				if n := len(r.host.topics); n != 0 {
					t.Errorf("got %d kinds of events with subscribers, want none", n)
				}
			})
		})
	}
}
