package supervisor

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// slowLog is a log that takes a minute for each report of a stuck actor.
type slowLog struct{ *logSink }

func (l slowLog) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "actor stuck" {
		time.Sleep(time.Minute)
	}
	return l.logSink.Handle(ctx, r)
}

func (l slowLog) WithAttrs([]slog.Attr) slog.Handler { return l }

// TestWatchdogSkipsWhatHasGoneOn reports one of two stuck actors: while it does, the other
// one ends its work.
func TestWatchdogSkipsWhatHasGoneOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		log := slowLog{&logSink{}}
		busy := act(func(c actor.Context) {
			if d, ok := c.Message().(time.Duration); ok {
				dawdle(d)
			}
		})
		sys, r := startTree(t, Spec{New: Group(Spec{Name: "a", New: busy}, Spec{Name: "b", New: busy})}, Options{Logger: slog.New(log)})
		synctest.Wait()
		for _, name := range []string{"a", "b"} {
			sys.Root.Send(child(sys, r, name), 30*time.Second)
		}
		pass(5 * time.Minute)
		if got := log.count("actor stuck"); got != 1 {
			t.Errorf("got %d reports, want 1", got)
		}
	})
}

// TestDumpsAreSpaced has dumps that take a second each: the next one is taken twenty
// seconds later, on whichever clock.
func TestDumpsAreSpaced(t *testing.T) {
	var d dumps
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time {
		defer func() { now = now.Add(time.Second) }()
		return now
	}
	for _, step := range []struct {
		pass time.Duration
		want bool
	}{{0, true}, {0, false}, {17 * time.Second, false}, {2 * time.Second, true}, {-100 * time.Hour, true}} {
		now = now.Add(step.pass)
		if got := d.take(clock) != ""; got != step.want {
			t.Errorf("after %v: got stacks %v, want %v", step.pass, got, step.want)
		}
	}
}
