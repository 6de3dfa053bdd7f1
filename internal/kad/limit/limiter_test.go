package limit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/limit"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

var start = time.Unix(1_800_000_000, 0)

// ask sends n requests at once, and returns how many were allowed, and what the last
// refused one was told.
func ask(l *limit.Limiter, s limit.Source, isStore bool, n int, now time.Time) (allowed int, why limit.Reason, after time.Duration) {
	for range n {
		r, d := l.Request(s, isStore, now)
		if r == limit.Allowed {
			allowed++
			continue
		}
		why, after = r, d
	}
	return allowed, why, after
}

// TestRates asks at once more than each limit allows, and again a second and a minute
// later.
//
// conforms: kad 9
func TestRates(t *testing.T) {
	for _, c := range []struct {
		name                  string
		rates                 overlay.Rates
		s                     limit.Source
		isStore               bool
		burst, second, minute int
		why                   limit.Reason
	}{
		{"native", limit.NativeRates(), limit.Source{ID: "a"}, false, 200, 50, 200, limit.Requests},
		{"native store", limit.NativeRates(), limit.Source{ID: "a"}, true, 100, 10, 100, limit.Stores},
		{"proven address", limit.SeedRates(), limit.Source{ID: "a"}, false, 600, 60, 600, limit.Requests},
		{"address without proof", limit.SeedRates(), limit.Source{ID: "a", Unproven: true}, false, 20, 10, 20, limit.Requests},
	} {
		l := limit.NewLimiter(c.rates)
		got, why, after := ask(l, c.s, c.isStore, 1000, start)
		if got != c.burst || why != c.why || after <= 0 {
			t.Errorf("%s: got %d at once, then %q and %s, want %d and %q", c.name, got, why, after, c.burst, c.why)
		}
		if got, _, _ := ask(l, c.s, c.isStore, 1000, start.Add(time.Second)); got != c.second {
			t.Errorf("%s: got %d a second later, want %d", c.name, got, c.second)
		}
		if got, _, _ := ask(l, c.s, c.isStore, 1000, start.Add(time.Minute)); got != c.minute {
			t.Errorf("%s: got %d a minute later, want %d", c.name, got, c.minute)
		}
	}
}

// TestBurstOfASeed sends what a node of that network sends after a change of its table, and
// ten times that within ten seconds.
//
// conforms: kad 9
func TestBurstOfASeed(t *testing.T) {
	l := limit.NewLimiter(limit.SeedRates())
	s := limit.Source{ID: "/ip4/93.184.216.34/udp/9", Group: "93.184.216.0/24"}
	for i := range 600 {
		if why, _ := l.Request(s, false, start.Add(time.Duration(i)*10*time.Second/600)); why != limit.Allowed {
			t.Fatalf("request %d: got %q, want it answered", i, why)
		}
	}
	l = limit.NewLimiter(limit.SeedRates())
	if got, why, _ := ask(l, s, false, 600, start); got != 600 {
		t.Errorf("all at once: got %d and %q, want 600", got, why)
	}
}

// TestRetryAfter asks again when it was told to, and a millisecond before.
//
// conforms: kad 55
func TestRetryAfter(t *testing.T) {
	for _, isStore := range []bool{false, true} {
		l := limit.NewLimiter(limit.NativeRates())
		s := limit.Source{ID: "a", Group: "g"}
		_, _, after := ask(l, s, isStore, 201, start)
		if why, _ := l.Request(s, isStore, start.Add(after-2*time.Millisecond)); why == limit.Allowed {
			t.Errorf("store %t: got a request allowed before %s", isStore, after)
		}
		if why, _ := l.Request(s, isStore, start.Add(after)); why != limit.Allowed {
			t.Errorf("store %t: got %q after %s, want it allowed", isStore, why, after)
		}
	}
}

// TestGroupAndTotal asks from many sources of one group, of none, and of a group each.
//
// conforms: kad 55
func TestGroupAndTotal(t *testing.T) {
	l := limit.NewLimiter(limit.NativeRates())
	crowd := func(from, n int, group string) (allowed int, last limit.Reason) {
		for i := range n {
			for range 2 {
				why, _ := l.Request(limit.Source{ID: fmt.Sprint(from + i), Group: group}, false, start)
				if why == limit.Allowed {
					allowed++
				} else {
					last = why
				}
			}
		}
		return allowed, last
	}
	if got, why := crowd(0, 2000, "93.184.216.0/24"); got != 1000 || why != limit.GroupRate {
		t.Errorf("one group: got %d and %q, want 1000", got, why)
	}
	if got, why := crowd(10_000, 3000, ""); got != 6000 || why != limit.Allowed {
		t.Errorf("through Tor, without a group: got %d and %q, want all 6,000", got, why)
	}
	if got, why := crowd(20_000, 3000, ""); got != 3000 || why != limit.TotalRate {
		t.Errorf("all together: got %d more and %q, want 10,000 in all", got, why)
	}
	if got := l.Refused(limit.GroupRate); got != 3000 {
		t.Errorf("got %d refused for their group, want 3,000", got)
	}
}

// TestOut sends answers of 64 KiB to one source: 1 MiB at once, and 1 MiB each second.
func TestOut(t *testing.T) {
	l := limit.NewLimiter(limit.NativeRates())
	send := func(now time.Time) (n int) {
		for range 100 {
			if l.Answer(limit.Source{ID: "a"}, 64<<10, now) {
				n++
			}
		}
		return n
	}
	for i, want := range []int{16, 16, 16} {
		if got := send(start.Add(time.Duration(i) * time.Second)); got != want {
			t.Errorf("second %d: got %d answers, want %d", i, got, want)
		}
	}
	if !l.Answer(limit.Source{ID: "b"}, 64<<10, start) {
		t.Error("another source: got no answer")
	}
}

