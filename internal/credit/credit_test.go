package credit

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// wantPanic runs f and fails unless it panics.
func wantPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: got no panic, want one", what)
		}
	}()
	f()
}

func wantUsed(t *testing.T, what string, got, want int64) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %d bytes in use, want %d", what, got, want)
	}
}

func TestCostCountsTheOverhead(t *testing.T) {
	if got := Cost(100); got != 356 {
		t.Errorf("got cost %d, want 356", got)
	}
	if got := Cost(0); got != 256 {
		t.Errorf("got cost %d of an empty body, want 256", got)
	}
	wantPanic(t, "negative length", func() { Cost(-1) })
}

// conforms: V 15
func TestAccountIsBoundedByBytesAndMessages(t *testing.T) {
	b := NewBudget(DefaultNode)
	a := b.Account(DefaultPeer)
	n := 0
	for a.TryTake(0) {
		n++
	}
	if n != 4096 {
		t.Errorf("got %d empty bodies admitted, want 4096", n)
	}
	wantUsed(t, "account", a.Used(), DefaultPeer)
	a.Return(0)
	if !a.TryTake(0) {
		t.Error("got no credit after a return, want it")
	}
	if a.TryTake(0) {
		t.Error("got credit above the limit, want none")
	}
}

// conforms: V 15
func TestBodyAboveTheLimitIsAdmittedAlone(t *testing.T) {
	b := NewBudget(1 << 10)
	a := b.Account(512)
	if !a.TryTake(8 << 20) {
		t.Fatal("got no credit for a large body on an empty account, want it")
	}
	if a.TryTake(0) {
		t.Error("got credit beside a body above the limit, want none")
	}
	if b.Account(512).TryTake(0) {
		t.Error("got credit of an overdrawn budget, want none")
	}
	a.Return(8 << 20)
	a.TryTake(0)
	if a.TryTake(8 << 20) {
		t.Error("got a large body admitted on an account that holds something, want it to wait")
	}
}

// conforms: V 15
func TestLimitsAreExact(t *testing.T) {
	for limit, want := range map[int64]int{1023: 3, 1024: 4, 1025: 4} {
		many, one := NewBudget(limit), NewBudget(1<<20).Account(limit)
		n, m := 0, 0
		for many.Account(1 << 20).TryTake(0) {
			n++
		}
		for one.TryTake(0) {
			m++
		}
		if n != want || m != want {
			t.Errorf("limit %d: got %d bodies of a budget and %d of an account, want %d", limit, n, m, want)
		}
	}
}

func TestReturnOfTooMuchPanics(t *testing.T) {
	a := NewBudget(1 << 20).Account(1 << 20)
	a.TryTake(10)
	wantPanic(t, "return of more than taken", func() { a.Return(11) })
	wantUsed(t, "after the panic", a.Used(), Cost(10))
}

// conforms: V 15
func TestNodeBudgetsAreDivided(t *testing.T) {
	n := NewNodeBudgets(4096)
	for name, c := range map[string]struct {
		b    *Budget
		want int64
	}{"inbound": {n.Inbound, 2048}, "outbound": {n.Outbound, 2048}, "unconnected": {n.Unconnected, 1024}, "plain": {n.Plain, 896}, "messages": {n.Messages, 768}, "frames": {n.Frames, 512}, "calls": {n.Calls, 384}} {
		if c.b.Limit() != c.want {
			t.Errorf("%s: got limit %d, want %d", name, c.b.Limit(), c.want)
		}
	}
	dead := n.Unconnected.Account(1 << 20)
	taken := 0
	for dead.TryTake(0) {
		taken++
	}
	if taken != 4 {
		t.Errorf("got %d bodies queued for peers without a connection, want 4", taken)
	}
	if n.Unconnected.Account(1 << 20).TryTake(0) {
		t.Error("got credit for a second dead peer, want the budget of both used up")
	}
	wantUsed(t, "outbound counts them too", n.Outbound.Used(), 1024)
	living := n.Outbound.Account(1 << 20)
	for i := range 4 {
		if !living.TryTake(0) {
			t.Fatalf("got no credit for a living peer's body %d, want dead ones not to starve it", i)
		}
	}
	if living.TryTake(0) {
		t.Error("got credit above the outbound budget, want none")
	}
	if !n.Inbound.Account(1 << 20).TryTake(0) {
		t.Error("got no inbound credit, want the directions apart")
	}
	// Dead peers wait when the whole budget is out, though their part has room.
	dead.Return(0)
	if !living.TryTake(0) {
		t.Fatal("got no credit for a living peer, want what a dead one returned")
	}
	if dead.TryTake(0) {
		t.Error("got credit above the outbound budget through its part, want none")
	}
	wantUsed(t, "an undone charge", n.Unconnected.Used(), 768)
}

