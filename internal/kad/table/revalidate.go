package table

import (
	"container/list"
	"time"
)

// Mean times between two probes of the contacts of each queue. Together they are 0.44
// probes a second.
//
// spec: kad B4.7
const (
	fastEvery = 3 * time.Second
	slowEvery = 9 * time.Second
	// restFor is how long a contact that has answered is not probed, also where contacts live
	// short: probing them sooner costs more requests than lookups save.
	restFor = SilentAfter
	// fewContacts is the size below which a table is probed at most every four seconds.
	fewContacts = 40
)

// due probes what is to be probed now.
func (t *Table) due(now time.Time) {
	for len(t.order) > 0 && !t.candidates[t.order[0]].until.After(now) {
		t.forget(t.order[0], t.candidates[t.order[0]])
	}
	if !t.fast.IsZero() && !t.fast.After(now) {
		t.fast = time.Time{}
		if x := t.doubted(now); x != nil {
			t.probe(now, x)
		} else { // nobody is new or doubtful: the turn is another's
			t.revalidate(now)
		}
	}
	if !t.slow.IsZero() && !t.slow.After(now) {
		t.slow = time.Time{}
		t.revalidate(now)
	}
}

// revalidate probes the contact that has been silent longest.
func (t *Table) revalidate(now time.Time) {
	if x := t.silent(now); x != nil && now.Sub(x.Answered) >= restFor {
		t.probe(now, x)
	}
}

// doubted returns the contact of the fast queue that has been silent longest and is not
// being probed. That queue is short, and in no order.
func (t *Table) doubted(now time.Time) (oldest *entry) {
	for at := t.doubtful.Front(); at != nil; at = at.Next() {
		x := at.Value.(*entry)
		if !t.probing(now, x) && (oldest == nil || x.Answered.Before(oldest.Answered)) {
			oldest = x
		}
	}
	return oldest
}

// silent returns the contact of the slow queue that has been silent longest and is not
// being probed.
func (t *Table) silent(now time.Time) *entry {
	for at := t.steady.Front(); at != nil; at = at.Next() {
		if x := at.Value.(*entry); !t.probing(now, x) {
			return x
		}
	}
	return nil
}

// requeue puts a live contact at the end of a queue. Whoever enters steady has just
// answered, so it is in the order of the last answers.
func (t *Table) requeue(x *entry, to *list.List) {
	t.unqueue(x)
	x.queued = to.PushBack(x)
}

// unqueue takes a contact out of the queue that it is in.
func (t *Table) unqueue(x *entry) {
	if x.queued != nil { // its other list takes no notice
		t.doubtful.Remove(x.queued)
		t.steady.Remove(x.queued)
		x.queued = nil
	}
}

func (t *Table) probing(now time.Time, x *entry) bool {
	return !x.probed.IsZero() && now.Sub(x.probed) < probeLimit
}

func (t *Table) probe(now time.Time, x *entry) {
	if t.probing(now, x) {
		return
	}
	x.probed = now
	t.do(Probe{x.Contact, false})
}

// interval returns a random time with the mean, changed as the budget wants it.
func (t *Table) interval(mean time.Duration) time.Duration {
	switch {
	case t.hasty:
		mean /= 2
	case t.live < fewContacts:
		mean = mean * 9 / 5
	}
	return time.Duration(t.o.Rand.Int64N(2*int64(mean)) + 1)
}

// askWake asks for a Due when the next contact is to be probed.
func (t *Table) askWake(now time.Time) {
	if t.live > 0 {
		if t.fast.IsZero() {
			t.fast = now.Add(t.interval(fastEvery))
		}
		if t.slow.IsZero() {
			t.slow = now.Add(t.interval(slowEvery))
		}
	}
	var next time.Time
	for _, at := range []time.Time{t.fast, t.slow} {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if len(t.order) > 0 {
		if at := t.candidates[t.order[0]].until; next.IsZero() || at.Before(next) {
			next = at
		}
	}
	if !next.Equal(t.wake) {
		t.wake = next
		if !next.IsZero() {
			t.do(Wake{next})
		}
	}
}
