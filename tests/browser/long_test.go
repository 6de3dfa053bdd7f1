package browser

import (
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/chromedp/chromedp"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// drawn are the milliseconds of script that each update of the page has taken since the last call.
func (b *tab) drawn(t *testing.T) (all []float64) {
	t.Helper()
	b.run(t, chromedp.Evaluate(`gamelan.drawn.splice(0)`, &all))
	slices.Sort(all)
	return all
}

// quantile of sorted values; 0 without any.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1))]
}

// crowd has many children.
type crowd struct{ n int }

func (a crowd) Receive(c actor.Context) {
	if _, ok := c.Message().(*actor.Started); ok {
		for i := range a.n {
			supervisor.Spawn(c, supervisor.Spec{Name: "member-" + strconv.Itoa(i), New: func() actor.Actor { return actor.ReceiveFunc(func(actor.Context) {}) }})
		}
	}
}

// TestManyActors opens a tree of 5,000 actors, scrolls through it and searches it. The log has the time of script
// for an update (wanted: 16 ms at most).
func TestManyActors(t *testing.T) {
	const many = 5000
	s := opened(t, hostile)
	if _, err := s.Spawn(t.Context(), "crowd", func(*gamelan.Node) actor.Actor { return crowd{many} }); err != nil {
		t.Fatal(err)
	}
	b := chrome(t, s.ui(t))
	b.open(t, "tree", "extensions")
	b.run(t, chromedp.Evaluate(`window.fold = name => [...document.querySelectorAll('.row')].find(r => r.querySelector('.name').textContent === name).querySelector('.fold').click()`, nil))
	b.run(t, chromedp.Evaluate("fold('extensions')", nil))
	b.sees(t, "crowd")
	b.run(t, chromedp.Evaluate("fold('crowd')", nil))
	b.sees(t, "member-100")
	b.drawn(t)
	var rows int
	for range 10 {
		b.run(t, chromedp.Evaluate("document.querySelector('.tree').scrollTop += 7000", nil), chromedp.Sleep(500*time.Millisecond), chromedp.Evaluate("document.querySelectorAll('.row').length", &rows))
		if rows < 10 || rows > 200 {
			t.Fatalf("got %d rows, want those that are seen", rows)
		}
	}
	scrolled := b.drawn(t)
	b.run(t, chromedp.SendKeys("main input[type=search]", "member-4321", chromedp.ByQuery))
	b.sees(t, "member-4321")
	found := b.drawn(t)
	t.Logf("script for an update with %d actors: half %.1f ms, 99 %% %.1f ms, most %.1f ms; while searching most %.1f ms", many, quantile(scrolled, 0.5), quantile(scrolled, 0.99), quantile(scrolled, 1), quantile(found, 1))
	b.settled(t, "the tree")
}

// TestWatching watches a node for GAMELAN_WATCH, such as 30m, on one page after the other. What the browser
// keeps after a collection does not grow.
func TestWatching(t *testing.T) {
	long, err := time.ParseDuration(os.Getenv("GAMELAN_WATCH"))
	if err != nil {
		t.Skip("set GAMELAN_WATCH to a time, such as 30m")
	}
	s := opened(t, hostile)
	b := chrome(t, s.ui(t))
	heap := func() float64 {
		var kept float64
		b.run(t, chromedp.Evaluate("gc(); gc(); performance.memory.usedJSHeapSize / 1e6", &kept))
		return kept
	}
	var all []float64
	begin := time.Now()
	for round := 0; time.Since(begin) < long; round++ {
		for _, p := range pages(s) {
			b.run(t, chromedp.Evaluate("location.hash = '#/"+p.at+"'", nil), chromedp.Sleep(3*time.Second))
		}
		all = append(all, heap())
		t.Logf("after %3.0f min: %.2f MB", time.Since(begin).Minutes(), all[round])
	}
	b.settled(t, "watching")
	// the time line and the sparks fill in the first rounds
	if n := len(all); n >= 12 && quantile(slices.Sorted(slices.Values(all[n-n/4:])), 0.5) > 1.25*quantile(slices.Sorted(slices.Values(all[n/4:n/2])), 0.5) {
		t.Errorf("the page keeps more and more: %v MB", all)
	}
}