func TestMoveCarriesWhatIsHeld(t *testing.T) {
	n := NewNodeBudgets(4096)
	a := n.Unconnected.Account(1 << 20)
	a.TryTake(0)
	a.TryTake(0)
	a.Move(n.Outbound)
	wantUsed(t, "unconnected after the move", n.Unconnected.Used(), 0)
	wantUsed(t, "outbound after the move", n.Outbound.Used(), 512)
	for a.TryTake(0) {
	}
	wantUsed(t, "outbound full", n.Outbound.Used(), 2048)
	a.Move(n.Unconnected)
	wantUsed(t, "unconnected above its limit", n.Unconnected.Used(), 2048)
	for range 8 {
		a.Return(0)
	}
	wantUsed(t, "unconnected in the end", n.Unconnected.Used(), 0)
	wantUsed(t, "outbound in the end", n.Outbound.Used(), 0)
	wantPanic(t, "unrelated budgets", func() { a.Move(n.Inbound) })
}

// conforms: V 15
func TestPartsOfParts(t *testing.T) {
	n := NewNodeBudgets(8192)
	in := func(what string, inbound, plain, messages int64) {
		t.Helper()
		wantUsed(t, what+": inbound", n.Inbound.Used(), inbound)
		wantUsed(t, what+": plain", n.Plain.Used(), plain)
		wantUsed(t, what+": messages", n.Messages.Used(), messages)
	}
	a, b := n.Plain.Account(1<<20), n.Plain.Account(1<<20)
	a.TryTake(0)
	a.Move(n.Messages)
	in("moved to a part of the part", 256, 256, 256)
	for range 4 {
		b.TryTake(0)
	}
	in("beside it", 1280, 1280, 256)
	if a.TryTake(512) {
		t.Error("got credit above what the part's part is part of, want none")
	}
	in("an undone charge", 1280, 1280, 256)
	a.Move(n.Frames)
	in("moved to another part", 1280, 1024, 0)
	wantUsed(t, "frames", n.Frames.Used(), 256)
	a.Move(n.Messages)
	a.Move(n.Plain)
	in("moved back", 1280, 1280, 0)
	b.TryTake(0)
	if b.TryTake(0); b.TryTake(0) {
		t.Error("got an eighth message of plain ones, want seven sixteenths of what comes in")
	}
	rest := n.Inbound.Account(1 << 20)
	for i := range 9 {
		if !rest.TryTake(0) {
			t.Fatalf("got no credit for body %d of others, want plain ones to leave nine sixteenths", i)
		}
	}
}

// conforms: V 15
func TestWaitersOfPartsOfParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := NewBudget(1024)
		middle := root.Part(768)
		inner := middle.Part(512)
		a, b, other := inner.Account(1<<20), middle.Account(1<<20), root.Account(1<<20)
		other.TryTake(0)
		b.TryTake(256)
		order := make(chan string, 16)
		takers(a, "a", order, 256) // fits inner, not middle
		b.Return(256)
		if got, want := drain(order), []string{"a0"}; !slices.Equal(got, want) {
			t.Fatalf("got %v served, want %v", got, want)
		}
		b.TryTake(0)
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		a.Return(256)
		if other.TryTake(0); !other.TryTake(0) {
			t.Fatal("got no credit, want the root full")
		}
		go func() { failed <- a.Take(ctx, 0) }() // fits inner and middle, not the root
		synctest.Wait()
		wantUsed(t, "reserved in the middle", middle.Used(), 512)
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's error", err)
		}
		wantUsed(t, "inner after the wait", inner.Used(), 0)
		wantUsed(t, "middle after the wait", middle.Used(), 256)
		wantUsed(t, "root after the wait", root.Used(), 1024)
	})
}

// takers starts one goroutine per size, one after the other, and returns where
// they write their index when they have their credit.
func takers(a *Account, name string, order chan<- string, sizes ...int) {
	for i, n := range sizes {
		go func() {
			if err := a.Take(context.Background(), n); err != nil {
				order <- name + "!" + err.Error()
				return
			}
			order <- name + string(rune('0'+i))
		}()
		synctest.Wait()
	}
}

