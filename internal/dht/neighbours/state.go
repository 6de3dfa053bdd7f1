package neighbours

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// State is a copy of what the machine knows. Nobody changes it.
type State struct {
	Neighbours, Random []Member // nearest first
	Places             Places
	Dials              []Dial    // under way
	Returning          int       // members that were lost and are dialled again in a moment
	Resting            int       // peers that are not dialled for a while, or were so recently
	Others             int       // connected nodes in neither set
	Failures           int       // how many dials may still fail before the next tick
	Tick, Churn        time.Time // when both sets are checked next, and the random one changes
}

// Places are the sizes of the complete sets.
type Places struct{ Neighbours, Random int }

// Member is a node in a set.
type Member struct {
	Peer     identity.NodeID
	Outbound bool
	Drawn    bool // it was drawn at random; false: it is or was a neighbour
}

// State returns the state of the machine.
func (m *Machine) State() State {
	s := State{
		Neighbours: m.near.export(), Random: m.random.export(),
		Places:    Places{m.o.Neighbours, m.o.Random},
		Returning: len(m.backs), Resting: len(m.rests.peers), Others: len(m.others), Failures: m.failures,
		Tick: m.tick, Churn: m.churn,
	}
	for _, d := range m.dials {
		s.Dials = append(s.Dials, Dial{d.peer, d.set})
	}
	return s
}

// Set returns the set of a peer, or 0.
func (s *State) Set(peer identity.NodeID) Set {
	for _, x := range s.Neighbours {
		if x.Peer == peer {
			return Neighbour
		}
	}
	for _, x := range s.Random {
		if x.Peer == peer {
			return Random
		}
	}
	return 0
}

func (l members) export() []Member {
	list := make([]Member, len(l))
	for i, x := range l {
		list[i] = Member{x.peer, x.outbound, x.drawn}
	}
	return list
}