// TestPenalty ignores a source for ten minutes, on each limit of sources and proofs.
//
// conforms: kad 55
func TestPenalty(t *testing.T) {
	l := limit.NewLimiter(limit.SeedRates())
	if !l.Punish("a", start) {
		t.Fatal("got no room for the first penalty")
	}
	for _, s := range []limit.Source{{ID: "a"}, {ID: "a", Unproven: true}, {ID: "a", Group: "g"}} {
		if why, after := l.Request(s, false, start.Add(time.Minute)); why != limit.Punished || after != 9*time.Minute {
			t.Errorf("%+v: got %q and %s, want the penalty and 9m", s, why, after)
		}
	}
	if !l.Ignored("a", start.Add(10*time.Minute-1)) || l.Ignored("b", start) {
		t.Error("got the wrong sources ignored")
	}
	if why, _ := l.Request(limit.Source{ID: "a"}, false, start.Add(10*time.Minute)); why != limit.Allowed {
		t.Errorf("after the penalty: got %q, want the request allowed", why)
	}
	l.Punish("a", start.Add(time.Hour))
	l.Punish("a", start.Add(time.Hour+5*time.Minute))
	if !l.Ignored("a", start.Add(time.Hour+14*time.Minute)) {
		t.Error("got the second penalty over with the first")
	}
}

// TestForgettingEndsNoPenalty lets more sources than are remembered come after a penalty,
// and as many penalties as are remembered.
//
// conforms: kad 55
func TestForgettingEndsNoPenalty(t *testing.T) {
	rates := limit.NativeRates()
	rates.Entries, rates.Total = 100, overlay.Rate{}
	l := limit.NewLimiter(rates)
	l.Punish("bad", start)
	for i := range 10_000 {
		l.Request(limit.Source{ID: fmt.Sprint(i), Group: fmt.Sprint("g", i)}, false, start)
	}
	if sources, _ := l.Remembered(); sources > 100 {
		t.Errorf("got %d sources and groups remembered, want at most 100", sources)
	}
	if !l.Ignored("bad", start) {
		t.Error("got the penalty forgotten")
	}
	for i := range 1000 {
		l.Punish(fmt.Sprint("p", i), start)
	}
	if _, punished := l.Remembered(); punished != 100 {
		t.Errorf("got %d penalties, want 100", punished)
	}
	if l.Punish("one more", start) || l.Refused(limit.Crowded) == 0 || !l.Ignored("bad", start) || !l.Ignored("p0", start) {
		t.Error("got a penalty forgotten for another one")
	}
	if !l.Punish("one more", start.Add(10*time.Minute)) {
		t.Error("got no room after the penalties had ended")
	}
}

// TestEntries counts the sources that are remembered, which is what bounds memory: half of
// them are addresses without proof, and groups.
//
// conforms: kad 55
func TestEntries(t *testing.T) {
	rates := limit.SeedRates()
	if rates.Entries != 65_536 || limit.NativeRates().Entries != 65_536 {
		t.Errorf("got %d entries, want 65,536", rates.Entries)
	}
	rates.Entries = 1000
	l := limit.NewLimiter(rates)
	for i, want := range []int{500, 1000} {
		for j := range 2000 {
			l.Request(limit.Source{ID: fmt.Sprint(j), Unproven: i == 0}, false, start.Add(time.Duration(i*2000+j)*time.Second))
		}
		if sources, _ := l.Remembered(); sources != want {
			t.Errorf("got %d sources, want %d", sources, want)
		}
	}
}

// TestInventedSources asks from as many invented addresses as it takes, in one group and in
// many. A source whose address is proven goes on, and its own limit is not forgotten.
//
// conforms: kad 55
func TestInventedSources(t *testing.T) {
	rates := limit.SeedRates()
	rates.Entries = 1000
	l := limit.NewLimiter(rates)
	known := limit.Source{ID: "known", Group: "g"}
	if got, _, _ := ask(l, known, false, 1000, start); got != 600 {
		t.Fatalf("got %d requests of the known source, want 600", got)
	}
	invented := func(group func(i int) string) (last limit.Reason) {
		for i := range 20_000 {
			why, _ := l.Request(limit.Source{ID: fmt.Sprint("i", i), Group: group(i), Unproven: true}, false, start.Add(time.Second))
			if why != limit.Allowed {
				last = why
			}
		}
		return last
	}
	if why := invented(func(int) string { return "g" }); why != limit.GroupRate {
		t.Errorf("in one group: got %q, want its limit", why)
	}
	if why := invented(func(i int) string { return fmt.Sprint(i) }); why != limit.TotalRate {
		t.Errorf("in many groups: got %q, want the limit of all", why)
	}
	if got, why, _ := ask(l, known, false, 1000, start.Add(time.Second)); got != 60 || why != limit.Requests {
		t.Errorf("the known source: got %d and %q a second later, want 60, and its own limit", got, why)
	}
}

// TestClockThatGoesBack gives nothing away, and does not stop.
func TestClockThatGoesBack(t *testing.T) {
	l := limit.NewLimiter(limit.NativeRates())
	s := limit.Source{ID: "a"}
	ask(l, s, false, 200, start)
	if got, _, _ := ask(l, s, false, 10, start.Add(-time.Hour)); got != 0 {
		t.Errorf("an hour back: got %d allowed, want none", got)
	}
	if got, _, _ := ask(l, s, false, 100, start.Add(time.Second)); got != 50 {
		t.Errorf("a second on: got %d allowed, want 50", got)
	}
}
