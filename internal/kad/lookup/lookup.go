package lookup

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Mode is what a search looks for.
type Mode uint8

// The modes.
const (
	ForNodes  Mode = iota // the k nearest nodes
	ForFirst              // a value of which any copy is as good: immutable, or of the seed overlay
	ForNewest             // a value that changes: the newest version
)

// Options configure a Lookup. A zero number stands for its default, named after the
// semicolon.
//
// spec: kad B7
type Options struct {
	Mode  Mode
	K     int // 20
	Alpha int // 4; contacts asked at a time that are not slow. Twice as many are asked in all.
	// Quorum is how many holders must agree on the newest version; 3.
	Quorum int
	// Wide has the contacts of Spread asked as well. All that the search has begun with, and
	// those that they have named, may be nodes that name only each other. A search for a
	// value that has found none becomes wide by itself.
	Wide bool
	// Spread, if set, returns contacts of all parts of the table. It is called once, when
	// the search becomes wide.
	Spread func() []overlay.Contact
	// Limit is how long the search may take; 60 s.
	Limit time.Duration

	// Compare orders two valid records, as in package record. It must be set in a search
	// for the newest version.
	Compare func(a, b *overlay.Record) int
	// Usable, if set, reports whether a contact may be asked: it has an address that a
	// gateway reaches, and is not banned.
	Usable func(overlay.Contact) bool
	// Verify, if set, checks the claim of a contact. It is called once, before the contact
	// is asked.
	Verify func(overlay.Contact) error
	// Exclude are never asked: this node, and whoever it searches for.
	Exclude []overlay.ID
}

// Limits of a search.
const (
	MaxHeard     = 1000    // contacts
	MaxBytes     = 2 << 20 // received
	maxPerGroup  = 3       // contacts of one network in one answer
	shortFactor  = 8       // × k: contacts kept, and contacts asked
	answerFactor = 2       // × k: contacts read of one answer
)

// Lookup is one search. It is not safe for concurrent use.
type Lookup struct {
	o      Options
	target overlay.ID

	began time.Time
	known map[overlay.ID]*peer
	short []*peer // nearest first

	waiting, slow int // contacts asked
	result        overlay.LookupResult
	nearestDone   overlay.ID // of those that answered
	started, done bool
	out           []Effect
}

// peer is a contact in the search.
type peer struct {
	contact overlay.Contact
	groups  []string
	spread  bool // it is asked, however far it is
	state   overlay.PeerState
	hop     int
	teller  overlay.ID
	record  *overlay.Record
}

// New returns a search for target that begins with [Start].
func New(target overlay.ID, o Options) *Lookup {
	o.K = cmp.Or(max(o.K, 0), 20)
	o.Alpha = cmp.Or(max(o.Alpha, 0), 4)
	o.Quorum = cmp.Or(max(o.Quorum, 0), 3)
	o.Limit = cmp.Or(o.Limit, time.Minute)
	return &Lookup{o: o, target: target, known: make(map[overlay.ID]*peer)}
}

// Target returns what is searched for.
func (l *Lookup) Target() overlay.ID { return l.target }

// Ended reports whether the search has ended.
func (l *Lookup) Ended() bool { return l.done }

// Best returns the best record found so far; nil: none. FindValue asks only for newer ones.
func (l *Lookup) Best() *overlay.Record { return l.result.Record }

// Step applies one event and returns its effects, in order. The slice is valid until the
// next Step. After [Done] a step has no effects.
func (l *Lookup) Step(now time.Time, e Event) []Effect {
	clear(l.out)
	l.out = l.out[:0]
	if l.done {
		return nil
	}
	switch e := e.(type) {
	case Start:
		l.start(now, e.Contacts)
	case Answered:
		l.answered(now, e)
	case Slow:
		l.slowed(now, e.Peer)
	case Lost:
		l.lost(now, e.Peer)
	case Cancel:
		l.end(now, overlay.EndCancelled, nil)
	case Due:
	}
	l.proceed(now)
	return l.out
}

func (l *Lookup) do(e Effect) { l.out = append(l.out, e) }

