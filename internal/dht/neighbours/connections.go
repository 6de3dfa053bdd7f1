package neighbours

import (
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

func (m *Machine) member(peer identity.NodeID) member {
	return member{peer: peer, distance: m.self.Distance(peer)}
}

// lists returns all lists of connected nodes.
func (m *Machine) lists() [3]*members { return [...]*members{&m.near, &m.random, &m.others} }

// find returns the connected node with this id, or nil.
func (m *Machine) find(peer identity.NodeID) *member {
	key := m.member(peer)
	for _, l := range m.lists() {
		if at, found := l.search(key); found {
			return &(*l)[at]
		}
	}
	return nil
}

// takeOut removes a node from whatever list it is in, and returns the set it was in.
func (m *Machine) takeOut(peer identity.NodeID) (member, Set, bool) {
	key := m.member(peer)
	if x, ok := m.near.take(key); ok {
		m.changed = true
		return x, Neighbour, true
	}
	if x, ok := m.random.take(key); ok {
		m.changed = true
		return x, Random, true
	}
	x, ok := m.others.take(key)
	return x, 0, ok
}

func (m *Machine) connected(e Connected) {
	if e.Peer == m.self {
		return
	}
	if x := m.find(e.Peer); x != nil {
		x.outbound = e.Outbound
		return
	}
	x := m.member(e.Peer)
	x.outbound = e.Outbound
	x.drawn = slices.ContainsFunc(m.dials, func(d dial) bool { return d.peer == e.Peer && d.set == Random })
	m.backs = slices.DeleteFunc(m.backs, func(b back) bool {
		x.drawn = x.drawn || b.peer == e.Peer && b.set == Random
		return b.peer == e.Peer
	})
	m.rests.connected(e.Peer)
	m.place(x)
}

// place puts a connected node into the list where it belongs.
func (m *Machine) place(x member) {
	switch {
	case !m.view.Eligible(x.peer):
		m.others.insert(x)
	case m.nearer(x.distance):
		m.admit(x)
	case x.drawn:
		m.mix(x)
	default:
		m.others.insert(x)
	}
}

// nearer reports whether a node at this distance belongs to the neighbours, as far as the
// connected ones are concerned.
func (m *Machine) nearer(d identity.Distance) bool {
	return len(m.near) < m.o.Neighbours || d.Cmp(m.near[len(m.near)-1].distance) < 0
}

// admit makes a node a neighbour. The farthest neighbour gives way and moves to the random
// set.
func (m *Machine) admit(x member) {
	m.near.insert(x)
	m.changed = true
	if len(m.near) > m.o.Neighbours {
		m.mix(m.near.remove(len(m.near) - 1))
	}
}

// mix puts a node into the random set. When the set is too large, the farthest of the nodes
// leaves that were not drawn, or, if all were, the farthest: a set of former neighbours
// would not connect the parts of a network.
func (m *Machine) mix(x member) {
	m.random.insert(x)
	m.changed = true
	if len(m.random) <= m.o.Random {
		return
	}
	at := len(m.random) - 1
	for i, y := range slices.Backward(m.random) {
		if !y.drawn {
			at = i
			break
		}
	}
	y := m.random.remove(at)
	y.drawn = false
	m.others.insert(y)
}

func (m *Machine) disconnected(now time.Time, e Disconnected) {
	if m.view.Connected(e.Peer) {
		return // another connection has taken its place
	}
	_, set, ok := m.takeOut(e.Peer)
	if !ok {
		return
	}
	again := m.rests.ended(now, e.Peer, e.Why)
	if set == 0 {
		return
	}
	if again && !m.o.Minimise && !m.sought(e.Peer) {
		m.backs = append(m.backs, back{e.Peer, set, now.Add(m.jittered(backAfter))})
	}
	m.fill(now)
}

// expire ends the dials that have taken too long.
func (m *Machine) expire(now time.Time) {
	m.dials = slices.DeleteFunc(m.dials, func(d dial) bool {
		if d.until.After(now) {
			return false
		}
		m.failures--
		m.rests.failed(now, d.peer, m.offline)
		m.do(Cancel{d.peer})
		return true
	})
}

// callBack dials lost members whose pause is over, unless they rest for another reason.
func (m *Machine) callBack(now time.Time) {
	var due []back
	m.backs = slices.DeleteFunc(m.backs, func(b back) bool {
		if b.at.After(now) {
			return false
		}
		due = append(due, b)
		return true
	})
	for _, b := range due {
		if resting, _ := m.rests.resting(now, b.peer); !resting && !m.view.Connected(b.peer) && m.dialable(b.peer) {
			m.dial(now, b.peer, b.set)
		}
	}
}

// dialable reports whether the store has the peer as a candidate.
func (m *Machine) dialable(peer identity.NodeID) bool {
	found := m.view.Closest(peer, 1, func(identity.NodeID, bool) bool { return true })
	return len(found) == 1 && found[0] == peer
}

func (m *Machine) dialled(now time.Time, e Dialled) {
	at := slices.IndexFunc(m.dials, func(d dial) bool { return d.peer == e.Peer })
	if at < 0 {
		return
	}
	set := m.dials[at].set
	m.dials = slices.Delete(m.dials, at, at+1)
	switch {
	case e.Err != nil:
		m.failures--
		m.rests.failed(now, e.Peer, m.offline)
	case m.find(e.Peer) != nil:
	case m.view.Connected(e.Peer): // Connected comes later
		x := m.member(e.Peer)
		x.outbound, x.drawn = true, set == Random
		m.rests.connected(e.Peer)
		m.place(x)
	default: // the connection has ended already
		m.failures--
		m.rests.failed(now, e.Peer, false)
	}
	m.fill(now)
}
