package credit

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrClosed reports a Take on a closed account, or on one that was closed while
// Take waited.
var ErrClosed = errors.New("credit: account closed")

// Account is the credit of one peer in one direction. Its methods may be called
// from any goroutine.
type Account struct {
	limit   int64
	dropped func(n int) // see CountDropped; nil: nobody counts

	mu          sync.Mutex // locked after queues.mu; never held while waiting
	budget      *Budget    // changed with queues.mu held too
	used        int64
	closed      bool
	head, tail  *waiter
	waiting     int
	line        *Budget // budget in whose line the account stands; guarded by queues.mu, as are the three below
	reserved    int64   // bytes charged to the budgets below line while waiting there
	prevA, next *Account
}

type waiter struct {
	cost       int64
	ready      chan struct{} // closed when decided
	err        error         // set before ready is closed
	decided    bool
	prev, next *waiter
}

// Account returns a new account that may hold limit bytes of b. A body that
// costs more than limit is admitted when the account holds nothing. An account
// that holds nothing and has no waiters needs no Close.
func (b *Budget) Account(limit int64) *Account {
	return &Account{limit: limit, budget: b}
}

// CountDropped has f called with the length of each message whose permit is discarded before
// the message is handled. It is called before the first Take.
func (a *Account) CountDropped(f func(n int)) { a.dropped = f }

// Take takes credit for a body of n bytes, and waits for it until ctx ends. It
// returns nil, ErrClosed, or an error that wraps ctx's. When the credit is there at
// once, Take succeeds even if ctx has ended.
func (a *Account) Take(ctx context.Context, n int) error {
	cost := Cost(n)
	a.mu.Lock()
	if a.head == nil && !a.closed && a.fits(cost) {
		if ok, _ := a.budget.take(cost); ok { // otherwise enter serves accounts that missed an undone charge
			a.used += cost
			a.mu.Unlock()
			return nil
		}
	}
	a.mu.Unlock()
	return a.wait(ctx, cost)
}

// TryTake takes credit for a body of n bytes and returns true, unless it would
// have to wait or overtake a waiter.
func (a *Account) TryTake(n int) bool {
	cost := Cost(n)
	a.mu.Lock()
	if a.head != nil || a.closed || !a.fits(cost) {
		a.mu.Unlock()
		return false
	}
	ok, waited := a.budget.take(cost)
	if ok {
		a.used += cost
	}
	q := a.budget.queue
	a.mu.Unlock()
	if waited {
		q.mu.Lock()
		q.serve()
		q.mu.Unlock()
	}
	return ok
}

// Return gives back the credit of one body of n bytes, also to a closed account. It
// panics when more is returned than was taken.
func (a *Account) Return(n int) { a.ReturnCost(Cost(n)) }

// ReturnCost is Return for any number of bodies at once, with the sum of their
// [Cost].
func (a *Account) ReturnCost(cost int64) {
	a.mu.Lock()
	if cost > a.used {
		a.mu.Unlock()
		panic("credit: returned more than was taken")
	}
	a.used -= cost
	waited := a.budget.giveBack(cost)
	waited = waited || a.head != nil
	q := a.budget.queue
	a.mu.Unlock()
	if !waited {
		return
	}
	q.mu.Lock()
	a.mu.Lock()
	q.place(a)
	a.mu.Unlock()
	q.serve()
	q.mu.Unlock()
}

// Used returns the bytes that the account holds.
func (a *Account) Used() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.used
}

// Limit returns the bytes that the account may hold.
func (a *Account) Limit() int64 { return a.limit }

// Waiting returns how many callers wait in Take.
func (a *Account) Waiting() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.waiting
}

// Move makes the account draw on another budget of the same node and direction:
// from [NodeBudgets].Unconnected to Outbound when its peer is connected, and
// back, and from Inbound or Plain to their parts while a large body arrives. The
// credit that the account holds moves along, even when that puts the new budget
// above its limit; then nothing can be taken from it until enough has come back.
// Move panics when the budgets are not parts of the same budget.
func (a *Account) Move(to *Budget) {
	q := to.queue
	q.mu.Lock()
	a.mu.Lock()
	if a.budget.queue != q {
		a.mu.Unlock()
		q.mu.Unlock()
		panic("credit: move between unrelated budgets")
	}
	if from := a.budget; from != to {
		q.leave(a)
		// A budget that both are parts of holds the same sum before and after.
		for b := from; !to.within(b); b = b.parent {
			b.release(a.used)
		}
		for b := to; !from.within(b); b = b.parent {
			b.state.Add(a.used << 1)
		}
		a.budget = to
		q.place(a)
	}
	a.mu.Unlock()
	q.serve()
	q.mu.Unlock()
}

// Close ends the account: all waiting calls of Take, and all later ones, return
// ErrClosed. Credit that is held stays counted until it is returned. Close is
// idempotent.
func (a *Account) Close() {
	a.mu.Lock()
	q := a.budget.queue
	a.mu.Unlock()
	q.mu.Lock()
	a.mu.Lock()
	a.closed = true
	q.leave(a)
	for a.head != nil {
		a.decide(a.head, ErrClosed)
	}
	a.mu.Unlock()
	q.serve()
	q.mu.Unlock()
}

// fits reports whether the account's own limit admits cost.
func (a *Account) fits(cost int64) bool {
	return a.used == 0 || a.used+cost <= a.limit
}

// wait is Take's slow path.
func (a *Account) wait(ctx context.Context, cost int64) error {
	w := &waiter{cost: cost, ready: make(chan struct{})}
	q := a.enter(w)
	select {
	case <-w.ready:
		return w.err
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	a.mu.Lock()
	if w.decided { // decided just before ctx ended: the decision stands
		a.mu.Unlock()
		return w.err
	}
	first := a.head == w
	if first {
		q.leave(a)
	}
	a.decide(w, ctx.Err())
	if first {
		q.place(a)
	}
	a.mu.Unlock()
	q.serve()
	return fmt.Errorf("credit: wait for %d bytes: %w", cost, ctx.Err())
}

// enter puts w at the end of the account's own queue.
func (a *Account) enter(w *waiter) *queues {
	a.mu.Lock()
	q := a.budget.queue // the same for the account's whole life
	a.mu.Unlock()
	q.mu.Lock()
	a.mu.Lock()
	if a.closed {
		w.err, w.decided = ErrClosed, true
		close(w.ready)
	} else {
		if w.prev = a.tail; w.prev != nil {
			w.prev.next = w
		} else {
			a.head = w
		}
		a.tail = w
		a.waiting++
		q.place(a)
	}
	a.mu.Unlock()
	q.serve()
	q.mu.Unlock()
	return q
}

// decide takes w out of the account's queue and wakes its caller.
func (a *Account) decide(w *waiter, err error) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		a.head = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		a.tail = w.prev
	}
	w.prev, w.next = nil, nil
	a.waiting--
	w.err, w.decided = err, true
	close(w.ready)
}
