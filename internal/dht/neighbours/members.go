package neighbours

import (
	"slices"

	"github.com/gamelan-p2p/gamelan/identity"
)

// member is a connected node.
type member struct {
	peer     identity.NodeID
	distance identity.Distance // to this node
	outbound bool
	drawn    bool // it was drawn at random
}

// members are connected nodes, nearest first.
type members []member

func (l members) search(x member) (at int, found bool) {
	return slices.BinarySearchFunc(l, x, func(a, b member) int { return a.distance.Cmp(b.distance) })
}

func (l *members) insert(x member) {
	if at, found := l.search(x); !found {
		*l = slices.Insert(*l, at, x)
	}
}

// take removes the peer at this distance and returns it.
func (l *members) take(x member) (member, bool) {
	at, found := l.search(x)
	if !found {
		return member{}, false
	}
	return l.remove(at), true
}

func (l *members) remove(at int) member {
	x := (*l)[at]
	*l = slices.Delete(*l, at, at+1)
	return x
}

// drawn returns how many were drawn at random.
func (l members) drawn() (n int) {
	for _, x := range l {
		if x.drawn {
			n++
		}
	}
	return n
}

func (l members) peers() []identity.NodeID {
	ids := make([]identity.NodeID, len(l))
	for i, x := range l {
		ids[i] = x.peer
	}
	return ids
}
