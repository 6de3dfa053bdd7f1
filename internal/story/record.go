package story

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ID is the place of an event among all events of a node. The zero value is before the first one.
type ID struct {
	Boot uint64 // number of the start of the node
	Seq  uint64 // among all starts; after a crash, numbers of events that were not written come again with the next Boot
}

// ParseID reads the text of an ID.
func ParseID(text string) (id ID, ok bool) {
	boot, seq, found := strings.Cut(text, ".")
	var err, err2 error
	id.Boot, err = strconv.ParseUint(boot, 10, 64)
	id.Seq, err2 = strconv.ParseUint(seq, 10, 64)
	return id, found && err == nil && err2 == nil
}

// String returns the text of an ID.
func (id ID) String() string { return fmt.Sprintf("%d.%d", id.Boot, id.Seq) }

// Compare orders IDs in time.
func (id ID) Compare(with ID) int {
	return cmp.Or(cmp.Compare(id.Boot, with.Boot), cmp.Compare(id.Seq, with.Seq))
}

// Kept is an event that is remembered.
type Kept[E any] struct {
	ID    ID
	Event E
}

// Record remembers the last events. It is not safe for concurrent use.
type Record[E any] struct {
	most int
	last ID
	kept []Kept[E]
}

// NewRecord returns a Record that goes on after the events of earlier starts, of which it is given the last
// ones, oldest first. The present start has a greater Boot.
func NewRecord[E any](most int, last ID, earlier []Kept[E]) *Record[E] {
	r := &Record[E]{most: most, last: ID{last.Boot + 1, last.Seq}}
	r.kept = slices.Clone(earlier[max(0, len(earlier)-most):])
	return r
}

// Add remembers an event and returns its place.
func (r *Record[E]) Add(of func(ID) E) Kept[E] {
	r.last.Seq++
	k := Kept[E]{r.last, of(r.last)}
	if len(r.kept) >= r.most {
		r.kept = r.kept[1:]
	}
	r.kept = append(r.kept, k)
	return k
}

// Last returns the place of the last event.
func (r *Record[E]) Last() ID { return r.last }

// After returns the events after a place that are remembered. whole says that there are no others.
func (r *Record[E]) After(id ID) (list []Kept[E], whole bool) {
	i, found := slices.BinarySearchFunc(r.kept, id, func(k Kept[E], id ID) int { return k.ID.Compare(id) })
	if found {
		i++
	}
	list = slices.Clone(r.kept[i:])
	if len(r.kept) == 0 || i > 0 {
		return list, true
	}
	first := r.kept[0].ID
	return list, first.Seq == 1 || id.Boot == first.Boot && id.Seq+1 == first.Seq
}

// Missing returns how many events between a place and the first one of a list are not there.
func Missing[E any](after ID, list []Kept[E]) uint64 {
	if len(list) == 0 || after == (ID{}) || list[0].ID.Seq <= after.Seq {
		return 0
	}
	return list[0].ID.Seq - after.Seq - 1
}
