package dht

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// LedgerKept is how many ended sends a [Ledger] remembers.
const LedgerKept = 1000

// Ledger remembers the accepted sends: all that are under way, and the last ones that
// have ended. It outlives the actor that carries the sends out, so that each send ends
// in exactly one report. Its methods may be called from any goroutine.
type Ledger struct {
	mu       sync.Mutex
	open     map[uint64]*Entry
	last     []*Entry // a ring, once it is full
	next     int      // index in last of the next send that ends
	accepted uint64
	ended    uint64
}

// Entry is one send in a [Ledger].
type Entry struct {
	ledger  *Ledger
	id      uint64
	taken   bool // it is being carried out
	report  Report
	changed func()
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger { return &Ledger{open: make(map[uint64]*Entry)} }

// Accept enters a send under an id that is used once. Changed is called after each
// change of the send's report. It may be nil, and must not block.
func (l *Ledger) Accept(now time.Time, id uint64, m *Message, changed func()) *Entry {
	e := &Entry{ledger: l, id: id, changed: changed, report: Report{
		Tag: m.Tag, To: text(m.To), Destination: destination(m), Type: m.Type, Encrypted: m.Encrypt, Size: len(m.Body), Begin: now,
	}}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted++
	l.open[id] = e
	return e
}

func text(s Strategy) string {
	if s, ok := s.(interface{ String() string }); ok {
		return s.String()
	}
	return "nobody"
}

// Take marks a send as being carried out. It returns false if the send has ended or
// was taken before.
func (l *Ledger) Take(id uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.open[id]
	if !ok || e.taken {
		return false
	}
	e.taken = true
	return true
}

// Apply enters a step of a send. Steps after the send's end are ignored.
func (l *Ledger) Apply(now time.Time, p Progress) {
	l.with(p.ID, func(e *Entry) bool {
		l.apply(now, e, &p)
		return true
	})
}

// with applies change to a send under way, and calls the send's changed function if
// change returns true.
func (l *Ledger) with(id uint64, change func(*Entry) bool) {
	changed := func() func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		e, ok := l.open[id]
		if !ok {
			return nil
		}
		changed := e.changed // which change may clear
		if !change(e) {
			return nil
		}
		return changed
	}()
	if changed != nil {
		changed()
	}
}

func (l *Ledger) apply(now time.Time, e *Entry, p *Progress) {
	r := &e.report
	switch p.Kind {
	case SendSelected:
		r.Tag, r.Destination, r.ToStore = p.Tag, p.Destination, p.ToStore
		r.Copies = make([]Copy, len(p.Peers))
		for i, peer := range p.Peers {
			r.Copies[i].Peer = peer
		}
	case SendTried:
		r.Copies[p.Copy].Tries++
	case SendSettled:
		if c := &r.Copies[p.Copy]; c.Outcome.Kind == 0 {
			c.Outcome, c.At = p.Outcome, now
		}
	case SendEnded:
		r.Reason, r.Err, r.End = p.Reason, p.Err, now
		l.end(e)
	}
}

func (l *Ledger) end(e *Entry) {
	delete(l.open, e.id)
	e.changed = nil
	l.ended++
	if len(l.last) < LedgerKept {
		l.last = append(l.last, e)
		return
	}
	l.last[l.next] = e
	l.next = (l.next + 1) % LedgerKept
}

// Abandon ends the sends that were taken, because the actor that carried them out has
// ended. A copy that was tried is in doubt, any other has failed.
func (l *Ledger) Abandon(now time.Time) {
	for _, id := range l.taken() {
		l.abandon(now, id)
	}
}

func (l *Ledger) taken() (ids []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, e := range l.open {
		if e.taken {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (l *Ledger) abandon(now time.Time, id uint64) {
	l.with(id, func(e *Entry) bool {
		for i := range e.report.Copies {
			c := &e.report.Copies[i]
			switch {
			case c.Outcome.Kind != 0:
			case c.Tries > 0:
				c.Outcome, c.At = protocol.Outcome{Kind: protocol.InDoubt, Reason: protocol.Closed, Err: errAbandoned}, now
			default:
				c.Outcome, c.At = protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Closed, Err: errAbandoned}, now
			}
		}
		if len(e.report.Copies) == 0 {
			e.report.Reason, e.report.Err = SendClosed, errAbandoned
		}
		e.report.End = now
		l.end(e)
		return true
	})
}

// Fail ends a send, unless it was taken.
func (l *Ledger) Fail(now time.Time, id uint64, r SendReason, err error) {
	l.with(id, func(e *Entry) bool {
		if e.taken {
			return false
		}
		l.apply(now, e, &Progress{Kind: SendEnded, Reason: r, Err: err})
		return true
	})
}

// Counts returns how many sends were accepted and how many have ended.
func (l *Ledger) Counts() (accepted, ended uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.accepted, l.ended
}

// All returns the last [LedgerKept] sends that have ended, then the sends under way,
// each oldest first.
func (l *Ledger) All() []Report { return l.list(func(*Report) bool { return true }) }

// UnderWay returns the send with this id, if it has not ended.
func (l *Ledger) UnderWay(id uint64) (r Report, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.open[id]
	if !ok {
		return r, false
	}
	return e.report.Clone(), true
}

// ByTag returns the sends of [Ledger.All] with this tag. Tags that the application
// chose need not be unique.
func (l *Ledger) ByTag(tag uint64) []Report {
	return l.list(func(r *Report) bool { return r.Tag == tag })
}

func (l *Ledger) list(want func(*Report) bool) (found []Report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Concat(l.last[l.next:], l.last[:l.next])
	ended := len(all)
	for _, e := range l.open {
		all = append(all, e)
	}
	slices.SortFunc(all[ended:], func(a, b *Entry) int { return cmp.Compare(a.id, b.id) })
	for _, e := range all {
		if want(&e.report) {
			found = append(found, e.report.Clone())
		}
	}
	return found
}

// Report returns a copy of the send's report as it is now.
func (e *Entry) Report() Report {
	e.ledger.mu.Lock()
	defer e.ledger.mu.Unlock()
	return e.report.Clone()
}

// Ended reports whether the send has ended and its report is final.
func (e *Entry) Ended() bool {
	e.ledger.mu.Lock()
	defer e.ledger.mu.Unlock()
	return e.report.Ended()
}
