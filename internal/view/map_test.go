package view_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/view"
)

// TestMapIsAMap compares a Map that grows and shrinks with Go's own.
func TestMapIsAMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var m view.Map[int, int]
	want := make(map[int]int)
	for round := range 60_000 {
		keys := 5000
		if round/20_000 == 1 {
			keys = 40 // and thousands are deleted
		}
		k := r.IntN(keys)
		switch r.IntN(3) {
		case 0:
			_, there := want[k]
			delete(want, k)
			if m.Delete(k) != there {
				t.Fatalf("round %d: got %v for deleting %d, want %v", round, !there, k, there)
			}
		default:
			m.Set(k, round)
			want[k] = round
		}
		if round/20_000 == 1 && round%2 == 0 {
			for k := range want {
				m.Delete(k)
				delete(want, k)
				break
			}
		}
		if v, ok := m.Get(k); m.Len() != len(want) || v != want[k] || ok != (want[k] != 0) && round > 0 {
			t.Fatalf("round %d: got %d, %v and %d entries, want %d and %d entries", round, v, ok, m.Len(), want[k], len(want))
		}
		if round%1000 == 999 {
			if got := maps.Collect(m.All()); !maps.Equal(got, want) {
				t.Fatalf("round %d: got %d entries, want the %d of a map", round, len(got), len(want))
			}
		}
	}
	more := map[int]int{1: -1, 9999: -2}
	m.SetAll(more)
	maps.Copy(want, more)
	if got := m.Clear(); !maps.Equal(got, want) || m.Len() != 0 {
		t.Errorf("got %d entries cleared, want %d", len(got), len(want))
	}
}

// TestMapLoopWhileItChanges: what is there all the time comes exactly once,
// though the map grows and shrinks during the loop.
func TestMapLoopWhileItChanges(t *testing.T) {
	for _, size := range []int{10, 1000} {
		var m view.Map[int, int]
		for i := range size {
			m.Set(i, i)
		}
		seen := make(map[int]int)
		n := 0
		for k := range m.All() {
			seen[k]++
			for range 5 {
				n++
				m.Set(size+n, 0)
			}
			if n == 5*size/2 {
				for i := range n {
					m.Delete(size + i)
				}
			}
		}
		for i := range size {
			if seen[i] != 1 {
				t.Fatalf("size %d: got entry %d %d times, want once", size, i, seen[i])
			}
		}
	}
}

// TestMapCostIsLinear counts the bytes that n changes take; twice as many take
// twice as much, whether the map grows, changes or shrinks.
func TestMapCostIsLinear(t *testing.T) {
	type key [13]byte
	at := func(i int) (k key) { copy(k[:], fmt.Sprintf("%013d", i)); return k }
	bytes := func(run func()) float64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		run()
		runtime.ReadMemStats(&after)
		return float64(after.TotalAlloc - before.TotalAlloc)
	}
	cost := func(n int) (grow, change, shrink float64) {
		var m view.Map[key, int]
		each := func(do func(i int)) func() {
			return func() {
				for i := range n {
					do(i)
				}
			}
		}
		grow = bytes(each(func(i int) { m.Set(at(i), i) }))
		change = bytes(each(func(i int) { m.Set(at(i), -i) }))
		shrink = bytes(each(func(i int) { m.Delete(at(i)) }))
		return grow, change, shrink
	}
	g1, c1, s1 := cost(8000)
	g2, c2, s2 := cost(16000)
	for name, r := range map[string]float64{"growing": g2 / g1, "changing": c2 / c1, "shrinking": s2 / s1} {
		if r > 2.6 { // of a map that is copied at each change: 4
			t.Errorf("%s: got %.2f times the bytes for twice the entries, want about 2", name, r)
		}
	}
}

func BenchmarkMapGet(b *testing.B) {
	for _, n := range []int{1, 100, 20_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var m view.Map[int, int]
			for i := range n {
				m.Set(i, i)
			}
			for i := 0; b.Loop(); i++ {
				if _, ok := m.Get(i * 7919 % n); !ok {
					b.Fatal("got nothing, want an entry")
				}
			}
		})
	}
}
