// Package turns lets goroutines wait for each other: for news, for a baton that one at a time has, for work that is handed over.
package turns

import (
	"context"
	"sync"
)

// Bell wakes one goroutine. A ring that nobody waits for is kept, once. The zero Bell rings for nobody.
type Bell struct{ c chan struct{} }

// NewBell returns a bell that has not rung.
func NewBell() Bell { return Bell{make(chan struct{}, 1)} }

// Ring wakes who waits, or who waits next.
func (b Bell) Ring() {
	select {
	case b.c <- struct{}{}:
	default:
	}
}

// Rang reports whether a ring is kept.
func (b Bell) Rang() bool { return len(b.c) > 0 }

// Await waits for a ring, or the end of ctx.
func (b Bell) Await(ctx context.Context) {
	select {
	case <-b.c:
	case <-ctx.Done():
	}
}

// Baton is had by one goroutine at a time.
type Baton struct{ c chan struct{} }

// NewBaton returns a baton that nobody has.
func NewBaton() Baton {
	b := Baton{make(chan struct{}, 1)}
	b.Pass()
	return b
}

// Pass gives the baton to one of those that wait for it, or to who asks next.
func (b Baton) Pass() { b.c <- struct{}{} }

// Try takes the baton if nobody has it.
func (b Baton) Try() bool {
	select {
	case <-b.c:
		return true
	default:
		return false
	}
}

// AwaitOr waits for the baton, or for the bell. It reports whether the caller has the baton.
func (b Baton) AwaitOr(bell Bell) bool {
	select {
	case <-bell.c:
		return false
	case <-b.c:
		return true
	}
}

// News wakes all that wait. L guards it, and is held when its methods are called.
type News struct {
	L sync.Locker
	c chan struct{}
}

// Tell wakes all that wait.
func (n *News) Tell() {
	if n.c != nil {
		close(n.c)
		n.c = nil
	}
}

// Await waits for the next Tell, or the end of ctx, without L.
func (n *News) Await(ctx context.Context) {
	if n.c == nil {
		n.c = make(chan struct{})
	}
	c := n.c
	n.L.Unlock()
	defer n.L.Lock()
	select {
	case <-c:
	case <-ctx.Done():
	}
}

// Hand is where one goroutine hands over to another that takes.
type Hand[T any] struct{ c chan T }

// NewHand returns a Hand.
func NewHand[T any]() Hand[T] { return Hand[T]{make(chan T)} }

// Give waits until somebody takes v.
func (h Hand[T]) Give(v T) { h.c <- v }

// Take waits until somebody gives.
func (h Hand[T]) Take() T { return <-h.c }
