package actors

import (
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/internal/credit"
)

// lease is the credit of one received message. It goes back exactly once.
type lease struct {
	account *credit.Account
	n       int
	state   atomic.Uint32
}

const (
	leased uint32 = iota
	kept
	paidBack
)

func (l *lease) finish() {
	if l != nil && l.state.CompareAndSwap(leased, paidBack) {
		l.account.Return(l.n)
	}
}

func (l *lease) discard() {
	if l != nil && l.state.Swap(paidBack) != paidBack {
		l.account.Return(l.n)
	}
}

func (l *lease) keep() func() {
	if l == nil {
		return func() {}
	}
	l.state.CompareAndSwap(leased, kept)
	return l.discard
}
