package neighbours

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// fill makes the sets as complete as they can be: it takes out nodes that may no longer be
// in a set, takes in connected nodes, and dials known ones.
func (m *Machine) fill(now time.Time) {
	if !m.running {
		return
	}
	m.expel()
	m.promote()
	m.seekNear(now)
	m.seekRandom(now)
	m.cancelSurplus()
}

// expel takes nodes out of the sets that may not be there any more.
func (m *Machine) expel() {
	for _, l := range []*members{&m.near, &m.random} {
		*l = slices.DeleteFunc(*l, func(x member) bool {
			if m.view.Eligible(x.peer) {
				return false
			}
			x.drawn, m.changed = false, true
			m.others.insert(x)
			return true
		})
	}
}

// promote makes connected nodes neighbours that are nearer than one of them, or for which
// there is a place.
func (m *Machine) promote() {
	for len(m.random) > 0 && len(m.near) > 0 && m.random[0].distance.Cmp(m.near[len(m.near)-1].distance) < 0 {
		m.admit(m.random.remove(0))
	}
	for i := 0; i < len(m.others) && m.nearer(m.others[i].distance); {
		if !m.view.Eligible(m.others[i].peer) {
			i++
			continue
		}
		m.admit(m.others.remove(i))
	}
}

// under returns how many dials for a set are under way or about to be repeated.
func (m *Machine) under(set Set) (n int) {
	for _, d := range m.dials {
		if d.set == set {
			n++
		}
	}
	for _, b := range m.backs {
		if b.set == set {
			n++
		}
	}
	return n
}

// sought reports whether a peer is being dialled or about to be.
func (m *Machine) sought(peer identity.NodeID) bool {
	return slices.ContainsFunc(m.dials, func(d dial) bool { return d.peer == peer }) ||
		slices.ContainsFunc(m.backs, func(b back) bool { return b.peer == peer })
}

// has reports whether a peer has a connection, or had one whose end is about to be reported.
func (m *Machine) has(peer identity.NodeID) bool {
	return m.view.Connected(peer) || m.find(peer) != nil
}

// candidate reports whether a peer may be dialled now.
func (m *Machine) candidate(now time.Time, peer identity.NodeID, cooling bool) bool {
	resting, excused := m.rests.resting(now, peer)
	return !resting && (!cooling || m.revive || excused)
}

// seekNear looks for the nearest nodes that are known, and dials those that are not
// connected: as many as neighbours are missing, and a few more.
func (m *Machine) seekNear(now time.Time) {
	nearest := m.view.Closest(m.self, m.o.Neighbours, func(peer identity.NodeID, cooling bool) bool {
		return m.sought(peer) || m.has(peer) || m.candidate(now, peer, cooling)
	})
	room := min(m.o.Neighbours-len(m.near)+probes, 2*m.o.Neighbours) - m.under(Neighbour)
	for _, peer := range nearest {
		if !m.nearer(m.self.Distance(peer)) {
			return
		}
		switch {
		case m.has(peer):
			m.attract(peer)
		case m.sought(peer):
		case room > 0 && m.mayFail():
			m.dial(now, peer, Neighbour)
			room--
		}
	}
}

// attract makes a neighbour of a connected node that is among the nearest known.
func (m *Machine) attract(peer identity.NodeID) {
	x := m.member(peer)
	if y, ok := m.random.take(x); ok {
		m.admit(y)
	} else if y, ok := m.others.take(x); ok {
		m.place(y)
	}
}

// seekRandom draws nodes for the free places of the random set. Former neighbours do not
// take a place.
func (m *Machine) seekRandom(now time.Time) {
	for range m.o.Random - m.random.drawn() - m.under(Random) {
		peer, ok := m.draw(now)
		if !ok {
			return
		}
		if !m.has(peer) {
			if !m.mayFail() {
				return
			}
			m.dial(now, peer, Random)
			continue
		}
		x, _, ok := m.takeOut(peer)
		if !ok { // Connected comes later
			continue
		}
		x.drawn = true
		m.mix(x)
	}
}

// draw returns the candidate nearest to a random point.
func (m *Machine) draw(now time.Time) (peer identity.NodeID, ok bool) {
	var point [16]byte
	binary.BigEndian.PutUint64(point[:8], m.o.Rand.Uint64())
	binary.BigEndian.PutUint64(point[8:], m.o.Rand.Uint64())
	var target identity.NodeID
	copy(target[:], point[:])
	found := m.view.Closest(target, 1, func(peer identity.NodeID, cooling bool) bool {
		key := m.member(peer)
		if _, ok := m.near.search(key); ok {
			return false
		}
		if at, ok := m.random.search(key); ok && m.random[at].drawn {
			return false
		}
		return !m.sought(peer) && m.candidate(now, peer, cooling && !m.has(peer))
	})
	if len(found) == 0 {
		return identity.NodeID{}, false
	}
	return found[0], true
}

// mayFail reports whether another dial may begin although all that are under way may fail.
func (m *Machine) mayFail() bool { return m.failures > len(m.dials) }

func (m *Machine) dial(now time.Time, peer identity.NodeID, set Set) {
	m.dials = append(m.dials, dial{peer, set, now.Add(dialLimit)})
	m.do(Dial{peer, set})
}

// cancelSurplus ends the dials that can no longer change a set.
func (m *Machine) cancelSurplus() {
	drawn := m.o.Random - m.random.drawn()
	m.dials = slices.DeleteFunc(m.dials, func(d dial) bool {
		useful := m.view.Connected(d.peer) || m.nearer(m.self.Distance(d.peer))
		if !useful && d.set == Random {
			useful = drawn > 0
			drawn--
		}
		if !useful {
			m.do(Cancel{d.peer})
		}
		return !useful
	})
}

// churnRandom takes one in ten out of the random set, and at least one, if both sets are
// complete. A new one is drawn for it.
func (m *Machine) churnRandom(now time.Time) {
	if m.offline || len(m.near) < m.o.Neighbours || m.random.drawn() < m.o.Random {
		return
	}
	for range (m.o.Random + churnPart - 1) / churnPart {
		x := m.random.remove(m.o.Rand.IntN(len(m.random)))
		x.drawn, m.changed = false, true
		m.others.insert(x)
		m.rests.set(now, m.rests.of(x.peer), restClosed)
	}
}
