package turns_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/turns"
)

// TestBell: a ring is kept once, and wakes one.
func TestBell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := turns.NewBell()
		b.Ring()
		b.Ring()
		if !b.Rang() {
			t.Error("no ring was kept")
		}
		b.Await(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if b.Await(ctx); time.Since(began) != time.Second || b.Rang() {
			t.Errorf("waited %v for a second ring", time.Since(began))
		}
	})
}

// TestBaton: one at a time has it; who hears the bell does without.
func TestBaton(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := turns.NewBaton()
		var has, most, had atomic.Int32
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if !b.AwaitOr(turns.NewBell()) {
					t.Error("no bell has rung")
				}
				most.Store(max(most.Load(), has.Add(1)))
				time.Sleep(time.Millisecond)
				had.Add(1)
				has.Add(-1)
				b.Pass()
			})
		}
		wg.Wait()
		if most.Load() != 1 || had.Load() != 20 {
			t.Errorf("%d had it at once, %d in all", most.Load(), had.Load())
		}
		b.AwaitOr(turns.NewBell())
		bell := turns.NewBell()
		time.AfterFunc(time.Second, bell.Ring)
		if b.AwaitOr(bell) {
			t.Error("two have the baton")
		}
	})
}

// TestNews: all that wait are woken, and the lock is theirs again.
func TestNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		n := turns.News{L: &mu}
		woken := 0
		for range 10 {
			go func() {
				mu.Lock()
				defer mu.Unlock()
				n.Await(t.Context())
				woken++
			}()
		}
		synctest.Wait()
		mu.Lock()
		n.Tell()
		mu.Unlock()
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if woken != 10 {
			t.Errorf("%d of 10 were woken", woken)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		n.Await(ctx)
	})
}
