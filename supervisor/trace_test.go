package supervisor

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// TestTrace shows the messages of one actor, over its restart, with a panic among them, until it is ended.
func TestTrace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "a", New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case time.Duration:
				pass(m)
			case string:
				panic(m)
			}
		})})}, Options{Logger: quiet})
		a := child(sys, r, "a")
		var seen []Traced
		if _, err := r.Trace("nobody", nil); !errors.Is(err, ErrNoActor) {
			t.Errorf("got %v, want ErrNoActor", err)
		}
		stop, err := r.Trace(a.Id, func(m Traced) { seen = append(seen, m) })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Trace(a.Id, nil); !errors.Is(err, ErrTraced) {
			t.Errorf("got %v, want ErrTraced", err)
		}
		from := sys.NewLocalPID("somebody")
		sys.Root.RequestWithCustomSender(a, 3*time.Second, from)
		sys.Root.Send(a, 1)
		synctest.Wait()
		if _, err := r.Inspect(t.Context(), a.Id); err != nil {
			t.Error(err)
		}
		sys.Root.Send(a, "a bug")
		time.Sleep(time.Minute)
		sys.Root.Send(a, 2)
		time.Sleep(time.Minute)
		stop()
		sys.Root.Send(a, 3)
		time.Sleep(time.Minute)
		want := []Traced{
			{Message: "time.Duration", From: "somebody", Took: 3 * time.Second, Waiting: 2}, // behind it: the next one, and Inspect
			{Message: "int", Waiting: 1}, {Message: "string", Failed: true}, {Message: "int"},
		}
		if len(seen) < len(want) {
			t.Fatalf("got %+v", seen)
		}
		var plain []Traced
		for _, m := range seen {
			if m.At.IsZero() {
				t.Errorf("got %+v, want a time", m)
			}
			m.At = time.Time{}
			if m.Message == "time.Duration" || m.Message == "int" || m.Message == "string" {
				plain = append(plain, m)
			}
		}
		if len(plain) != len(want) {
			t.Fatalf("got %+v, want %+v", plain, want)
		}
		for i := range want {
			if plain[i] != want[i] {
				t.Errorf("got %+v, want %+v", plain[i], want[i])
			}
		}
		if stop, err = r.Trace(a.Id, func(Traced) {}); err != nil {
			t.Errorf("after the end: %v", err)
		}
		stop()
	})
}

// TestTraceOfAnActorThatEnds: its end is told once, also when it ends with a restart of its parent; the next child is another actor.
func TestTraceOfAnActorThatEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, r := startTree(t, Spec{New: Group(Spec{Name: "parent", New: Group(Spec{Name: "a", New: act(func(actor.Context) {})})})}, Options{Logger: quiet})
		var seen []Traced
		stop, err := r.Trace(r.PID().Id+"/parent/a", func(m Traced) { seen = append(seen, m) })
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := r.Restart(t.Context(), r.PID().Id+"/parent"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if len(seen) == 0 || !seen[len(seen)-1].Ended || seen[len(seen)-1].At.IsZero() || len(seen) > 1 && seen[len(seen)-2].Ended {
			t.Errorf("got %+v, want one end", seen)
		}
		stop()
		if stop, err = r.Trace(r.PID().Id+"/parent/a", func(Traced) {}); err != nil {
			t.Errorf("the next child: %v", err)
		}
		stop()
	})
}
