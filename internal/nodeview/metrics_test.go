package nodeview

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

type counted struct {
	N int `metric:"counted" help:"Things."`
}

// errorsOf returns the texts of the errors among values, and how many are no error.
func errorsOf(all []any) (wrong string, fine int) {
	for _, v := range all {
		if err, ok := v.(error); ok {
			wrong += err.Error() + "\n"
		} else {
			fine++
		}
	}
	return wrong, fine
}

// TestMetricsOfParts: a part that panics, and one that never returns, are errors. The others and the trunk have their
// metrics all the same, within little more than a second. A part that never returns is called a few times only.
func TestMetricsOfParts(t *testing.T) {
	release := make(chan struct{})
	var calls atomic.Int32
	parts := []actors.Part{
		{Name: "fine", Metrics: func(context.Context) any { return counted{7} }},
		{Name: "none"},
		{Name: "patient", Metrics: func(ctx context.Context) any { <-ctx.Done(); return (*counted)(nil) }},
		{Name: "bug", Metrics: func(context.Context) any { panic("a bug") }},
		{Name: "stuck", Metrics: func(context.Context) any { calls.Add(1); <-release; return counted{1} }},
	}
	synctest.Test(t, func(t *testing.T) {
		release = make(chan struct{})
		v := newView(t, parts...)
		for i := range 2 * maxMeasuring {
			began := time.Now()
			all := v.Metrics(t.Context())
			if took := time.Since(began); took > partTimeout+partGrace {
				t.Errorf("took %v", took)
			}
			wrong, fine := errorsOf(all)
			if fine != 3 || !strings.Contains(wrong, "the part bug panicked in its Metrics: a bug") {
				t.Errorf("got %d values and the errors %q", fine, wrong)
			}
			if want := map[bool]string{true: "does not return from its Metrics in time", false: "the part stuck does not return"}[i < maxMeasuring]; !strings.Contains(wrong, want) {
				t.Errorf("call %d: got the errors %q, want %q", i, wrong, want)
			}
		}
		if n := calls.Load(); n != maxMeasuring {
			t.Errorf("the part that never returns was called %d times, want %d", n, maxMeasuring)
		}
		close(release)
		synctest.Wait()
		if wrong, fine := errorsOf(v.Metrics(t.Context())); fine != 4 || strings.Contains(wrong, "return") {
			t.Errorf("got %d values and the errors %q, want those of the part that returns again", fine, wrong)
		}
	})
}

// TestTrunkMetrics: the tags of the trunk's metrics are right, and the state that is not known is left out.
func TestTrunkMetrics(t *testing.T) {
	v := newView(t)
	has := func() bool {
		list, err := models.Measure(v.Metrics(t.Context())[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if s.Metric.Name == "gamelan_online" {
				return s.Value == 1
			}
		}
		return false
	}
	if !has() {
		t.Error("got no gamelan_online of a node that is online")
	}
	v.Status = func(context.Context) (actors.Status, error) { return actors.Status{}, context.DeadlineExceeded }
	if has() {
		t.Error("got gamelan_online of a node whose state is not known")
	}
}