func (l *Lookup) start(now time.Time, contacts []overlay.Contact) {
	if l.started {
		return
	}
	l.started, l.began = true, now
	l.do(Wake{now.Add(l.o.Limit)})
	for _, c := range contacts {
		l.hear(c, c.Groups(), 1, overlay.ID{})
	}
	if l.o.Wide {
		l.widen()
	}
}

// widen has contacts of all parts of the table asked.
func (l *Lookup) widen() {
	l.o.Wide = true
	if l.o.Spread == nil {
		return
	}
	for _, c := range l.o.Spread() {
		l.hear(c, c.Groups(), 1, overlay.ID{})
		if p := l.known[c.ID]; p != nil {
			p.spread = true
			l.place(p)
		}
	}
}

// hear takes in a contact, and reports whether it is new.
func (l *Lookup) hear(c overlay.Contact, groups []string, hop int, teller overlay.ID) bool {
	if l.known[c.ID] != nil || slices.Contains(l.o.Exclude, c.ID) || l.result.Heard >= MaxHeard ||
		l.o.Usable != nil && !l.o.Usable(c) {
		return false
	}
	l.result.Heard++
	p := &peer{contact: c, groups: groups, hop: hop, teller: teller}
	l.known[c.ID] = p
	l.place(p)
	return true
}

// place puts a contact on the shortlist. When that is full, the farthest leaves of those
// that are not being asked.
func (l *Lookup) place(p *peer) {
	at, found := l.search(p.contact.ID)
	if found {
		return
	}
	l.short = slices.Insert(l.short, at, p)
	if len(l.short) <= shortFactor*l.o.K {
		return
	}
	for i, x := range slices.Backward(l.short) {
		if x.state != overlay.PeerWaiting && x.state != overlay.PeerSlow {
			l.short = slices.Delete(l.short, i, i+1)
			return
		}
	}
}

func (l *Lookup) search(id overlay.ID) (at int, found bool) {
	return slices.BinarySearchFunc(l.short, id, func(p *peer, id overlay.ID) int {
		return l.target.CompareDistance(p.contact.ID, id)
	})
}

// answered takes in an answer. One from a contact that has been given up is late; its
// contacts are as good as others.
func (l *Lookup) answered(now time.Time, e Answered) {
	p := l.known[e.Peer]
	if p == nil || p.state == overlay.PeerHeard || p.state == overlay.PeerAnswered {
		return
	}
	l.leave(p)
	if p.state == overlay.PeerFailed {
		l.result.Failures--
	}
	p.state = overlay.PeerAnswered
	l.place(p) // it may have left when it had failed
	l.result.Answers++
	l.result.Bytes += e.Size
	before := l.best()
	gained := 0
	if e.Forged {
		p.state = overlay.PeerFailed // it counts towards nothing
		l.result.Answers--
		l.result.Failures++
		l.do(Blame{e.Peer, Forged})
	} else {
		l.hold(p, e.Record)
		gained = l.told(p, e.Contacts)
	}
	l.hop(now, p, overlay.Step{Took: e.Took, Gained: gained, Record: p.record != nil, BestBefore: before})
}

// told takes in the contacts of an answer, and returns how many new ones are nearer than
// who named them.
func (l *Lookup) told(p *peer, contacts []overlay.Contact) (gained int) {
	contacts = contacts[:min(len(contacts), answerFactor*l.o.K)]
	contacts = distinct(contacts)
	groups := l.groups(contacts)
	crowds := crowded(groups)
	if len(crowds) > 0 {
		l.do(Blame{p.contact.ID, SameGroup})
	}
	nearer := len(contacts) == 0
	for i := range contacts {
		c := &contacts[i]
		nearer = nearer || l.target.CompareDistance(c.ID, p.contact.ID) < 0
		if len(crowds) > 0 && slices.ContainsFunc(groups[i], func(g string) bool { return slices.Contains(crowds, g) }) {
			continue
		}
		if known := l.known[c.ID]; known != nil && known.contact.PublicKey == c.PublicKey {
			continue // its key was checked when it was heard of
		}
		if c.CheckKey() != nil {
			l.do(Blame{p.contact.ID, BadClaim})
			continue
		}
		if l.hear(*c, groups[i], p.hop+1, p.contact.ID) && l.target.CompareDistance(c.ID, p.contact.ID) < 0 {
			gained++
		}
	}
	if !nearer && !l.nearestDone.IsZero() && l.target.CompareDistance(l.nearestDone, p.contact.ID) < 0 {
		l.do(Blame{p.contact.ID, NoNearer})
	}
	if l.nearestDone.IsZero() || l.target.CompareDistance(p.contact.ID, l.nearestDone) < 0 {
		l.nearestDone = p.contact.ID
	}
	return gained
}

