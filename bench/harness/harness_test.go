package harness

import (
	"errors"
	"math"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// childGroups is what the re-executed test program knows.
var childGroups = []Group{{Name: "children", Cases: []Case{
	{Name: "child/fine", Fresh: true, Run: func(m *Meter) error {
		m.Report("pid", float64(os.Getpid()))
		return m.Latencies([]time.Duration{1, 2, 3})
	}},
	{Name: "child/broken", Fresh: true, Run: func(*Meter) error { return errors.New("no luck") }},
}}}

func TestMain(m *testing.M) {
	if was, err := Child(childGroups, time.Millisecond); was {
		if err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestRotation(t *testing.T) {
	var got []string
	record := func(name string) Case {
		return Case{Name: name, Run: func(m *Meter) error {
			got = append(got, name)
			return m.Batch(1, func() error { return nil })
		}}
	}
	short := record("c")
	short.Rounds = 1
	if _, err := Run([]Group{{Name: "g", Cases: []Case{record("a"), record("b"), short}}}, Options{Rounds: 3}); err != nil {
		t.Fatal(err)
	}
	if want := "a b c b a a b"; strings.Join(got, " ") != want {
		t.Errorf("got order %v, want %s", got, want)
	}
}

func TestRatioInsideRound(t *testing.T) {
	groups := []GroupResult{{Name: "g", Cases: []CaseResult{
		{Name: "anchor", Samples: map[int]Sample{0: {CPU: 10}, 1: {CPU: 100}, 2: {CPU: 1000}}},
		{Name: "other", Samples: map[int]Sample{0: {CPU: 10}, 1: {CPU: 100}}},
		{Name: "third", Samples: map[int]Sample{0: {CPU: 40}, 1: {CPU: 400}}},
		{Name: "product", Samples: map[int]Sample{0: {CPU: 20}, 1: {CPU: 100}, 2: {CPU: 5000}, 3: {CPU: 1}}},
	}}}
	got := Judge([]Target{
		{ID: "ratio", Case: "product", Metric: CPU, Relation: Ratio, Against: []string{"anchor"}, Bound: 2, Stretch: 1},
		{ID: "sum", Case: "product", Metric: CPU, Relation: Ratio, Against: []string{"anchor", "other"}, Bound: 1},
		{ID: "least", Case: "product", Metric: CPU, Relation: Ratio, Against: []string{"third", "anchor"}, Best: true, Bound: 1},
		{ID: "most", Case: "product", Metric: CPU, Relation: Ratio, Against: []string{"anchor", "third"}, Best: true, AtLeast: true, Bound: 0.25},
		{ID: "difference", Case: "product", Metric: CPU, Relation: Difference, Against: []string{"anchor"}, AtLeast: true, Bound: 20},
		{ID: "absolute", Case: "product", Metric: CPU, Relation: Absolute, Bound: 7},
		{ID: "missing", Case: "nobody", Metric: CPU, Relation: Absolute, Bound: 7},
	}, groups)
	want := []struct {
		spread  Spread
		verdict string
	}{
		{Spread{1, 2, 5}, "met"},
		{Spread{0.5, 0.75, 1}, "met"},
		{Spread{1, 1.5, 2}, "missed"},
		{Spread{0.25, 0.375, 0.5}, "met"},
		{Spread{0, 10, 4000}, "missed"},
		{Spread{1, 60, 5000}, "missed"},
		{Spread{}, "not measured"},
	}
	for i, w := range want {
		if got[i].Spread != w.spread || got[i].Verdict() != w.verdict {
			t.Errorf("%s: got %v, %s, want %v, %s", got[i].ID, got[i].Spread, got[i].Verdict(), w.spread, w.verdict)
		}
	}
}

func TestPercentiles(t *testing.T) {
	var all []time.Duration
	for i := 100; i >= 1; i-- {
		all = append(all, time.Duration(i))
	}
	if p50, p99 := percentiles(all); p50 != 50 || p99 != 99 {
		t.Errorf("got %v and %v, want 50 and 99", p50, p99)
	}
	if p50, p99 := percentiles([]time.Duration{7}); p50 != 7 || p99 != 7 {
		t.Errorf("got %v and %v, want 7 and 7", p50, p99)
	}
}

func TestFreshProcess(t *testing.T) {
	results, err := Run(childGroups, Options{Rounds: 1})
	if err == nil || !strings.Contains(err.Error(), "no luck") {
		t.Errorf("got error %v, want the broken child's own words", err)
	}
	fine := results[0].Cases[0].Samples[0]
	if pid := int(fine["pid"]); pid == 0 || pid == os.Getpid() {
		t.Errorf("got pid %d, want that of another process", pid)
	}
	if fine[P50] != 2 {
		t.Errorf("got p50 %v, want 2", fine[P50])
	}
	if n := len(results[0].Cases[1].Samples); n != 0 {
		t.Errorf("got %d samples of a failed case, want 0", n)
	}
}

func TestMemoryCountsWhatIsKept(t *testing.T) {
	const ends, each = 100, 10_000
	m := &Meter{ctx: t.Context(), sample: Sample{}}
	stop := make(chan struct{})
	err := m.Memory(ends, 0, func() (func(), error) {
		kept := make([][]byte, ends)
		for i := range kept {
			kept[i] = make([]byte, each)
			go func() { <-stop }()
		}
		return func() { close(stop); clear(kept) }, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := m.sample[PerEnd]; got < each || got > 2*each {
		t.Errorf("got %v bytes per end, want a little over %d", got, each)
	}
	if got := m.sample[Goroutines]; got != 1 {
		t.Errorf("got %v goroutines per end, want 1", got)
	}
}

func TestWatchMemory(t *testing.T) {
	const each = 64 << 20
	quiet := WatchMemory()
	before := quiet()
	peak := WatchMemory()
	b := make([]byte, each)
	got := peak()
	runtime.KeepAlive(b)
	if got < before+each*9/10 {
		t.Errorf("got a peak of %d, want at least %d more than %d", got, each, before)
	}
}

func TestLoopAndFlow(t *testing.T) {
	m := &Meter{ctx: t.Context(), window: 5 * time.Millisecond, sample: Sample{}}
	m.SetBytes(1000)
	ops := 0
	if err := m.Loop(3, func() error { ops++; return nil }); err != nil {
		t.Fatal(err)
	}
	if ops < 4 || m.sample[Rate] <= 0 || math.Abs(m.sample[Throughput]*1000/m.sample[Rate]-1) > 1e-9 {
		t.Errorf("got %d operations and %v, want a rate and its throughput", ops, m.sample)
	}
	if err := m.Loop(0, func() error { return errors.New("broken") }); err == nil {
		t.Error("got no error from an operation that fails")
	}
	if err := m.Flow(func() uint64 { return 5 }); err == nil {
		t.Error("got no error when nothing is received")
	}
	if _, err := measure(Case{Run: func(*Meter) error { return nil }}, 0); err == nil {
		t.Error("got no error from a case that measures nothing")
	}
}

func TestReport(t *testing.T) {
	results, err := Run([]Group{{Name: "g", About: "two of a kind", Cases: []Case{
		{Name: "g/first", Run: func(m *Meter) error { m.Report(CPU, 10); return m.Latencies([]time.Duration{1}) }},
		{Name: "g/second", Run: func(m *Meter) error { m.Report(CPU, 15); return m.Latencies([]time.Duration{1}) }},
	}}}, Options{Rounds: 2, Select: regexp.MustCompile("^g$")})
	if err != nil {
		t.Fatal(err)
	}
	r := Report{Machine: Describe(), Rounds: 2, Groups: results, Targets: Judge([]Target{
		{ID: "P0", Case: "g/second", Metric: CPU, Relation: Ratio, Against: []string{"g/first"}, Bound: 1},
	}, results)}
	r.Machine.Commit = "0123456789ab"
	path, err := r.Save(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"two of a kind", "× 1.50 (1.50–1.50)", "1.50 / 1.50 / 1.50", "≤ 1.00", "missed", "commit 0123456789ab"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("got no %q in\n%s", want, text)
		}
	}
	if !strings.HasSuffix(path, "-0123456789ab.txt") {
		t.Errorf("got file %s, want it named by date and commit", path)
	}
}

func TestShort(t *testing.T) {
	got := []string{}
	for _, v := range []float64{0.1234, 12.34, 1234, 12345, 5e6, 1.5e9} {
		got = append(got, short(v))
	}
	if want := []string{"0.12", "12.3", "1234", "12.3k", "5.00M", "1.50G"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
