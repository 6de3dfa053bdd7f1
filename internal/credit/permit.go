package credit

import "sync/atomic"

// Permit is the credit of one message, which was taken from an account. It goes
// back exactly once: when the message was handled, when nobody handles it, or,
// if somebody keeps it, when that one releases it. Its methods may be called from
// any goroutine. A nil Permit is that of a message without credit.
type Permit struct {
	account *Account
	n       int
	state   atomic.Uint32
	holder  Holder
}

// Holder is told when the credit of a message goes back that it holds.
type Holder interface{ Finish(cost int64) }

// States of a Permit.
const (
	held   uint32 = iota
	passed        // on to another message
	kept
	paidBack
)

// Init makes p the permit for a message of n bytes, whose credit was taken from
// the account. It is called once, before anything else.
func (p *Permit) Init(a *Account, n int) { p.account, p.n = a, n }

// Cost is what the message counts for.
func (p *Permit) Cost() int64 { return Cost(p.n) }

// Len is the length of the message in bytes.
func (p *Permit) Len() int { return p.n }

// HeldBy names who is told when the credit goes back. It is called before the
// message is handed to anybody.
func (p *Permit) HeldBy(h Holder) { p.holder = h }

// Finish gives the credit back, unless it was kept or passed on: the message was
// handled.
func (p *Permit) Finish() { p.finish(held) }

// FinishPassed gives credit back that was passed on, unless somebody keeps or has
// taken it. It reports whether it did.
func (p *Permit) FinishPassed() bool { return p.finish(passed) }

func (p *Permit) finish(state uint32) bool {
	if p == nil || !p.state.CompareAndSwap(state, paidBack) {
		return false
	}
	p.back()
	return true
}

// Discard gives the credit back, whoever has it, unless that was done.
func (p *Permit) Discard() {
	if p != nil && p.state.Swap(paidBack) != paidBack {
		p.back()
	}
}

func (p *Permit) back() {
	p.account.Return(p.n)
	if p.holder != nil {
		p.holder.Finish(Cost(p.n))
	}
}

// Keep holds the credit when the message was handled, until release is called,
// which may happen more than once.
func (p *Permit) Keep() (release func()) { return p.keep(held) }

// KeepPassed is Keep for credit that was passed on.
func (p *Permit) KeepPassed() (release func()) { return p.keep(passed) }

func (p *Permit) keep(state uint32) func() {
	if p == nil {
		return func() {}
	}
	p.state.CompareAndSwap(state, kept)
	return p.Discard
}

// Pass hands the credit on to another message: from now on that one says when it
// goes back.
func (p *Permit) Pass() {
	if p != nil {
		p.state.CompareAndSwap(held, passed)
	}
}

// TakePassed has credit that was passed on outlive the message that it was passed
// to. It is false when that message was discarded.
func (p *Permit) TakePassed() bool { return p.state.CompareAndSwap(passed, kept) }

// PassKept hands credit that was kept on to another message again. It is false when the
// credit went back.
func (p *Permit) PassKept() bool { return p.state.CompareAndSwap(kept, passed) }