// distinct returns the contacts without those whose id came before, with whatever key.
func distinct(contacts []overlay.Contact) []overlay.Contact {
	named := make(map[overlay.ID]bool, len(contacts))
	return slices.DeleteFunc(slices.Clone(contacts), func(c overlay.Contact) bool {
		again := named[c.ID]
		named[c.ID] = true
		return again
	})
}

// groups returns the networks of each contact. Those of a known one are not worked out again.
func (l *Lookup) groups(contacts []overlay.Contact) [][]string {
	list := make([][]string, len(contacts))
	for i := range contacts {
		c := &contacts[i]
		if p := l.known[c.ID]; p != nil && slices.Equal(p.contact.Addresses, c.Addresses) {
			list[i] = p.groups
		} else {
			list[i] = c.Groups()
		}
	}
	return list
}

// crowded returns the networks that more than three of the contacts are in.
func crowded(contacts [][]string) (groups []string) {
	all := slices.Concat(contacts...)
	slices.Sort(all)
	for i := maxPerGroup; i < len(all); i++ {
		if all[i] == all[i-maxPerGroup] && !slices.Contains(groups, all[i]) {
			groups = append(groups, all[i])
		}
	}
	return groups
}

// hold takes in what a contact holds.
func (l *Lookup) hold(p *peer, r *overlay.Record) {
	if r == nil || l.o.Mode == ForNodes {
		return
	}
	p.record = r
	switch order := l.compare(r, l.result.Record); {
	case order > 0:
		l.result.Record, l.result.Agreed = r, 1
		l.result.Sender, l.result.Hops = p.contact.ID, p.hop
	case order == 0:
		l.result.Agreed++
	}
}

// compare orders two records; none is less than any.
func (l *Lookup) compare(a, b *overlay.Record) int {
	switch {
	case b == nil && a == nil:
		return 0
	case b == nil:
		return 1
	case a == nil:
		return -1
	case l.o.Mode == ForNewest:
		return l.o.Compare(a, b)
	}
	return 0
}

func (l *Lookup) slowed(now time.Time, id overlay.ID) {
	p := l.known[id]
	if p == nil || p.state != overlay.PeerWaiting {
		return
	}
	p.state = overlay.PeerSlow
	l.waiting--
	l.slow++
	l.result.Slowed++
	l.hop(now, p, overlay.Step{BestBefore: l.best()})
}

func (l *Lookup) lost(now time.Time, id overlay.ID) {
	p := l.known[id]
	if p == nil || p.state != overlay.PeerWaiting && p.state != overlay.PeerSlow {
		return
	}
	l.leave(p)
	p.state = overlay.PeerFailed
	l.result.Failures++
	l.hop(now, p, overlay.Step{BestBefore: l.best()})
}

// leave takes a contact out of those that are asked.
func (l *Lookup) leave(p *peer) {
	switch p.state {
	case overlay.PeerWaiting:
		l.waiting--
	case overlay.PeerSlow:
		l.slow--
	}
}

