package limit

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestSharedAgainstLists uses, keeps and deletes random keys. The values that are there are those
// of a model that looks at all of them each time.
func TestSharedAgainstLists(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	groups := []string{"", "a", "b", "c", "d"}
	groupOf := func(k int) string { return groups[k%7%len(groups)] }
	const most = 40
	s := newShared[int, int](most)
	type entry struct {
		key, used int
		kept      bool
	}
	var list []*entry
	// oldest returns the least used of those kept or not of the group that has most of them.
	oldest := func(kept bool) (at int) {
		n := map[string]int{}
		for _, e := range list {
			if e.kept == kept {
				n[groupOf(e.key)]++
			}
		}
		at = -1
		for i, e := range list {
			if e.kept != kept {
				continue
			}
			w := Weight(groupOf(e.key), n[groupOf(e.key)])
			if at < 0 {
				at = i
				continue
			}
			b := list[at]
			if bw := Weight(groupOf(b.key), n[groupOf(b.key)]); w > bw || w == bw && e.used < b.used {
				at = i
			}
		}
		return at
	}
	find := func(k int) *entry {
		for _, e := range list {
			if e.key == k {
				return e
			}
		}
		return nil
	}
	used := 0
	for step := range 20_000 {
		k := r.IntN(200)
		switch e := find(k); r.IntN(4) {
		case 0:
			s.delete(k)
			for i := range list {
				if list[i].key == k {
					list = append(list[:i:i], list[i+1:]...)
					break
				}
			}
		case 1:
			s.keep(k)
			if e == nil || e.kept {
				break
			}
			kept := 0
			for _, x := range list {
				if x.kept {
					kept++
				}
			}
			if kept >= most/2 {
				used++
				x := list[oldest(true)]
				x.kept, x.used = false, used
			}
			used++
			e.kept, e.used = true, used
		default:
			used++
			*s.use(k, groupOf) = k
			if e == nil {
				if len(list) >= most {
					at := oldest(false)
					list = append(list[:at:at], list[at+1:]...)
				}
				e = &entry{key: k}
				list = append(list, e)
			}
			e.used = used
		}
		if s.len() != len(list) || s.plain.n+s.kept.n != len(list) {
			t.Fatalf("step %d: got %d values, want %d", step, s.len(), len(list))
		}
		for _, e := range list {
			if v := s.get(e.key); v == nil || *v != e.key || s.items[e.key].kept != e.kept {
				t.Fatalf("step %d: got %v for %+v", step, v, *e)
			}
		}
	}
}

// TestSharedKeepsPerGroup keeps more values of one group than may be kept: the oldest of them
// make way like others.
func TestSharedKeepsPerGroup(t *testing.T) {
	s := newShared[string, int](1000)
	for i := range 200 {
		k := fmt.Sprint(i)
		s.use(k, func(string) string { return "a" })
		s.keep(k)
	}
	if s.kept.n != keptPerGroup || !s.items["199"].kept || s.items["0"].kept {
		t.Errorf("got %d kept, want the last %d", s.kept.n, keptPerGroup)
	}
	one := newShared[string, int](1)
	one.use("a", func(string) string { return "a" })
	one.keep("a")
	one.use("b", func(string) string { return "b" })
	if one.len() != 1 || one.get("b") == nil {
		t.Error("got the first of two values in room for one")
	}
}
