package credit

import "sync/atomic"

// Permit is the credit of one message, which was taken from an account. It goes
// back exactly once: when the message was handled, when nobody handles it, or,
// if somebody keeps it, when that one releases it. Its methods may be called from
// any goroutine. A nil Permit is that of a message without credit.
type Permit struct {
	account *Account
	whole   *parts // that this permit is a part of; nil: of none
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
	paidBack // or handed over
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
func (p *Permit) Discard() { p.discard(false) }

// Refuse is Discard by who keeps the credit: the message counts as dropped as well.
func (p *Permit) Refuse() { p.discard(true) }

func (p *Permit) discard(lost bool) {
	if p == nil {
		return
	}
	was := p.state.Swap(paidBack)
	if was == paidBack {
		return
	}
	if (lost || was != kept) && p.account != nil && p.account.dropped != nil {
		p.account.dropped(p.n)
	}
	p.back()
}

func (p *Permit) back() {
	if p.whole != nil {
		p.whole.done()
	} else {
		p.account.Return(p.n)
	}
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

// HandOver returns a permit that holds the message's credit in place of p. Like credit
// that was passed on, it goes back when the new owner says so. From now on the calls of
// p's owner do nothing: it may finish or discard its message at any time without giving
// back what the new owner holds. If the credit went back before, so did that of the new
// permit.
func (p *Permit) HandOver() *Permit {
	if p == nil {
		return nil
	}
	q := &Permit{account: p.account, whole: p.whole, n: p.n, holder: p.holder}
	q.state.Store(passed)
	if p.state.Swap(paidBack) == paidBack {
		q.state.Store(paidBack)
	}
	return q
}

// Split hands the message's credit over to its parts and returns a permit for each of
// their lengths, as HandOver does. The parts count for their lengths; what goes back to
// the account, when the last part has, is the whole. Without parts it goes back at once.
func (p *Permit) Split(lengths ...int) []*Permit {
	all := make([]*Permit, len(lengths))
	if p == nil {
		return all
	}
	state := passed
	if p.state.Swap(paidBack) == paidBack {
		state = paidBack
	} else if len(lengths) == 0 {
		p.back()
		return all
	}
	whole := &parts{permit: p}
	whole.left.Store(int64(len(lengths)))
	for i, n := range lengths {
		all[i] = &Permit{whole: whole, n: n}
		all[i].state.Store(state)
	}
	return all
}

// Held reports whether the credit has not gone back and was not handed over.
func (p *Permit) Held() bool { return p == nil || p.state.Load() != paidBack }

// parts counts the parts of a permit that have not gone back.
type parts struct {
	permit *Permit
	left   atomic.Int64
}

func (w *parts) done() {
	if w.left.Add(-1) == 0 {
		w.permit.back()
	}
}
