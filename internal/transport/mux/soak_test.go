package mux

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Six hundred random opens, closes and resets from both sides: after each, both
// sides count the same, and so does the library.
//
// conforms: comms 69, 70
func TestCountsAgree(t *testing.T) {
	for seed := range uint64(4) {
		bubble(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			a, b := pair(t, false, Config{})
			sessions := [2]*Session{a, b}
			incoming := [2]<-chan *Stream{accept(a), accept(b)}
			type both [2]*Stream
			var live []both
			for step := range 600 {
				what := rnd.IntN(6)
				if len(live) == 0 || len(live) < 60 && what < 2 {
					side := rnd.IntN(2)
					var p both
					p[side] = mustOpen(t, sessions[side])
					p[1-side] = <-incoming[1-side]
					live = append(live, p)
				} else {
					i, side := rnd.IntN(len(live)), rnd.IntN(2)
					st := live[i][side]
					switch what {
					case 2:
						st.Write([]byte("some bytes that may never be read"))
					case 3:
						st.CloseWrite()
					case 4:
						st.Reset()
					default:
						st.Close()
					}
				}
				synctest.Wait()
				if na, nb := a.NumStreams(), b.NumStreams(); na != nb {
					t.Fatalf("seed %d step %d: got %d and %d streams, want equal counts", seed, step, na, nb)
				}
				live = keep(live, func(p both) bool {
					if p[0].alive() != p[1].alive() {
						t.Fatalf("seed %d step %d: got different states of stream %d", seed, step, p[0].ID())
					}
					if !p[0].alive() {
						p[0].Close()
						p[1].Close()
					}
					return p[0].alive()
				})
				synctest.Wait()
				for i, s := range sessions {
					if got := s.NumStreams(); got != len(live) {
						t.Fatalf("seed %d step %d: got %d streams at side %d, want %d", seed, step, got, i, len(live))
					}
					if got := s.libraryStreams(); got != 0 {
						t.Fatalf("seed %d step %d: got %d streams in library %d, want none", seed, step, got, i)
					}
				}
			}
			for i, s := range sessions {
				if s.Err() != nil {
					t.Errorf("seed %d: got %v at side %d, want a living session", seed, s.Err(), i)
				}
			}
		})
	}
}

func (st *Stream) alive() bool {
	st.session.table.mu.Lock()
	defer st.session.table.mu.Unlock()
	return st.live
}

func keep[T any](list []T, f func(T) bool) []T {
	var kept []T
	for _, v := range list {
		if f(v) {
			kept = append(kept, v)
		}
	}
	return kept
}

// Ten thousand opens and ends, eight at a time, of every kind: nothing is left
// of them in the table, the library, the heap or the goroutines.
//
// conforms: comms 69, 70
func TestTenThousandCycles(t *testing.T) {
	const cycles, workers = 10_000, 8
	dropTimers()
	a, b := pair(t, true, Config{})
	in := accept(b)
	var wg sync.WaitGroup
	wg.Go(func() {
		for st := range in {
			wg.Go(func() {
				if st.ID()%8 == 1 { // every fourth
					st.Reset()
					return
				}
				io.Copy(st, st)
				st.CloseWrite()
				st.Close()
			})
		}
	})
	cycle := func(n int) {
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				buf := make([]byte, 10)
				for i := range n / workers {
					st, err := a.Open()
					if err != nil {
						t.Errorf("got open error %v, want a stream", err)
						return
					}
					st.Write(buf)
					if (i+w)%4 != 0 {
						st.CloseWrite()
						io.ReadAll(st)
					}
					st.Close()
				}
			})
		}
		wg.Wait()
	}
	measure := func() (heap uint64, goroutines int) {
		for range 3 {
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, runtime.NumGoroutine()
	}
	cycle(cycles / 10)
	heapBefore, goroutinesBefore := measure()
	cycle(cycles)
	if _, err := a.Ping(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Ping(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() error {
		if a.NumStreams()+b.NumStreams()+a.libraryStreams()+b.libraryStreams()+a.unacknowledged()+a.slots() != 0 {
			return fmt.Errorf("got %d and %d streams, %d and %d in the library, %d opens, %d slots, want none",
				a.NumStreams(), b.NumStreams(), a.libraryStreams(), b.libraryStreams(), a.unacknowledged(), a.slots())
		}
		if _, g := measure(); g > goroutinesBefore {
			return fmt.Errorf("got %d goroutines, want at most %d", g, goroutinesBefore)
		}
		return nil
	})
	if heap, _ := measure(); heap > heapBefore+300_000 { // 30 bytes a cycle
		t.Errorf("got %d bytes of heap, want about %d", heap, heapBefore)
	}
	for _, s := range []*Session{a, b} {
		if n := len(s.table.streams); n != 0 {
			t.Errorf("got %d entries in the table, want 0", n)
		}
		if s.Err() != nil {
			t.Errorf("got %v, want a living session", s.Err())
		}
	}
	a.Close()
	b.Close()
	wg.Wait()
}

// waitFor repeats a check over real connections until it holds, for 5 s.
func waitFor(t *testing.T, check func() error) {
	t.Helper()
	var err error
	for range 500 {
		if err = check(); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error(err)
}

// An idle session, with its library and two goroutines, is small, also after
// it has carried something.
func TestIdleCost(t *testing.T) {
	const ends = 200
	dropTimers()
	live := func() float64 {
		for range 3 {
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc + m.StackInuse)
	}
	var sessions []*Session
	conns := make([]net.Conn, 0, ends)
	for range ends / 2 {
		a, b := tcpPair(t)
		conns = append(conns, a, b)
	}
	before, goroutines := live(), runtime.NumGoroutine()
	for i, c := range conns {
		s, err := start(inParts(c), i%2 == 0, Config{})
		if err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, s)
	}
	defer func() {
		for _, s := range sessions {
			s.Close()
		}
	}()
	for _, s := range sessions {
		if _, err := s.Ping(); err != nil {
			t.Fatal(err)
		}
	}
	each := (live() - before) / ends
	t.Logf("%.1f kB each", each/1000)
	if each > 20_000 { // 18,000 and room for what else the process does
		t.Errorf("got %.0f bytes each, want at most 20000", each)
	}
	waitFor(t, func() error {
		if got := runtime.NumGoroutine() - goroutines; got > 2*ends {
			return fmt.Errorf("got %d goroutines, want %d", got, 2*ends)
		}
		return nil
	})
}
