package table

import (
	"cmp"
	"container/list"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Options configure a Table. A zero number stands for its default, named after the
// semicolon.
//
// spec: kad B4
type Options struct {
	Overlay      overlay.Overlay
	IDLen        int  // bytes of an id; 32
	K            int  // live contacts in a bucket; 20
	Replacements int  // contacts that wait, in a bucket; 10
	AllowPrivate bool // addresses of private networks and of this machine are good

	// OnionOnly, if set, reports whether all addresses of this node are onion services.
	OnionOnly func() bool
	// Banned, if set, reports whether a contact may not enter.
	Banned func(overlay.Contact) bool
	// Rand spreads the probes in time. It must be set.
	Rand *rand.Rand
}

// Limits of the table.
//
// spec: kad B4
const (
	MaxPerGroupBucket = 2  // contacts of one network in a bucket, replacements included
	MaxPerGroup       = 10 // … in the table
	MaxOnionsBucket   = 5  // onion services in a bucket, replacements included

	MaxCandidates         = 256 // nodes that are probed before they may enter
	MaxCandidatesPerGroup = 32  // … of one network

	// SilentAfter is the silence after which a contact is questionable.
	SilentAfter = 15 * time.Minute
)

const (
	firstScore = 3 // of a contact that enters: the first failure leaves 1
	failure    = 3 // a failure divides the score by it
	// probeLimit is when a probe is forgotten whose end was never reported.
	probeLimit = 30 * time.Second
)

// Table is the routing table. It is not safe for concurrent use; its views are.
type Table struct {
	o    Options
	self overlay.ID

	buckets    []*bucket      // by bits in common with self; the last one holds all deeper ones
	groups     map[string]int // of live contacts and replacements
	index      map[overlay.ID]*entry
	candidates map[overlay.ID]candidate
	order      []overlay.ID // of candidates, oldest first
	crowd      map[string]int

	joined     bool
	live       int
	fast, slow time.Time // when the next contact of that queue is probed; zero: never
	doubtful   list.List // the entries of the fast queue: live, and new or lately failed
	steady     list.List // the other live ones, that which has been silent longest first
	hasty      bool      // contacts live so short that they are probed more often

	view *overlay.View
	wake time.Time
	out  []Effect
}

// bucket holds the contacts of one distance.
type bucket struct {
	live, waiting []*entry // waiting: oldest answer first
	dirty         bool     // it has changed since the last view
}

// entry is a contact in the table.
type entry struct {
	overlay.TableEntry
	groups  []string
	onion   bool
	waiting bool          // it is a replacement
	useless int           // mild blames
	queued  *list.Element // where it is in doubtful or steady; nil: it is a replacement
	probed  time.Time
	moved   overlay.Address // overlay Seed: where an answer came from lately
}

type candidate struct {
	contact overlay.Contact
	groups  []string
	until   time.Time
}

// New returns an empty table of the node self.
func New(self overlay.ID, o Options) *Table {
	o.IDLen = cmp.Or(o.IDLen, overlay.IDLen)
	o.K = cmp.Or(o.K, 20)
	o.Replacements = cmp.Or(o.Replacements, 10)
	t := &Table{
		o: o, self: self, buckets: []*bucket{{}}, groups: make(map[string]int), crowd: make(map[string]int),
		index: make(map[overlay.ID]*entry), candidates: make(map[overlay.ID]candidate),
	}
	return t
}

// Step applies one event and returns its effects, in order. The slice is valid until the
// next Step.
func (t *Table) Step(now time.Time, e Event) []Effect {
	clear(t.out)
	t.out = t.out[:0]
	switch e := e.(type) {
	case Answered:
		t.answered(now, e)
	case Failed:
		t.failed(now, e)
	case Asked:
		t.asked(now, e)
	case Blamed:
		t.blamed(now, e)
	case Banned:
		t.banned(now)
	case Joined:
		t.joined = true
		for _, b := range t.buckets {
			t.promote(now, b)
		}
	case Churn:
		t.hasty = e.HalfLife > 0 && e.HalfLife < time.Hour
	case Due:
		t.wake = time.Time{}
		t.due(now)
	}
	t.askWake(now)
	return t.out
}

func (t *Table) do(e Effect) { t.out = append(t.out, e) }

// Len returns how many contacts are live.
func (t *Table) Len() int { return t.live }

// Candidates returns how many nodes are probed before they may enter.
func (t *Table) Candidates() int { return len(t.candidates) }

// bucketOf returns the bucket of an id.
func (t *Table) bucketOf(id overlay.ID) *bucket {
	return t.buckets[min(t.self.CommonPrefix(id), len(t.buckets)-1)]
}

// answered admits a contact, or notes that it lives.
func (t *Table) answered(now time.Time, e Answered) {
	c := e.Contact
	if was, ok := t.candidates[c.ID]; ok {
		t.forget(c.ID, was)
	}
	if x := t.index[c.ID]; x != nil {
		if t.elsewhere(x, c) {
			if e.Echoed {
				x.moved = c.Addresses[0]
				t.probe(now, x)
			}
			return
		}
		t.alive(now, x, e)
		return
	}
	c, ok := t.acceptable(c)
	if !ok {
		return
	}
	x := &entry{
		TableEntry: overlay.TableEntry{Contact: c, Since: now, Answered: now, Score: firstScore},
		groups:     c.Groups(), onion: slices.ContainsFunc(c.Addresses, overlay.Address.Onion),
	}
	if e.Measured {
		x.RTT.Observe(e.Took)
	}
	t.admit(now, x, e.Candidate && !t.joined)
}

// elsewhere reports whether the contact uses an id of the overlay Seed that is known at
// another address.
func (t *Table) elsewhere(x *entry, c overlay.Contact) bool {
	return t.o.Overlay == overlay.Seed && len(c.Addresses) > 0 && c.Addresses[0] != x.Contact.Addresses[0]
}

// acceptable returns a contact with those of its addresses that it may have.
func (t *Table) acceptable(c overlay.Contact) (overlay.Contact, bool) {
	if c.ID == t.self || c.ID.IsZero() || c.CheckKey() != nil || t.o.Banned != nil && t.o.Banned(c) {
		return c, false
	}
	if !t.o.AllowPrivate && slices.ContainsFunc(c.Addresses, func(a overlay.Address) bool { return !a.Public() }) {
		c.Addresses = slices.DeleteFunc(slices.Clone(c.Addresses), func(a overlay.Address) bool { return !a.Public() })
	}
	if len(c.Addresses) > overlay.MaxAddresses {
		c.Addresses = c.Addresses[:overlay.MaxAddresses]
	}
	return c, len(c.Addresses) > 0
}

// admit puts a new contact into its bucket, unless its networks have too many already. With
// aside it waits among the replacements although there may be room.
func (t *Table) admit(now time.Time, x *entry, aside bool) {
	b := t.bucketOf(x.Contact.ID)
	if !t.allowed(b, x.groups, x.onion, nil) {
		return
	}
	for !aside && len(b.live) >= t.o.K && b == t.buckets[len(t.buckets)-1] && len(t.buckets) < 8*t.o.IDLen {
		t.unfold(now)
		b = t.bucketOf(x.Contact.ID)
	}
	t.index[x.Contact.ID] = x
	t.count(x, 1)
	if !aside && len(b.live) < t.o.K {
		t.enliven(now, b, x)
		return
	}
	x.waiting = true
	b.waiting = append(b.waiting, x)
	if len(b.waiting) > t.o.Replacements {
		t.drop(b, b.waiting[0])
	}
	t.challenge(now, b)
}

// unfold splits the deepest bucket.
func (t *Table) unfold(now time.Time) {
	at := len(t.buckets) - 1
	b, deeper := t.buckets[at], &bucket{dirty: true}
	b.dirty = true
	split := func(list []*entry) (here, there []*entry) {
		for _, x := range list {
			if t.self.CommonPrefix(x.Contact.ID) > at {
				there = append(there, x)
			} else {
				here = append(here, x)
			}
		}
		return here, there
	}
	b.live, deeper.live = split(b.live)
	b.waiting, deeper.waiting = split(b.waiting)
	t.buckets = append(t.buckets, deeper)
	t.promote(now, b)
	t.promote(now, deeper)
}

// enliven makes a contact, which is counted already, a live one.
func (t *Table) enliven(now time.Time, b *bucket, x *entry) {
	x.waiting, x.Since = false, now
	x.queued = t.doubtful.PushBack(x)
	b.live = append(b.live, x)
	b.dirty = true
	t.live++
	t.do(Added{x.Contact})
}

// promote fills free places of a bucket with the replacements that answered last.
func (t *Table) promote(now time.Time, b *bucket) {
	for t.joined && len(b.live) < t.o.K && len(b.waiting) > 0 {
		x := b.waiting[len(b.waiting)-1]
		b.waiting = slices.Delete(b.waiting, len(b.waiting)-1, len(b.waiting))
		t.enliven(now, b, x)
	}
}

// challenge probes the contact of a full bucket that has been silent longest, if it is
// questionable: newcomers wait for its place.
func (t *Table) challenge(now time.Time, b *bucket) {
	if len(b.live) < t.o.K {
		return
	}
	x := slices.MinFunc(b.live, func(x, y *entry) int { return x.Answered.Compare(y.Answered) })
	if now.Sub(x.Answered) >= SilentAfter {
		t.probe(now, x)
	}
}

// alive notes an answer of a contact that is in the table.
func (t *Table) alive(now time.Time, x *entry, e Answered) {
	b := t.bucketOf(x.Contact.ID)
	t.update(b, x, e)
	x.Answered, x.Failures, x.useless = now, 0, 0
	x.Score++
	x.probed = time.Time{}
	if e.Measured {
		x.RTT.Observe(e.Took)
	}
	b.dirty = true
	if !x.waiting {
		t.requeue(x, &t.steady)
	} else {
		at := slices.Index(b.waiting, x)
		b.waiting = append(slices.Delete(b.waiting, at, at+1), x)
		if t.promote(now, b); x.waiting && !e.Candidate && len(b.live) < t.o.K { // before Joined
			b.waiting = b.waiting[:len(b.waiting)-1]
			t.enliven(now, b, x)
		}
	}
}

// update takes the addresses of a later claim, if the limits for networks allow it. Of the
// same claim it takes which address comes first.
func (t *Table) update(b *bucket, x *entry, e Answered) {
	x.moved = ""
	if e.Contact.Stamp <= x.Contact.Stamp {
		if e.Contact.Stamp == x.Contact.Stamp && len(e.Contact.Addresses) > 0 {
			x.Contact = x.Contact.ReachedAt(e.Contact.Addresses[0])
		}
		return
	}
	c, ok := t.acceptable(e.Contact)
	if !ok {
		return
	}
	t.readdress(b, x, c)
}

// readdress replaces what is known of a contact.
func (t *Table) readdress(b *bucket, x *entry, c overlay.Contact) bool {
	groups, onion := c.Groups(), slices.ContainsFunc(c.Addresses, overlay.Address.Onion)
	if !t.allowed(b, groups, onion, x) {
		return false
	}
	t.count(x, -1)
	x.Contact, x.groups, x.onion = c, groups, onion
	t.count(x, 1)
	b.dirty = true
	return true
}

// allowed reports whether a contact of these networks may be in the bucket, instead of one
// that is there or in addition.
func (t *Table) allowed(b *bucket, groups []string, onion bool, instead *entry) bool {
	for _, g := range groups {
		n := t.groups[g]
		if instead != nil && slices.Contains(instead.groups, g) {
			n--
		}
		if n >= MaxPerGroup {
			return false
		}
	}
	if len(groups) == 0 && !onion {
		return true
	}
	onions := 0
	var near [8]int
	counts := near[:]
	if len(groups) > len(counts) {
		counts = make([]int, len(groups))
	}
	for _, list := range [2][]*entry{b.live, b.waiting} {
		for _, x := range list {
			if x == instead {
				continue
			}
			if x.onion {
				onions++
			}
			for i, g := range groups {
				if slices.Contains(x.groups, g) {
					if counts[i]++; counts[i] >= MaxPerGroupBucket {
						return false
					}
				}
			}
		}
	}
	return !onion || onions < MaxOnionsBucket || t.o.OnionOnly != nil && t.o.OnionOnly()
}

func (t *Table) count(x *entry, by int) {
	for _, g := range x.groups {
		if t.groups[g] += by; t.groups[g] == 0 {
			delete(t.groups, g)
		}
	}
}

// failed notes that a contact has not answered.
func (t *Table) failed(now time.Time, e Failed) {
	x := t.index[e.ID]
	if c, ok := t.candidates[e.ID]; ok && (x == nil || e.Address == c.contact.Addresses[0]) {
		t.forget(e.ID, c)
		return
	}
	if x == nil || e.Address != "" && !slices.Contains(x.Contact.Addresses, e.Address) {
		return
	}
	b := t.bucketOf(e.ID)
	x.probed = time.Time{}
	if x.waiting {
		t.drop(b, x)
		return
	}
	silent := now.Sub(x.Answered) > overlay.FreshFor
	x.Failures++
	x.Score /= failure
	t.requeue(x, &t.doubtful)
	b.dirty = true
	verified := slices.ContainsFunc(b.waiting, func(y *entry) bool { return now.Sub(y.Answered) <= overlay.FreshFor })
	switch {
	case x.Failures >= 2 && x.moved != "":
		c := x.Contact
		c.Addresses = []overlay.Address{x.moved}
		x.moved = ""
		if t.readdress(b, x, c) {
			x.Failures, x.Score = 0, firstScore
			return
		}
		t.remove(now, b, x, Dead)
	case x.Failures >= 2:
		t.remove(now, b, x, Dead)
	case silent && verified:
		t.remove(now, b, x, Silent)
	case x.Score == 0:
		t.remove(now, b, x, Poor)
	}
}

// drop removes a replacement.
func (t *Table) drop(b *bucket, x *entry) {
	at := slices.Index(b.waiting, x)
	b.waiting = slices.Delete(b.waiting, at, at+1)
	delete(t.index, x.Contact.ID)
	t.count(x, -1)
}

// remove removes a live contact. A replacement takes its place.
func (t *Table) remove(now time.Time, b *bucket, x *entry, why Reason) {
	at := slices.Index(b.live, x)
	b.live = slices.Delete(b.live, at, at+1)
	b.dirty = true
	delete(t.index, x.Contact.ID)
	t.count(x, -1)
	t.live--
	t.unqueue(x)
	t.do(Removed{x.Contact, now.Sub(x.Since), why})
	t.promote(now, b)
}

// banned removes all that must not be in the table any more.
func (t *Table) banned(now time.Time) {
	if t.o.Banned == nil {
		return
	}
	for _, id := range slices.Clone(t.order) {
		if c := t.candidates[id]; t.o.Banned(c.contact) {
			t.forget(id, c)
		}
	}
	for _, b := range t.buckets {
		for _, x := range slices.Clone(b.waiting) {
			if t.o.Banned(x.Contact) {
				t.drop(b, x)
			}
		}
		for _, x := range slices.Clone(b.live) {
			if t.o.Banned(x.Contact) {
				t.remove(now, b, x, Ban)
			}
		}
	}
}

// blamed lowers the score of a contact that misled a lookup.
func (t *Table) blamed(now time.Time, e Blamed) {
	x := t.index[e.ID]
	if x == nil {
		return
	}
	if x.useless++; e.Mild && x.useless < 2 {
		return
	}
	x.useless = 0
	b := t.bucketOf(e.ID)
	x.Score /= failure
	b.dirty = true
	switch {
	case x.Score > 0:
	case x.waiting:
		t.drop(b, x)
	default:
		t.remove(now, b, x, Poor)
	}
}

// asked considers a node that has asked something: it is probed if there may be room for it.
func (t *Table) asked(now time.Time, e Asked) {
	if _, ok := t.candidates[e.Contact.ID]; ok || e.ReadOnly || len(t.candidates) >= MaxCandidates {
		return
	}
	x := t.index[e.Contact.ID]
	if x != nil && (!t.elsewhere(x, e.Contact) || x.moved != "") {
		return
	}
	c, ok := t.acceptable(e.Contact)
	if !ok {
		return
	}
	b := t.bucketOf(c.ID)
	unfolds := b == t.buckets[len(t.buckets)-1] && len(t.buckets) < 8*t.o.IDLen
	if x == nil && len(b.live) >= t.o.K && len(b.waiting) >= t.o.Replacements && !unfolds {
		t.challenge(now, b)
		return
	}
	groups := c.Groups()
	if !t.allowed(b, groups, slices.ContainsFunc(c.Addresses, overlay.Address.Onion), x) ||
		slices.ContainsFunc(groups, func(g string) bool { return t.crowd[g] >= MaxCandidatesPerGroup }) {
		return
	}
	for _, g := range groups {
		t.crowd[g]++
	}
	t.candidates[c.ID] = candidate{c, groups, now.Add(probeLimit)}
	t.order = append(t.order, c.ID)
	t.do(Probe{c, true})
}

// forget takes a node out of the candidates.
func (t *Table) forget(id overlay.ID, c candidate) {
	delete(t.candidates, id)
	if at := slices.Index(t.order, id); at >= 0 {
		t.order = slices.Delete(t.order, at, at+1)
	}
	for _, g := range c.groups {
		if t.crowd[g]--; t.crowd[g] == 0 {
			delete(t.crowd, g)
		}
	}
}
