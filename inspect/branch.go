package inspect

// Branch is an actor and the actors below it. Hidden counts the descendants below the
// requested depth.
type Branch struct {
	Actor    Actor    `json:"actor"`
	Hidden   int      `json:"hidden,omitempty"`
	Children []Branch `json:"children,omitempty"`
}

// branch builds the subtree at actor i, depth levels below it; a negative
// depth is no limit.
func (s *snapshot) branch(i, depth int) Branch {
	b := Branch{Actor: s.actors[i]}
	for _, c := range s.children[b.Actor.ID] {
		if depth == 0 {
			b.Hidden += s.size(c)
			continue
		}
		b.Children = append(b.Children, s.branch(c, depth-1))
	}
	return b
}

// size counts actor i and its descendants.
func (s *snapshot) size(i int) int {
	n := 1
	for _, c := range s.children[s.actors[i].ID] {
		n += s.size(c)
	}
	return n
}

// roots builds the subtrees of all actors without a parent.
func (s *snapshot) roots(depth int) []Branch {
	var bs []Branch
	for _, i := range s.children[""] {
		bs = append(bs, s.branch(i, depth))
	}
	return bs
}

// walk calls f for b and all below it, parents first.
func (b *Branch) walk(f func(*Branch)) {
	f(b)
	for i := range b.Children {
		b.Children[i].walk(f)
	}
}
