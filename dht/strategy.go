package dht

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Strategy selects the peers that get a message. It is one of [Direct], [DirectKey],
// [Flood], [Random], [Closest], [DirectOrClosest], [Broadcast], [Selected],
// [Propagate] and [StoreFor] (spec: dht 5.2).
type Strategy interface {
	// mayReturn reports whether copies of a message that went to these peers may
	// come back to us from others.
	mayReturn(selected []identity.NodeID) bool
}

// MayReturn reports whether other nodes may send us copies of a message that went to
// the selected peers; such a message is recorded with [Dedup.Own] before it is sent. A
// message that goes to its destination alone does not come back (spec: dht 5.3).
func MayReturn(st Strategy, selected []identity.NodeID) bool { return st.mayReturn(selected) }

type (
	// Direct selects one peer, connected or not.
	Direct struct{ Peer identity.NodeID }
	// DirectKey selects the peer with a key, connected or not. With Discover, the
	// node searches for an unknown peer first.
	DirectKey struct {
		Key      identity.PublicKey
		Discover bool
	}
	// Flood selects every connected node.
	Flood struct{ Exclude []identity.NodeID }
	// Random selects N known nodes at random, connected or not. N is at least 1.
	Random struct {
		N       int
		Exclude []identity.NodeID
	}
	// Closest selects the connected nodes closest to an id and, unless
	// ConnectedOnly, at least two nodes that are not connected.
	Closest struct {
		To            identity.NodeID
		Exclude       []identity.NodeID
		ConnectedOnly bool
	}
	// DirectOrClosest selects the peer To if it is connected, otherwise what Closest
	// selects.
	DirectOrClosest Closest
	// Broadcast selects a few connected nodes at random.
	Broadcast struct{ Exclude []identity.NodeID }
	// Selected selects exactly these peers, each once. It leaves out this node and
	// peers whose addresses are all excluded.
	Selected struct{ Peers []identity.NodeID }
	// Propagate selects the holder of the key To if it is connected, otherwise
	// connected nodes close to it. Without To it selects connected nodes at random.
	Propagate struct {
		To      identity.PublicKey
		Exclude []identity.NodeID
	}
	// StoreFor selects the holder of the key To if it is connected, otherwise nodes
	// close to it that may store the message until the holder is back: connected ones
	// and at least two that are not connected. The message must be encrypted, because
	// nodes store nothing else (spec: dht 8.2).
	StoreFor struct{ To identity.PublicKey }
)

func (Direct) mayReturn([]identity.NodeID) bool    { return false }
func (DirectKey) mayReturn([]identity.NodeID) bool { return false }
func (Flood) mayReturn([]identity.NodeID) bool     { return true }
func (Random) mayReturn([]identity.NodeID) bool    { return true }
func (Closest) mayReturn([]identity.NodeID) bool   { return true }
func (Broadcast) mayReturn([]identity.NodeID) bool { return true }
func (Selected) mayReturn([]identity.NodeID) bool  { return false }
func (Propagate) mayReturn([]identity.NodeID) bool { return true }

// The reference returns the opposite (its defect Q3).
func (s DirectOrClosest) mayReturn(selected []identity.NodeID) bool {
	return len(selected) != 1 || selected[0] != s.To
}

func (s StoreFor) mayReturn(selected []identity.NodeID) bool {
	return DirectOrClosest{To: s.To.NodeID()}.mayReturn(selected)
}

// ErrSelf reports a message to ourselves.
var ErrSelf = errors.New("dht: a message to ourselves")

// Candidate is a peer as a selection sees it.
type Candidate struct {
	ID       identity.NodeID
	Features identity.Features
	Banned   bool
	Offline  bool // the last attempt at each of its addresses failed
	Excluded bool // it has no address, or only addresses that are never dialled
	NoDHT    bool // it announces that it runs without the DHT, and would drop the message
	NoStore  bool // it stores no messages for others, whatever its features say
}

// mayStore reports whether the peer may store messages for others.
func (c Candidate) mayStore() bool {
	return c.Features&identity.FeatureStoreForward != 0 && !c.NoStore
}

// View returns peers to a [Selector].
type View interface {
	// Connected lists the peers with an open connection, each once. The caller
	// may change the slice.
	Connected() []Candidate
	// ByID and ByKey find a known peer.
	ByID(identity.NodeID) (Candidate, bool)
	ByKey(identity.PublicKey) (Candidate, bool)
	// Known calls use for known peers until use returns false. The peers nearest to
	// the id come first; with the zero id there is no order.
	Known(near identity.NodeID, use func(Candidate) bool)
}

// Selector selects peers. The zero value of a number is its default.
type Selector struct {
	Self        identity.NodeID
	Key         identity.PublicKey
	Broadcast   int // nodes of a broadcast; 8
	Propagation int // nodes of a propagation; 20
	Neighbours  int // how many nodes count as close to an id; 8
}

// The defaults of [Selector].
const (
	BroadcastFactor   = 8
	PropagationFactor = 20
	NeighbouringNodes = 8
)

// minUnconnected is how many peers without a connection [Closest] adds at
// least.
const minUnconnected = 2

// Select returns the peers that the strategy selects, which may be none. It leaves out
// peers without the DHT, except those that the strategy names, which the sender refuses
// later. The only error is [ErrSelf].
func (s Selector) Select(st Strategy, v View, random *rand.Rand) ([]identity.NodeID, error) {
	return s.choose(st, v, random, anyCandidate)
}

// selectRelays is Select for a relayed message: it leaves out all peers without the
// DHT.
func (s Selector) selectRelays(st Strategy, v View, random *rand.Rand) ([]identity.NodeID, error) {
	return s.choose(st, v, random, func(c Candidate) bool { return !c.NoDHT })
}

