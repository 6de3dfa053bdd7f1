package actors_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
)

func TestCreditsBoundAPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := actors.NewCredits(1000, 10_000)
		a, b := identity.NodeID{1}, identity.NodeID{2}
		first, err := c.Take(t.Context(), a, 700)
		if err != nil {
			t.Fatal(err)
		}
		var order []int
		var all sync.WaitGroup
		for i := range 2 {
			all.Go(func() {
				held, err := c.Take(t.Context(), a, 500)
				if err != nil {
					t.Error(err)
					return
				}
				order = append(order, i)
				held.Finish()
			})
			synctest.Wait()
		}
		if len(order) != 0 {
			t.Errorf("got %v served, want the peer to wait for its own frames", order)
		}
		other, err := c.Take(t.Context(), b, 500) // is not held up
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Take(ctx, a, 500); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want that of the context", err)
		}
		if got := c.Used(); got != 700+500+2*256 {
			t.Errorf("got %d bytes used, want the lengths and 256 for each", got)
		}
		first.Finish()
		first.Discard()
		all.Wait()
		if len(order) != 2 || order[0] != 0 {
			t.Errorf("got %v, want both in their order", order)
		}
		release := other.Keep()
		other.Finish()
		if c.Used() == 0 {
			t.Error("got the credit back that was kept")
		}
		release()
		if got := c.Used(); got != 0 {
			t.Errorf("got %d bytes used, want none", got)
		}
		var long *actors.FrameTooLongError
		for _, n := range []int{1001, -1} {
			if _, err := c.Take(t.Context(), a, n); !errors.As(err, &long) || long.Limit != 1000 || !strings.Contains(err.Error(), "NewCredits") {
				t.Errorf("%d bytes: got %v, want that it is too long", n, err)
			}
		}
	})
}

// TestCreditsOfManyPeers: what all hold stays within the total, whoever takes and gives back.
func TestCreditsOfManyPeers(t *testing.T) {
	const total = 8 * 1024
	c := actors.NewCredits(2*1024, total)
	var most atomic.Int64
	var all sync.WaitGroup
	for g := range 32 {
		all.Go(func() {
			for range 200 {
				held, err := c.Take(t.Context(), identity.NodeID{byte(g % 8)}, 1024)
				if err != nil {
					t.Error(err)
					return
				}
				for used := int64(c.Used()); ; {
					if was := most.Load(); used <= was || most.CompareAndSwap(was, used) {
						break
					}
				}
				held.Finish()
			}
		})
	}
	all.Wait()
	if most.Load() > total || c.Used() != 0 {
		t.Errorf("got %d bytes at once and %d now, want at most %d and none", most.Load(), c.Used(), total)
	}
}
