package actors

import (
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
)

// lease is the credit of one received message. It goes back exactly once.
type lease struct {
	account *credit.Account
	n       int
	state   atomic.Uint32
	held    *dht.Held       // what a handler holds of the peer, this message included; may be nil
	flood   *dht.FloodMeter // counts it among what is not judged yet; nil: nobody does
}

const (
	leased uint32 = iota
	passed        // on to another message
	kept
	paidBack
)

func (l *lease) finish() { l.finishIn(leased) }

// unpass gives the credit back that was passed on to a message which nobody has
// taken; it reports whether that was so.
func (l *lease) unpass() bool { return l.finishIn(passed) }

// finishIn gives the credit back if the lease is in this state: whose Receive
// has returned may have passed it on.
func (l *lease) finishIn(state uint32) bool {
	if l == nil || !l.state.CompareAndSwap(state, paidBack) {
		return false
	}
	l.back()
	return true
}

func (l *lease) discard() {
	if l != nil && l.state.Swap(paidBack) != paidBack {
		l.back()
	}
}

func (l *lease) back() {
	l.account.Return(l.n)
	if l.held != nil {
		l.held.Finish(credit.Cost(l.n))
	}
}

// judged says that a message which was handed on has been judged, or that nobody
// will. It is called once.
func (l *lease) judged(peer identity.NodeID) {
	if l != nil && l.flood != nil {
		l.flood.Judged(peer)
	}
}

// heldBy says who holds the message, before he has it.
func (l *lease) heldBy(h *dht.Held) { l.held = h }

// cost is what the message counts for.
func (l *lease) cost() int64 { return credit.Cost(l.n) }

func (l *lease) keep() func() { return l.keepIn(leased) }

func (l *lease) keepIn(state uint32) func() {
	if l == nil {
		return func() {}
	}
	l.state.CompareAndSwap(state, kept)
	return l.discard
}

// take has the credit outlive the message that it was passed on to. It is false
// when that was discarded.
func (l *lease) take() bool { return l.state.CompareAndSwap(passed, kept) }

func (l *lease) pass() {
	if l != nil {
		l.state.CompareAndSwap(leased, passed)
	}
}

// passedLease is a lease in the hands of the message that it was passed on to.
type passedLease struct {
	l      *lease
	source Origin
}

func (p passedLease) Finish()             { p.l.finishIn(passed) }
func (p passedLease) Discard()            { p.l.discard() }
func (p passedLease) Keep() (done func()) { return p.l.keepIn(passed) }
func (p passedLease) Source() any         { return p.source }