func (s Selector) choose(st Strategy, v View, random *rand.Rand, may func(Candidate) bool) ([]identity.NodeID, error) {
	var picked []Candidate
	switch st := st.(type) {
	case Direct:
		if st.Peer == s.Self {
			return nil, fmt.Errorf("%w: %s", ErrSelf, st.Peer)
		}
		picked = usable(v.ByID(st.Peer))
	case DirectKey:
		if st.Key == s.Key {
			return nil, fmt.Errorf("%w: %s", ErrSelf, st.Key)
		}
		picked = usable(v.ByKey(st.Key))
	case Flood:
		picked = nodes(v, st.Exclude)
	case Random:
		picked = s.random(v, st, random)
	case Closest:
		picked = s.closest(v, st, anyCandidate)
	case DirectOrClosest:
		if c, ok := connectedTo(v, st.To); ok {
			picked = []Candidate{c}
		} else {
			picked = s.closest(v, Closest(st), anyCandidate)
		}
	case Broadcast:
		picked = sample(nodes(v, st.Exclude), cmp.Or(s.Broadcast, BroadcastFactor), random)
	case Selected:
		seen := map[identity.NodeID]bool{s.Self: true}
		for _, id := range st.Peers {
			if seen[id] {
				continue
			}
			seen[id] = true
			if c, ok := v.ByID(id); ok {
				picked = append(picked, c)
			} else {
				picked = append(picked, Candidate{ID: id})
			}
		}
	case Propagate:
		picked = s.propagate(v, st, random)
	case StoreFor:
		to := st.To.NodeID()
		if c, ok := connectedTo(v, to); ok {
			picked = []Candidate{c}
		} else {
			picked = s.closest(v, Closest{To: to, Exclude: []identity.NodeID{to}}, Candidate.mayStore)
		}
	default:
		panic(fmt.Sprintf("dht: unknown strategy %T", st))
	}
	var ids []identity.NodeID
	for _, c := range picked {
		if !c.Excluded && may(c) {
			ids = append(ids, c.ID)
		}
	}
	return ids, nil
}

func usable(c Candidate, ok bool) []Candidate {
	if !ok || c.Banned {
		return nil
	}
	return []Candidate{c}
}

// nodes returns the connected full nodes with the DHT, without the excluded ones.
// Clients never relay messages.
func nodes(v View, exclude []identity.NodeID) []Candidate {
	return slices.DeleteFunc(v.Connected(), func(c Candidate) bool {
		return !c.Features.IsNode() || c.NoDHT || slices.Contains(exclude, c.ID)
	})
}

func connectedTo(v View, id identity.NodeID) (Candidate, bool) {
	list := v.Connected()
	i := slices.IndexFunc(list, func(c Candidate) bool { return c.ID == id })
	if i < 0 {
		return Candidate{}, false
	}
	return list[i], true
}

func sortByDistance(list []Candidate, to identity.NodeID) {
	slices.SortStableFunc(list, func(a, b Candidate) int { return to.Distance(a.ID).Cmp(to.Distance(b.ID)) })
}

// sample returns up to n of the list, each as likely as any other.
func sample(list []Candidate, n int, random *rand.Rand) []Candidate {
	n = max(0, min(n, len(list)))
	for i := range n {
		j := i + random.IntN(len(list)-i)
		list[i], list[j] = list[j], list[i]
	}
	return list[:n]
}

func (s Selector) random(v View, st Random, random *rand.Rand) []Candidate {
	var all []Candidate
	v.Known(identity.NodeID{}, func(c Candidate) bool {
		if c.Features.IsNode() && !c.Banned && !c.Offline && !c.NoDHT && c.ID != s.Self && !slices.Contains(st.Exclude, c.ID) {
			all = append(all, c)
		}
		return true
	})
	return sample(all, st.N, random)
}

func anyCandidate(Candidate) bool { return true }

// closest returns what [Closest] selects, of the candidates that may be chosen.
func (s Selector) closest(v View, st Closest, may func(Candidate) bool) []Candidate {
	most := cmp.Or(s.Broadcast, BroadcastFactor)
	picked := slices.DeleteFunc(nodes(v, st.Exclude), func(c Candidate) bool { return !may(c) })
	sortByDistance(picked, st.To)
	picked = picked[:min(most, len(picked))]
	if st.ConnectedOnly {
		return picked
	}
	more := max(most-len(picked), minUnconnected)
	v.Known(st.To, func(c Candidate) bool {
		switch {
		case c.Features&identity.FeatureMessagePropagation == 0, c.Banned, c.Offline, c.NoDHT, c.ID == s.Self, !may(c),
			slices.Contains(st.Exclude, c.ID),
			slices.ContainsFunc(picked, func(p Candidate) bool { return p.ID == c.ID }):
			return true
		}
		picked = append(picked, c)
		more--
		return more > 0
	})
	return picked
}

func (s Selector) propagate(v View, st Propagate, random *rand.Rand) []Candidate {
	factor := cmp.Or(s.Propagation, PropagationFactor)
	if st.To.IsZero() {
		return sample(nodes(v, st.Exclude), factor, random)
	}
	to := st.To.NodeID()
	if c, ok := connectedTo(v, to); ok && !slices.Contains(st.Exclude, to) {
		return []Candidate{c}
	}
	near := nodes(v, st.Exclude)
	sortByDistance(near, to)
	near = near[:min(cmp.Or(s.Neighbours, NeighbouringNodes), len(near))]
	if len(near) < factor {
		return near
	}
	// There are enough nodes to leave out those farther from the destination than we are.
	ours := s.Self.Distance(to)
	near = slices.DeleteFunc(near, func(c Candidate) bool { return c.ID.Distance(to).Cmp(ours) > 0 })
	return near[:min(factor, len(near))]
}
