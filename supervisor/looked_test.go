package supervisor

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"
)

// TestWatchers: an actor's description names who is told of its end, and forgets who does not want to be.
func TestWatchers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var other *actor.PID
		sys, r := startTree(t, Spec{New: Group(
			Spec{Name: "watched", New: act(func(actor.Context) {})},
			Spec{Name: "watcher", New: act(func(c actor.Context) {
				switch c.Message() {
				case "watch":
					c.Watch(other)
				case "leave":
					c.Unwatch(other)
				}
			})},
		)}, Options{})
		other = child(sys, r, "watched")
		watcher := child(sys, r, "watcher")
		for _, c := range []struct {
			say  string
			want []string
		}{{"nothing", nil}, {"watch", []string{watcher.Id}}, {"watch", []string{watcher.Id}}, {"leave", nil}} {
			sys.Root.Send(watcher, c.say)
			synctest.Wait()
			if got := info(t, r, other.Id).Watchers; !slices.Equal(got, c.want) {
				t.Errorf("after %q: got the watchers %v, want %v", c.say, got, c.want)
			}
		}
	})
}

// TestLooksAreNoMessages: who looks at an actor does not change what it has handled.
func TestLooksAreNoMessages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "a", New: act(func(actor.Context) {})})}, Options{})
		a := child(sys, r, "a")
		for range 3 {
			sys.Root.Send(a, "work")
			for range 5 {
				if _, err := r.Inspect(t.Context(), a.Id); err != nil {
					t.Fatal(err)
				}
			}
		}
		synctest.Wait()
		if got := info(t, r, a.Id).Handled; got != 3 {
			t.Errorf("got %d messages handled, want 3", got)
		}
	})
}
