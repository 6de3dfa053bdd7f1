package keepalive_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gamelan-p2p/gamelan/internal/transport/keepalive"
)

// question is one Prove.
type question struct {
	at, notBefore time.Time
	proven        bool
}

// TestModel lets random events happen to a machine whose Wakes and pings are
// carried out.
//
// conforms: comms 147
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		interval := rapid.SampledFrom([]time.Duration{0, 50 * time.Millisecond, 30 * time.Second}).Draw(t, "interval")
		now := start
		m := keepalive.New[int](now, interval)
		asked := make([][]question, 3) // by asker; mark N is element N-1
		var flights []time.Time        // when the pings in flight left
		var left, heard time.Time      // when the ping left that is answered; the last sign of life
		heard = now
		var wakes []time.Time

		apply := func(f keepalive.Effects[int]) {
			for _, p := range f.Proven {
				q := &asked[p.Key][p.N-1]
				if q.at.After(left) || q.notBefore.After(left) {
					t.Fatalf("got a mark of %v, not before %v, proven by a ping that left at %v",
						q.at.Sub(start), q.notBefore.Sub(start), left.Sub(start))
				}
				q.proven = true
			}
			if f.Ping {
				if n := len(flights); n == 8 || n > 0 && !now.After(flights[n-1]) {
					t.Fatalf("got a ping at %v, with those of %v in flight", now.Sub(start), flights)
				}
				wanted := len(flights) == 0 && interval > 0 && !heard.Add(interval).After(now)
				for _, list := range asked {
					for _, q := range list {
						wanted = wanted || !q.proven && !q.notBefore.After(now)
					}
				}
				if !wanted {
					t.Fatalf("got a ping that nobody needs at %v", now.Sub(start))
				}
				flights = append(flights, now)
			}
			if !f.Wake.IsZero() {
				if !f.Wake.After(now) {
					t.Fatalf("got a Wake at %v, want one later than now, %v", f.Wake.Sub(start), now.Sub(start))
				}
				wakes = append(wakes, f.Wake)
			}
		}
		ring := func() {
			come := 0
			for _, at := range wakes {
				if !at.After(now) {
					come++
				}
			}
			wakes = slices.DeleteFunc(wakes, func(at time.Time) bool { return !at.After(now) })
			for range come {
				apply(m.Due(now))
			}
		}
		pong := func() {
			left, flights = flights[0], flights[1:]
			heard = now
			f := m.Ponged(now)
			apply(keepalive.Effects[int]{Proven: f.Proven}) // by the ping that is back, not by the next
			apply(keepalive.Effects[int]{Ping: f.Ping, Wake: f.Wake})
		}
		apply(m.Due(now))
		t.Repeat(map[string]func(*rapid.T){
			"prove": func(t *rapid.T) {
				key := rapid.IntRange(0, 2).Draw(t, "asker")
				in := time.Duration(rapid.SampledFrom([]int{-1000, 0, 1, 100}).Draw(t, "in")) * time.Millisecond
				asked[key] = append(asked[key], question{at: now, notBefore: now.Add(in)})
				apply(m.Prove(now, keepalive.Mark[int]{Key: key, N: uint64(len(asked[key]))}, now.Add(in)))
			},
			"pong": func(t *rapid.T) {
				if len(flights) == 0 {
					t.Skip()
				}
				pong()
			},
			"heard": func(*rapid.T) {
				heard = now
				m.Heard(now)
				m.Heard(start) // an older one says nothing
			},
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.SampledFrom([]int{1, 2, 30, 100, 10_000}).Draw(t, "ms")) * time.Millisecond)
				ring()
			},
			"next wake": func(t *rapid.T) {
				if len(wakes) == 0 {
					t.Skip()
				}
				now = slices.MinFunc(wakes, time.Time.Compare)
				ring()
			},
			"noise": func(*rapid.T) {
				apply(m.Due(now))
				if len(flights) == 0 {
					f := m.Ponged(now)
					if len(f.Proven) > 0 {
						t.Fatalf("got %v proven without a ping", f.Proven)
					}
					apply(f)
				}
			},
			"": func(*rapid.T) {
				if len(wakes) > 4+8 {
					t.Fatalf("got %d Wakes that stand, want at most one for each asker, the silence and each ping in flight", len(wakes))
				}
				if interval > 0 && len(flights) == 0 && len(wakes) == 0 {
					t.Fatalf("got neither a ping nor a Wake, want the keep-alive to go on")
				}
			},
		})

		// From now on every ping is answered: every asker's last mark is proven.
		for range 20 {
			if len(flights) > 0 {
				now = now.Add(time.Millisecond)
				pong()
			} else if len(wakes) > 0 {
				now = slices.MinFunc(wakes, time.Time.Compare)
				ring()
			}
		}
		for key, list := range asked {
			if len(list) > 0 && !list[len(list)-1].proven {
				t.Fatalf("got the last mark of %d unproven, want it proven", key)
			}
		}
	})
}

// TestIdleConnection pings once in each interval of silence, whatever else rings
// in between.
func TestIdleConnection(t *testing.T) {
	now := start
	m := keepalive.New[int](now, 30*time.Second)
	next := m.Due(now).Wake
	var pings []time.Duration
	for len(pings) < 4 {
		m.Due(now.Add(7 * time.Second)) // a stale one
		now = next
		f := m.Due(now)
		if !f.Ping {
			t.Fatalf("got no ping at %v, want one", now.Sub(start))
		}
		pings = append(pings, now.Sub(start))
		now = now.Add(100 * time.Millisecond)
		next = m.Ponged(now).Wake
	}
	want := []time.Duration{30 * time.Second, 60_100 * time.Millisecond, 90_200 * time.Millisecond, 120_300 * time.Millisecond}
	if !slices.Equal(pings, want) {
		t.Errorf("got pings at %v, want %v", pings, want)
	}
}

// TestAllocates nothing in steady state.
func TestAllocates(t *testing.T) {
	now := start
	m := keepalive.New[int](now, time.Minute)
	n := uint64(0)
	got := testing.AllocsPerRun(100, func() {
		for key := range 3 {
			n++
			m.Prove(now, keepalive.Mark[int]{Key: key, N: n}, now)
		}
		m.Ponged(now)
		now = now.Add(time.Millisecond)
		m.Ponged(now)
	})
	if got > 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}