// drain returns who was served by now.
func drain(order chan string) (got []string) {
	synctest.Wait()
	for len(order) > 0 {
		got = append(got, <-order)
	}
	slices.Sort(got) // those served together run in any order
	return got
}

func TestAccountIsFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewBudget(1 << 20).Account(1024)
		a.TryTake(1024 - 256)
		order := make(chan string, 16)
		takers(a, "a", order, 500, 0, 0)
		if got := a.Waiting(); got != 3 {
			t.Fatalf("got %d waiting, want 3", got)
		}
		if a.TryTake(0) {
			t.Error("got credit past those who wait, want none")
		}
		a.Return(1024 - 256)
		if got, want := drain(order), []string{"a0", "a1"}; !slices.Equal(got, want) {
			t.Errorf("got %v served, want %v: the third does not fit beside them", got, want)
		}
		a.Return(500)
		if got, want := drain(order), []string{"a2"}; !slices.Equal(got, want) {
			t.Errorf("got %v served, want %v", got, want)
		}
	})
}

func TestAccountsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(256)
		hog, other, holder := b.Account(1<<20), b.Account(1<<20), b.Account(1<<20)
		holder.TryTake(0)
		order := make(chan string, 16)
		takers(hog, "h", order, 0, 0, 0)
		takers(other, "o", order, 0)
		var got []string
		last := holder
		for range 4 {
			last.Return(0)
			served := drain(order)
			if len(served) != 1 {
				t.Fatalf("got %v served by one return, want exactly one", served)
			}
			got = append(got, served[0])
			last = hog
			if served[0][0] == 'o' {
				last = other
			}
		}
		if want := []string{"h0", "o0", "h1", "h2"}; !slices.Equal(got, want) {
			t.Errorf("got order %v, want %v", got, want)
		}
	})
}

func TestLargeBodyIsNotStarvedBySmallOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(1024)
		small, large := b.Account(1<<20), b.Account(1<<20)
		small.TryTake(0)
		order := make(chan string, 16)
		takers(large, "l", order, 1024-256)
		if small.TryTake(0) {
			t.Error("got credit past the large body in line, want none")
		}
		small.Return(0)
		if got, want := drain(order), []string{"l0"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestContextEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(1024)
		a := b.Account(1024)
		a.TryTake(500)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := make(chan error, 1)
		go func() { err <- a.Take(ctx, 700) }()
		synctest.Wait()
		order := make(chan string, 16)
		takers(a, "a", order, 10) // fits, but waits its turn
		if got := drain(order); got != nil {
			t.Fatalf("got %v served past the first, want nobody", got)
		}
		if got := <-err; !errors.Is(got, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", got)
		}
		if got, want := drain(order), []string{"a0"}; !slices.Equal(got, want) {
			t.Errorf("got %v served after the first gave up, want %v", got, want)
		}
		wantUsed(t, "account", a.Used(), Cost(500)+Cost(10))
		a.Return(500)
		if err := a.Take(ctx, 0); err != nil {
			t.Errorf("got %v for credit that is there, want no look at the context", err)
		}
	})
}

func TestCloseEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(256)
		a, next := b.Account(256), b.Account(256)
		holder := b.Account(256)
		holder.TryTake(0)
		order := make(chan string, 16)
		takers(a, "a", order, 0, 0)
		takers(next, "n", order, 0)
		a.Close()
		a.Close()
		got := drain(order)
		if want := []string{"a!" + ErrClosed.Error(), "a!" + ErrClosed.Error()}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if err := a.Take(t.Context(), 0); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v from Take after Close, want ErrClosed", err)
		}
		if a.TryTake(0) {
			t.Error("got credit from a closed account, want none")
		}
		holder.Close()
		holder.Return(0)
		if got, want := drain(order), []string{"n0"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v: what a closed account held goes to the next", got, want)
		}
	})
}

func TestDeadPeersWaitOnBothBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNodeBudgets(4096) // outbound 2048, unconnected 1024
		living := n.Outbound.Account(1 << 20)
		for living.TryTake(0) {
		}
		order := make(chan string, 16)
		dead := n.Unconnected.Account(1 << 20)
		takers(dead, "d", order, 0, 0, 0, 0, 0)
		other := n.Outbound.Account(1 << 20)
		takers(other, "o", order, 0)
		living.Return(0)
		living.Return(0)
		if got, want := drain(order), []string{"d0", "o0"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v in turn", got, want)
		}
		for range 6 {
			living.Return(0)
		}
		if got, want := drain(order), []string{"d1", "d2", "d3"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v: the part is used up then", got, want)
		}
		wantUsed(t, "unconnected", n.Unconnected.Used(), 1024)
		dead.Move(n.Outbound) // connected now
		if got, want := drain(order), []string{"d4"}; !slices.Equal(got, want) {
			t.Errorf("got %v after the move, want %v", got, want)
		}
		for range 5 {
			dead.Return(0)
		}
		other.Return(0)
		wantUsed(t, "unconnected in the end", n.Unconnected.Used(), 0)
		wantUsed(t, "outbound in the end", n.Outbound.Used(), 0)
	})
}

func TestWithdrawnReservationIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNodeBudgets(1024) // outbound 512, unconnected 256
		living := n.Outbound.Account(1 << 20)
		living.TryTake(0)
		living.TryTake(0)
		ctx, cancel := context.WithCancel(t.Context())
		dead, dead2 := n.Unconnected.Account(1<<20), n.Unconnected.Account(1<<20)
		err := make(chan error, 1)
		go func() { err <- dead.Take(ctx, 0) }()
		synctest.Wait()
		wantUsed(t, "reserved while in the root's line", n.Unconnected.Used(), 256)
		order := make(chan string, 1)
		takers(dead2, "d", order, 0)
		cancel()
		if got := <-err; !errors.Is(got, context.Canceled) {
			t.Errorf("got %v, want the context's error", got)
		}
		living.Return(0)
		if got, want := drain(order), []string{"d0"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v to inherit the reservation", got, want)
		}
	})
}

// TestNothingIsLostUnderLoad has many goroutines take, give up, return and move
// at once: nobody hangs, no limit is passed, and all comes back.
func TestNothingIsLostUnderLoad(t *testing.T) {
	n := NewNodeBudgets(32 << 10)
	var wg sync.WaitGroup
	var over atomic.Bool
	for i := range 16 {
		home := n.Outbound
		if i%2 == 0 {
			home = n.Unconnected
		}
		a := home.Account(4 << 10)
		for j := range 3 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), uint64(j)))
				for k := range 400 {
					size := r.IntN(2 << 10)
					ctx, cancel := context.WithCancel(context.Background())
					if r.IntN(4) == 0 {
						go cancel()
					}
					if a.Take(ctx, size) == nil {
						if n.Outbound.Used() > n.Outbound.Limit() {
							over.Store(true)
						}
						a.Return(size)
					}
					cancel()
					if j == 0 && i%4 == 0 && k%50 == 0 {
						a.Move(n.Outbound)
						a.Move(n.Unconnected)
					}
				}
			})
		}
	}
	wg.Wait()
	if over.Load() {
		t.Error("got a budget above its limit, want never")
	}
	wantUsed(t, "outbound", n.Outbound.Used(), 0)
	wantUsed(t, "unconnected", n.Unconnected.Used(), 0)
	if s := n.Outbound.state.Load() | n.Unconnected.state.Load(); s != 0 {
		t.Errorf("got state %#x in the end, want nobody marked as waiting", s)
	}
}

func TestTakeAndReturnDoNotAllocate(t *testing.T) {
	a := NewNodeBudgets(DefaultNode).Unconnected.Account(DefaultPeer)
	ctx := context.Background()
	if got := testing.AllocsPerRun(100, func() {
		_ = a.Take(ctx, 32)
		a.Return(32)
	}); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func BenchmarkTakeReturn(b *testing.B) {
	n := NewNodeBudgets(DefaultNode)
	ctx := context.Background()
	b.Run("inbound", func(b *testing.B) {
		a := n.Inbound.Account(DefaultPeer)
		b.ReportAllocs()
		for b.Loop() {
			_ = a.Take(ctx, 32)
			a.Return(32)
		}
	})
	b.Run("unconnected", func(b *testing.B) {
		a := n.Unconnected.Account(DefaultPeer)
		b.ReportAllocs()
		for b.Loop() {
			_ = a.Take(ctx, 32)
			a.Return(32)
		}
	})
	b.Run("many peers", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			a := n.Inbound.Account(DefaultPeer)
			for pb.Next() {
				_ = a.Take(ctx, 32)
				a.Return(32)
			}
		})
	})
}
