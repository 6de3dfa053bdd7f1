package overlay

import (
	"slices"
	"time"
)

// FreshFor is how long after its last answer a contact is given to others.
const FreshFor = 30 * time.Minute

// TableEntry is what the routing table knows of a live contact.
type TableEntry struct {
	Contact  Contact
	RTT      RTT
	Since    time.Time // it is live
	Answered time.Time // last
	Score    int
	Failures int // since the last answer
}

// View is the live contacts of a routing table at one time. It never changes, so any number of readers may
// use it.
type View struct {
	self    ID
	buckets [][]TableEntry
	live    int
}

// NewView returns a view of the buckets of the node self, numbered as [View.Buckets] says, and
// each in the order of [View.Bucket]. Without any it is a view of no contacts. The caller must
// not change them any more.
func NewView(self ID, buckets [][]TableEntry) *View {
	v := &View{self: self, buckets: buckets}
	if len(buckets) == 0 {
		v.buckets = make([][]TableEntry, 1)
	}
	for _, b := range buckets {
		v.live += len(b)
	}
	return v
}

// Self returns the id of the node whose table it is.
func (v *View) Self() ID { return v.self }

// Len returns how many contacts there are.
func (v *View) Len() int { return v.live }

// Buckets returns how many buckets there are. Each but the last one holds the contacts
// with exactly as many bits in common with this node as its number.
func (v *View) Buckets() int { return len(v.buckets) }

// Bucket returns the contacts of a bucket, those that are live longest first. The caller
// must not change them.
func (v *View) Bucket(n int) []TableEntry {
	if n < 0 || n >= len(v.buckets) {
		return nil
	}
	return v.buckets[n]
}

// Find returns the contact with this id, or nil. The caller must not change it.
func (v *View) Find(id ID) *TableEntry {
	list := v.buckets[min(v.self.CommonPrefix(id), len(v.buckets)-1)]
	for i := range list {
		if list[i].Contact.ID == id {
			return &list[i]
		}
	}
	return nil
}

// Nearest returns the n contacts nearest to target, nearest first.
func (v *View) Nearest(target ID, n int) []Contact {
	var room [nearestRoom]*TableEntry
	return contacts(v.nearest(room[:0], target, n, nil))
}

// nearestRoom is how many contacts a search for the nearest looks at without allocating. With
// 20 in a bucket it seldom looks at more.
const nearestRoom = 128

// Spread returns two contacts of each bucket: the one that is live longest, and the one that
// has answered last.
func (v *View) Spread() []Contact {
	list := make([]Contact, 0, 2*len(v.buckets))
	for _, bucket := range v.buckets {
		if len(bucket) == 0 {
			continue
		}
		last := 0
		for i := range bucket {
			if bucket[i].Answered.After(bucket[last].Answered) {
				last = i
			}
		}
		list = append(list, bucket[0].Contact)
		if last > 0 {
			list = append(list, bucket[last].Contact)
		}
	}
	return list
}

// Given returns the contacts that are named to others who ask for target: the n nearest
// that have answered lately, or, if none has, the n nearest. except is whoever asks.
//
// spec: kad B4.8
func (v *View) Given(now time.Time, target ID, n int, except ID) []Contact {
	var room [nearestRoom]*TableEntry
	found := v.nearest(room[:0], target, n, func(e *TableEntry) bool {
		return e.Contact.ID != except && now.Sub(e.Answered) <= FreshFor
	})
	if len(found) == 0 {
		found = v.nearest(found, target, n, func(e *TableEntry) bool { return e.Contact.ID != except })
	}
	return contacts(found)
}

// Nearer returns how many contacts that have answered lately are nearer to target than this
// node: at most max are counted.
//
// spec: kad B9.2
func (v *View) Nearer(now time.Time, target ID, max int) (n int) {
	for i := min(v.self.CommonPrefix(target), len(v.buckets)-1); i < len(v.buckets) && n < max; i++ {
		for j := range v.buckets[i] {
			e := &v.buckets[i][j]
			if now.Sub(e.Answered) <= FreshFor && target.CompareDistance(e.Contact.ID, v.self) < 0 {
				n++
			}
		}
	}
	return min(n, max)
}

func contacts(found []*TableEntry) []Contact {
	list := make([]Contact, len(found))
	for i, e := range found {
		list[i] = e.Contact
	}
	return list
}

// nearest appends to found, which is empty, the n entries nearest to target that pass ok. The
// bucket that target itself would be in is nearest; then come all deeper ones together, because
// their contacts differ from target at the same bit; then the others, from the deepest.
//
// spec: kad B3
func (v *View) nearest(found []*TableEntry, target ID, n int, ok func(*TableEntry) bool) []*TableEntry {
	if n <= 0 {
		return nil
	}
	take := func(list []TableEntry) {
		for i := range list {
			if ok == nil || ok(&list[i]) {
				found = append(found, &list[i])
			}
		}
	}
	sort := func(from int) {
		slices.SortFunc(found[from:], func(a, b *TableEntry) int { return target.CompareDistance(a.Contact.ID, b.Contact.ID) })
	}
	c := min(v.self.CommonPrefix(target), len(v.buckets)-1)
	take(v.buckets[c])
	sort(0)
	if from := len(found); from < n {
		for _, list := range v.buckets[c+1:] {
			take(list)
		}
		sort(from)
	}
	for i := c - 1; i >= 0 && len(found) < n; i-- {
		from := len(found)
		take(v.buckets[i])
		sort(from)
	}
	return found[:min(n, len(found))]
}
