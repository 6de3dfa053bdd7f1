package view_test

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/view"
)

func TestMap(t *testing.T) {
	var m view.Map[string, int]
	if v, ok := m.Get("a"); ok || v != 0 || m.Len() != 0 || m.Delete("a") || m.Clear() != nil {
		t.Fatalf("got %d, %v, length %d from the zero Map, want nothing", v, ok, m.Len())
	}
	for range m.All() {
		t.Fatal("got an entry of the zero Map, want none")
	}
	m.Set("a", 1)
	m.Set("b", 2)
	seen := m.All()
	m.Set("a", 3)
	if v, ok := m.Get("a"); !ok || v != 3 {
		t.Errorf("got %d, %v, want the new value 3", v, ok)
	}
	if !m.Delete("b") || m.Delete("b") {
		t.Error("got two answers about deleting b, want true and then false")
	}
	if got, want := maps.Collect(seen), map[string]int{"a": 3}; !maps.Equal(got, want) {
		t.Errorf("got %v, want the snapshot at the beginning of the loop, %v", got, want)
	}
	for k := range m.All() { // a loop keeps its snapshot while the map changes
		m.Delete(k)
		m.Set("c", 4)
	}
	if got, want := m.Clear(), map[string]int{"c": 4}; !maps.Equal(got, want) {
		t.Errorf("got %v cleared, want %v", got, want)
	}
	if got := m.Len(); got != 0 {
		t.Errorf("got %d entries after Clear, want 0", got)
	}
	m.Set("d", 5)
	if got := m.Len(); got != 1 {
		t.Errorf("got %d entries after Clear and Set, want 1", got)
	}
}

// TestMapSetAll writes many entries; the cost is that of one copy.
func TestMapSetAll(t *testing.T) {
	var m view.Map[int, string]
	m.SetAll(nil)
	if got := m.Len(); got != 0 {
		t.Errorf("got %d entries of none, want 0", got)
	}
	m.Set(1, "old")
	m.Set(2, "kept")
	given := map[int]string{1: "new", 3: "added"}
	m.SetAll(given)
	given[4] = "later"
	if got, want := maps.Collect(m.All()), map[int]string{1: "new", 2: "kept", 3: "added"}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	many := make(map[int]string)
	for i := range 1000 {
		many[i] = "x"
	}
	one := testing.AllocsPerRun(10, func() { m.Clear(); m.SetAll(many) })
	each := testing.AllocsPerRun(1, func() {
		m.Clear()
		for k, v := range many {
			m.Set(k, v)
		}
	})
	if one*20 > each {
		t.Errorf("got %v allocations at once and %v one by one, want far fewer", one, each)
	}
}

func TestMapLoopStops(t *testing.T) {
	var m view.Map[int, int]
	for i := range 10 {
		m.Set(i, i)
	}
	n := 0
	for range m.All() {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("got %d rounds, want 3", n)
	}
}

// TestMapSnapshots has readers look at pairs that the writer changes together;
// the race detector watches.
func TestMapSnapshots(t *testing.T) {
	var m view.Map[int, int]
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			last := 0
			for {
				sum, n := 0, 0
				for k, v := range m.All() {
					sum += k - v
					n++
				}
				if sum != 0 || n > 20 {
					t.Errorf("got a snapshot of %d entries that was never written", n)
					return
				}
				if v, ok := m.Get(0); ok && v != 0 {
					t.Errorf("got %d for 0, want 0", v)
				}
				if l := m.Len(); l < 0 || l > 20 {
					t.Errorf("got length %d, want at most 20", l)
				}
				last++
				select {
				case <-done:
					return
				default:
					runtime.Gosched()
				}
			}
		})
	}
	for round := range 50 {
		for i := range 20 {
			m.Set(i, i)
		}
		for i := range 20 {
			m.Delete(i)
		}
		if round%7 == 0 {
			m.Clear()
		}
	}
	close(done)
	readers.Wait()
}

func TestRing(t *testing.T) {
	r := view.Ring[int]{Limit: 3}
	if got := r.Last(); len(got) != 0 {
		t.Errorf("got %v from an empty ring, want nothing", got)
	}
	r.Add(1)
	r.Add(2)
	two := r.Last()
	r.Add(3)
	r.Add(4)
	if got, want := r.Last(), []int{2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("got %v, want the last three, %v", got, want)
	}
	if want := []int{1, 2}; !slices.Equal(two, want) {
		t.Errorf("got %v, want what was read before unchanged, %v", two, want)
	}
	var plain view.Ring[int]
	negative := view.Ring[int]{Limit: -1}
	for i := range 100 {
		plain.Add(i)
		negative.Add(i)
	}
	for _, got := range [][]int{plain.Last(), negative.Last()} {
		if len(got) != 64 || got[0] != 36 || got[63] != 99 {
			t.Errorf("got %v, want 36 to 99", got)
		}
	}
}

