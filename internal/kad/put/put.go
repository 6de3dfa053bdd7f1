package put

import (
	"cmp"
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Options configure a Put. A zero number stands for its default, named after the
// semicolon.
type Options struct {
	K     int // holders that are wanted; 20
	Alpha int // twice as many are asked at a time; 4
	// Quorum is how many must accept; half of K, rounded up. Where fewer contacts than
	// that are given, all of them must.
	Quorum int
	// Compare orders two valid records, as in package record. Nil: what refuses as too low
	// is not compared.
	Compare func(a, b *overlay.Record) int
}

// Event is an input of a Put.
type Event interface{ event() }

type (
	// Start begins the work.
	Start struct{}

	// Replied: a contact has answered. Status is OK when it stores the record, for Granted.
	Replied struct {
		Peer    overlay.ID
		Status  overlay.Status
		Granted time.Duration
		// Current is the newer record of a contact that refused because of it. The caller
		// has checked that it is valid.
		Current *overlay.Record
	}

	// Gone: on a wire without answers, the record has left.
	Gone struct{ Peer overlay.ID }

	// Lost: a contact has not answered, or the record could not be sent; Why says it in words.
	Lost struct {
		Peer overlay.ID
		Why  string
	}

	// Cancel ends the work; nobody waits for it any more.
	Cancel struct{}
)

func (Start) event()   {}
func (Replied) event() {}
func (Gone) event()    {}
func (Lost) event()    {}
func (Cancel) event()  {}

// Effect is an action for the owner of a Put.
type Effect interface{ effect() }

type (
	// Store: send the record to the contact. One Replied, Gone or Lost follows.
	Store struct{ Contact overlay.Contact }

	// Done: the work has ended. It is the last effect.
	Done struct {
		Report overlay.Report
		// Err is nil, or an [*overlay.PartialError].
		Err error
	}
)

func (Store) effect() {}
func (Done) effect()  {}

// Put stores one record. It is not safe for concurrent use.
type Put struct {
	o          Options
	candidates []overlay.Contact // nearest first
	next       int
	waiting    map[overlay.ID]int // contacts asked; their places in the outcomes
	report     overlay.Report
	started    bool
	done       bool
	out        []Effect
}

// New returns the work of storing a record at the nearest of the contacts, which have
// answered a lookup for its key, nearest first.
func New(key overlay.Key, contacts []overlay.Contact, o Options) *Put {
	o.K = cmp.Or(max(o.K, 0), 20)
	o.Alpha = cmp.Or(max(o.Alpha, 0), 4)
	o.Quorum = min(cmp.Or(max(o.Quorum, 0), (o.K+1)/2), len(contacts))
	return &Put{
		o: o, candidates: contacts, waiting: make(map[overlay.ID]int),
		report: overlay.Report{Key: key, Quorum: o.Quorum},
	}
}

// Step applies one event and returns its effects, in order. The slice is valid until the
// next Step. After [Done] a step has no effects.
func (p *Put) Step(e Event) []Effect {
	clear(p.out)
	p.out = p.out[:0]
	if p.done {
		return nil
	}
	switch e := e.(type) {
	case Start:
		p.started = true
	case Replied:
		o := overlay.Outcome{State: overlay.Stored, Life: e.Granted}
		if e.Status != overlay.OK {
			o = overlay.Outcome{State: overlay.Refused, Status: e.Status}
			if e.Current != nil && p.o.Compare != nil && (p.report.Current == nil || p.o.Compare(e.Current, p.report.Current) > 0) {
				p.report.Current = e.Current
			}
		}
		p.settle(e.Peer, o)
	case Gone:
		p.settle(e.Peer, overlay.Outcome{State: overlay.Sent})
	case Lost:
		p.settle(e.Peer, overlay.Outcome{State: overlay.NoAnswer, Why: e.Why})
	case Cancel:
		p.end()
		return p.out
	}
	p.proceed()
	return p.out
}

// settle notes what has become of a contact.
func (p *Put) settle(id overlay.ID, o overlay.Outcome) {
	at, ok := p.waiting[id]
	if !ok {
		return
	}
	delete(p.waiting, id)
	o.Contact = p.report.Outcomes[at].Contact
	p.report.Outcomes[at] = o
	if o.Accepted() {
		p.report.Accepted++
	}
}

// proceed stores at the next contacts: no more at a time than are still wanted, and than
// the limit is.
func (p *Put) proceed() {
	if !p.started {
		return
	}
	for len(p.waiting) < min(2*p.o.Alpha, p.o.K-p.report.Accepted) && p.next < len(p.candidates) {
		c := p.candidates[p.next]
		p.next++
		p.waiting[c.ID] = len(p.report.Outcomes)
		p.report.Outcomes = append(p.report.Outcomes, overlay.Outcome{Contact: c})
		p.out = append(p.out, Store{c})
	}
	if len(p.waiting) == 0 {
		p.end()
	}
}

func (p *Put) end() {
	p.done = true
	for i := range p.report.Outcomes {
		if o := &p.report.Outcomes[i]; o.State == 0 {
			o.State = overlay.NoAnswer
		}
	}
	d := Done{Report: p.report}
	if p.report.Accepted < p.o.Quorum {
		d.Err = &overlay.PartialError{Report: p.report}
	}
	p.out = append(p.out, d)
}
