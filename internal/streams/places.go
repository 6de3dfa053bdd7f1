package streams

import (
	"slices"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// holder is whose stream it is.
type holder = share.Holder[identity.NodeID]

// places bounds how many streams there are at once. When there is one more, the newest of who has
// most is evicted: see package share.
type places[S comparable] struct {
	limit   int
	shares  share.Shares[identity.NodeID]
	of      map[holder][]S // the newest last
	whose   map[S]holder
	evicted uint64
}

func newPlaces[S comparable](limit int) *places[S] {
	return &places[S]{limit: limit, of: make(map[holder][]S), whose: make(map[S]holder)}
}

// enter adds a stream, and returns the one that is evicted for it, if one has to.
func (p *places[S]) enter(h holder, s S) (out S, ok bool) {
	p.whose[s] = h
	p.of[h] = append(p.of[h], s)
	p.shares.Add(h, 1)
	if len(p.whose) <= p.limit {
		return out, false
	}
	most, _ := p.shares.Most()
	list := p.of[most]
	out = list[len(list)-1]
	p.leave(out)
	p.evicted++
	return out, true
}

// leave takes a stream out, if it is there.
func (p *places[S]) leave(s S) {
	h, ok := p.whose[s]
	if !ok {
		return
	}
	delete(p.whose, s)
	p.shares.Add(h, -1)
	if p.of[h] = slices.DeleteFunc(p.of[h], func(x S) bool { return x == s }); len(p.of[h]) == 0 {
		delete(p.of, h)
	}
}
