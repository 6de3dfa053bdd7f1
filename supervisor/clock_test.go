package supervisor

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/stepped"
)

const day = 24 * time.Hour

// TestRealNow: the date and the seconds of Now advance with its monotonic
// reading, whatever the system's clock does.
func TestRealNow(t *testing.T) {
	const age = 90 * time.Minute
	about := func(got, want time.Duration) bool { return got >= want && got < want+time.Minute }
	for _, d := range []time.Duration{0, day, -day} {
		// A runtime that began 90 minutes ago, before the clock was set by d.
		rt := realTime{stepped.Time(time.Now().Add(-age), -d)}
		now := rt.Now()
		if got := now.Sub(rt.start); !about(got, age) {
			t.Errorf("step %v: got a monotonic reading of %v since the start, want %v", d, got, age)
		}
		if got := now.Round(0).Sub(rt.start.Round(0)); !about(got, age) {
			t.Errorf("step %v: got a date %v after the start's, want %v", d, got, age)
		}
		if got := time.Since(now); !about(got, 0) {
			t.Errorf("step %v: got a monotonic reading %v ago, want now: connections take it for their deadlines", d, got)
		}
		if got := rt.Wall().Sub(now.Round(0)); !about(got, d) {
			t.Errorf("step %v: got Wall ahead of Now by %v, want %v", d, got, d)
		}
		if got := time.Now().Round(0).Sub(OnWall(rt, rt.start)); !about(got, age) {
			t.Errorf("step %v: OnWall: got the start %v ago, want %v", d, got, age)
		}
	}
}

// TestWallHasNoMonotonicReading: times of the system's clock compare as they do
// when they come back from the disk.
func TestWallHasNoMonotonicReading(t *testing.T) {
	if w := Real().Wall(); w != w.Round(0) {
		t.Errorf("got %v, want it without a monotonic reading", w)
	}
	if rt := Real(); !OnWall(rt, time.Time{}).IsZero() {
		t.Error("OnWall of no time: got one, want none")
	}
}

// TestSeededWall: one clock of a simulation can be stepped, the other cannot.
func TestSeededWall(t *testing.T) {
	begin := time.Unix(1_800_000_000, 0)
	for _, d := range []time.Duration{day, -day} {
		rt := NewSeeded(1, begin)
		rt.StepWall(d)
		rt.Run(begin.Add(time.Hour))
		if got := rt.Now().Sub(begin); got != time.Hour {
			t.Errorf("step %v: Now advanced by %v, want 1h", d, got)
		}
		if got := rt.Wall().Sub(rt.Now()); got != d {
			t.Errorf("step %v: got Wall ahead by %v", d, got)
		}
	}
}

// TestTimersDoNotStep: At, After, Every and the restart budget measure with Now.
func TestTimersDoNotStep(t *testing.T) {
	for _, d := range []time.Duration{day, -day} {
		begin := time.Unix(1_800_000_000, 0)
		rt := NewSeeded(1, begin)
		heard := map[string][]time.Duration{}
		var wall time.Time
		r, err := Start(newSystem(), "t", Spec{Name: "tree", New: func() actor.Actor {
			return actor.ReceiveFunc(func(c actor.Context) {
				switch m := c.Message().(type) {
				case *actor.Started:
					At(c, Now(c).Add(30*time.Second), "at")
					After(c, 40*time.Second, "after")
					Every(c, 25*time.Second, "every")
				case string:
					heard[m] = append(heard[m], Now(c).Sub(begin).Round(time.Second))
					wall = Wall(c)
				}
			})
		}}, Options{Runtime: rt, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		rt.Run(begin.Add(10 * time.Second))
		rt.StepWall(d)
		rt.Run(begin.Add(time.Minute))
		if len(heard["at"]) != 1 || heard["at"][0] != 30*time.Second || len(heard["after"]) != 1 || heard["after"][0] != 40*time.Second || len(heard["every"]) != 2 {
			t.Errorf("step %v: got %v, want at 30s, after 40s, every 25s", d, heard)
		}
		if got := wall.Sub(begin.Add(d)); got < 40*time.Second || got > time.Minute {
			t.Errorf("step %v: got Wall in a turn %v after the stepped begin, want under a minute", d, got)
		}
		if err := r.Stop(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
}