// TestRingReaders has readers beside the writer; the race detector watches.
func TestRingReaders(t *testing.T) {
	r := view.Ring[int]{Limit: 8}
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				last := r.Last()
				for i := 1; i < len(last); i++ {
					if last[i] != last[i-1]+1 {
						t.Errorf("got %v, want values in the order of Add", last)
						return
					}
				}
				if len(last) > 0 && last[len(last)-1] == 999 {
					return
				}
				runtime.Gosched()
			}
		})
	}
	for i := range 1000 {
		r.Add(i)
	}
	readers.Wait()
}

func TestLog(t *testing.T) {
	l := view.Log[string, int]{Keys: 2, PerKey: 3}
	if got, ok := l.Get("a"); ok || got != nil {
		t.Errorf("got %v, %v from an empty log, want nothing", got, ok)
	}
	l.Add("a", 1, 2)
	l.Add("b", 9)
	two, _ := l.Get("a")
	l.Add("a", 3, 4)
	if got, _ := l.Get("a"); !slices.Equal(got, []int{2, 3, 4}) {
		t.Errorf("got %v, want the last three", got)
	}
	if !slices.Equal(two, []int{1, 2}) {
		t.Errorf("got %v, want what was read before unchanged", two)
	}
	l.Add("c", 5) // b was added to longest ago
	if _, ok := l.Get("b"); ok || l.Len() != 2 {
		t.Errorf("got b remembered (%v) and %d keys, want the 2 others", ok, l.Len())
	}
	if got, _ := l.Get("a"); len(got) != 3 {
		t.Errorf("got %v for a, want it unchanged", got)
	}
}

// TestLogCost: a change costs the same however much is remembered.
func TestLogCost(t *testing.T) {
	l := view.Log[int, int]{Keys: 512, PerKey: 32}
	for i := range 512 * 32 {
		l.Add(i%512, i)
	}
	if n := testing.AllocsPerRun(100, func() { l.Add(7, 1) }); n != 0 {
		t.Errorf("got %v allocations for one more value, want none", n)
	}
	r := view.Ring[int]{Limit: 256}
	for i := range 256 {
		r.Add(i)
	}
	if n := testing.AllocsPerRun(100, func() { r.Add(1) }); n != 0 {
		t.Errorf("ring: got %v allocations for one more value, want none", n)
	}
}

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g view.Gate[string]
		if v, ok := g.Get(); ok || v != "" {
			t.Fatalf("got %q, %v from the zero Gate, want it closed", v, ok)
		}
		const readers = 5
		got := make(chan string, readers)
		for range readers {
			go func() {
				v, err := g.Wait(t.Context())
				if err != nil {
					v = err.Error()
				}
				got <- v
			}()
		}
		synctest.Wait()
		if n := len(got); n != 0 {
			t.Fatalf("got %d readers through a closed gate, want 0", n)
		}
		g.Open("a")
		synctest.Wait()
		if n := len(got); n != readers {
			t.Fatalf("got %d readers through the open gate, want %d", n, readers)
		}
		for range readers {
			if v := <-got; v != "a" {
				t.Errorf("got %q, want %q", v, "a")
			}
		}
		g.Open("b")
		if v, ok := g.Get(); !ok || v != "b" {
			t.Errorf("got %q, %v after a second Open, want %q", v, ok, "b")
		}
		g.Close()
		if v, ok := g.Get(); ok {
			t.Errorf("got %q from the closed gate, want nothing", v)
		}
	})
}

// TestGateClosedAgain: a reader that is woken too late for the value waits for
// the next one.
func TestGateClosedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g view.Gate[int]
		got := make(chan int, 1)
		go func() {
			v, _ := g.Wait(t.Context())
			got <- v
		}()
		synctest.Wait()
		g.Open(1)
		g.Close() // both before the reader runs, or after it
		time.Sleep(time.Second)
		if len(got) == 0 {
			g.Open(2)
		}
		synctest.Wait()
		if len(got) != 1 {
			t.Fatal("got no value, want the first or the second")
		}
	})
}

func TestGateContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g view.Gate[int]
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if v, err := g.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) || v != 0 {
			t.Errorf("got %d, %v, want the end of the context", v, err)
		}
		if got, want := time.Since(began), time.Minute; got != want {
			t.Errorf("got an answer after %v, want %v", got, want)
		}
		g.Open(7)
		if v, err := g.Wait(ctx); err != nil || v != 7 {
			t.Errorf("got %d, %v, want an open gate to let through, whatever the context", v, err)
		}
	})
}

// TestGateRace opens and closes beside many readers; the race detector watches.
func TestGateRace(t *testing.T) {
	var g view.Gate[int]
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			last := 0
			for last < 1000 {
				v, err := g.Wait(t.Context())
				if err != nil || v < last {
					t.Errorf("got %d, %v after %d, want no older value", v, err, last)
					return
				}
				last = v
				runtime.Gosched()
			}
		})
	}
	for i := range 1000 {
		g.Open(i + 1)
		if i%3 == 0 && i < 999 {
			g.Close()
		}
	}
	readers.Wait()
}

func BenchmarkGateGet(b *testing.B) {
	var g view.Gate[int]
	g.Open(1)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, ok := g.Get(); !ok {
				b.Error("closed")
			}
		}
	})
}
