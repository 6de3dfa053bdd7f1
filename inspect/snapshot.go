package inspect

import (
	"cmp"
	"slices"
	"strings"
)

// snapshot is all actors of one moment, in the source's order.
type snapshot struct {
	actors   []Actor
	byID     map[string]int
	children map[string][]int // by parent; "" holds those without a known parent
}

func newSnapshot(actors []Actor) *snapshot {
	s := &snapshot{actors: actors, byID: make(map[string]int, len(actors)), children: make(map[string][]int)}
	for i := range actors {
		s.byID[actors[i].ID] = i
	}
	for i := range actors {
		parent := actors[i].Parent
		if _, ok := s.byID[parent]; !ok {
			parent = ""
		}
		s.children[parent] = append(s.children[parent], i)
	}
	for i := range actors {
		a := &actors[i]
		a.Children = len(s.children[a.ID])
		if a.Labels == nil {
			a.Labels = labelsOf(a.Kind, a.Name)
		}
	}
	return s
}

// find returns the index of the actor with a path as people write it: a full path, or a
// path below the tree's first actors, with node ids in full or as [ShortName] prints
// them. If no path fits, the last parts of a path are enough, such as the name. find
// returns false when these fit more than one actor.
func (s *snapshot) find(path string) (int, bool) {
	if i, ok := s.byID[path]; ok {
		return i, true
	}
	found, n := 0, 0
	for i := range s.actors {
		id := s.actors[i].ID
		if samePath(id, path) {
			found, n = i, n+1
			continue
		}
		if top, below, ok := strings.Cut(id, "/"); ok && s.isTop(top) && samePath(below, path) {
			found, n = i, n+1
		}
	}
	if n > 0 {
		return found, n == 1
	}
	for i := range s.actors {
		if strings.HasSuffix(s.actors[i].ID, "/"+path) {
			found, n = i, n+1
		}
	}
	return found, n == 1
}

func (s *snapshot) isTop(id string) bool {
	i, ok := s.byID[id]
	if !ok {
		return true // the root of the tree is not in the snapshot itself
	}
	_, hasParent := s.byID[s.actors[i].Parent]
	return !hasParent
}

// samePath compares part by part; a shortened node id equals the full one.
func samePath(id, path string) bool {
	for {
		a, restA, moreA := strings.Cut(id, "/")
		b, restB, moreB := strings.Cut(path, "/")
		if moreA != moreB || (a != b && ShortName(a) != b) {
			return false
		}
		if !moreA {
			return true
		}
		id, path = restA, restB
	}
}

// filter selects actors; zero fields select all.
type filter struct {
	prefix, kind string
	state        State
}

func (f filter) match(a *Actor) bool {
	return strings.HasPrefix(a.ID, f.prefix) &&
		(f.kind == "" || a.Kind == f.kind) &&
		(f.state == "" || a.State == f.state)
}

// sorts are the possible orders of a list, largest first. Equal actors stay in the order
// of the tree.
var sorts = map[string]func(a, b *Actor) int{
	"depth":    func(a, b *Actor) int { return cmp.Compare(b.Mailbox.Depth, a.Mailbox.Depth) },
	"busy":     func(a, b *Actor) int { return cmp.Compare(b.BusyTotal, a.BusyTotal) },
	"restarts": func(a, b *Actor) int { return cmp.Compare(b.Restarts, a.Restarts) },
	"age":      func(a, b *Actor) int { return a.StartedAt.Compare(b.StartedAt) },
}

var sortNames = []string{"depth", "busy", "restarts", "age"}

// list returns the actors that f selects, in the order called sort and cut by offset and
// limit, and their number before the cut.
func (s *snapshot) list(f filter, sort string, offset, limit int) (page []Actor, total int) {
	var all []*Actor
	for i := range s.actors {
		if f.match(&s.actors[i]) {
			all = append(all, &s.actors[i])
		}
	}
	if by, ok := sorts[sort]; ok {
		slices.SortStableFunc(all, by)
	}
	total = len(all)
	all = all[min(offset, total):]
	all = all[:min(limit, len(all))]
	page = make([]Actor, len(all))
	for i, a := range all {
		page[i] = *a
	}
	return page, total
}

// sortByID puts parents before children and siblings in order.
func sortByID(actors []Actor) []Actor {
	slices.SortFunc(actors, func(a, b Actor) int { return cmp.Compare(a.ID, b.ID) })
	return actors
}