// proceed asks further contacts, or ends the search.
func (l *Lookup) proceed(now time.Time) {
	if !l.started || l.done {
		return
	}
	r := &l.result
	switch {
	case r.Record != nil && (l.o.Mode == ForFirst || r.Record.Kind == overlay.Immutable || r.Agreed >= l.o.Quorum):
		l.end(now, overlay.EndFound, nil)
	case r.Bytes > MaxBytes:
		l.end(now, overlay.EndLimited, &overlay.LimitError{What: "bytes", Max: fmt.Sprint(MaxBytes)})
	case r.Heard >= MaxHeard:
		l.end(now, overlay.EndLimited, &overlay.LimitError{What: "contacts heard of", Max: fmt.Sprint(MaxHeard)})
	case !l.began.Add(l.o.Limit).After(now):
		l.end(now, overlay.EndLimited, &overlay.LimitError{What: "time", Max: l.o.Limit.String()})
	default:
		l.fill(now)
	}
}

// fill asks the nearest contacts that were not asked, while there are slots. Contacts that
// are slow may fail, so as many more are asked beyond the k nearest. Without any to wait for
// among the k nearest the search ends.
func (l *Lookup) fill(now time.Time) {
	alive, sure, open := 0, 0, false // of the contacts so far: not failed; not slow either
	for _, p := range l.short {
		if sure >= l.o.K && !p.spread {
			if l.o.Wide {
				continue
			}
			break
		}
		if p.state == overlay.PeerHeard {
			switch {
			case l.waiting >= l.o.Alpha, l.waiting+l.slow >= 2*l.o.Alpha:
				open = open || p.spread || alive < l.o.K
			case l.result.Asked >= shortFactor*l.o.K:
				l.end(now, overlay.EndLimited, &overlay.LimitError{What: "contacts asked", Max: fmt.Sprint(shortFactor * l.o.K)})
				return
			case l.o.Verify != nil && l.o.Verify(p.contact) != nil:
				p.state = overlay.PeerFailed
				l.result.Failures++
				if !p.teller.IsZero() {
					l.do(Blame{p.teller, BadClaim})
				}
			default:
				l.ask(now, p)
			}
		}
		switch p.state {
		case overlay.PeerFailed:
			continue
		case overlay.PeerWaiting, overlay.PeerSlow:
			open = open || p.spread || alive < l.o.K
		}
		alive++
		if p.state != overlay.PeerSlow {
			sure++
		}
	}
	switch {
	case open:
	case l.result.Record != nil:
		l.end(now, overlay.EndFound, nil)
	case l.o.Mode != ForNodes && !l.o.Wide:
		l.widen()
		l.fill(now)
	case alive >= l.o.K:
		l.end(now, overlay.EndConverged, nil)
	default:
		l.end(now, overlay.EndExhausted, nil)
	}
}

func (l *Lookup) ask(now time.Time, p *peer) {
	p.state = overlay.PeerWaiting
	l.waiting++
	l.result.Asked++
	l.do(Ask{p.contact})
	l.hop(now, p, overlay.Step{BestBefore: l.best()})
}

// best returns how many bits the nearest known contact has in common with the target.
func (l *Lookup) best() int {
	if len(l.short) == 0 {
		return 0
	}
	return l.target.CommonPrefix(l.short[0].contact.ID)
}

func (l *Lookup) hop(now time.Time, p *peer, s overlay.Step) {
	at, _ := l.search(p.contact.ID)
	s.At, s.Contact, s.State, s.Hop, s.Rank = now.Sub(l.began), p.contact, p.state, p.hop, at+1
	s.Best = l.best()
	l.do(Hop{s})
}

func (l *Lookup) end(now time.Time, why overlay.EndReason, err error) {
	l.done = true
	r := &l.result
	r.Reason, r.Err = why, err
	if l.started {
		r.Took = now.Sub(l.began)
	}
	for _, p := range l.short {
		if p.state != overlay.PeerAnswered {
			continue
		}
		if r.Record == nil && r.Hops == 0 {
			r.Hops = p.hop
		}
		if len(r.Nearest) < l.o.K {
			r.Nearest = append(r.Nearest, p.contact)
			if r.Record != nil && (p.record == nil || l.compare(p.record, r.Record) < 0) {
				r.Stale = append(r.Stale, p.contact)
			}
		} else {
			r.Further = append(r.Further, p.contact)
		}
		if r.Record != nil && p.record == nil && r.Lacking == nil {
			r.Lacking = &p.contact
		}
	}
	l.do(Done{*r})
}
