package dht_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// village is a made-up view: peers by name, in order of their distance to the
// zero id, since their ids are small numbers.
type village struct {
	names     []string
	peers     map[string]dht.Candidate
	keys      map[identity.PublicKey]string
	connected []string
}

// newVillage has peers by lines such as "a node connected" or "b client banned".
func newVillage(t testing.TB, lines string) *village {
	t.Helper()
	v := &village{peers: map[string]dht.Candidate{}, keys: map[identity.PublicKey]string{}}
	for line := range strings.Lines(lines) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		name := words[0]
		c := dht.Candidate{ID: idOf(name)}
		for _, w := range words[1:] {
			switch w {
			case "node":
				c.Features = identity.FeatureNode
			case "client":
			case "relay":
				c.Features = identity.FeatureMessagePropagation
			case "connected":
				v.connected = append(v.connected, name)
			case "banned":
				c.Banned = true
			case "offline":
				c.Offline = true
			case "excluded":
				c.Excluded = true
			default:
				t.Fatalf("unknown word %q", w)
			}
		}
		v.names = append(v.names, name)
		v.peers[name] = c
		v.keys[keyOf(name)] = name
	}
	return v
}

// idOf of a single letter is a number: a is 1, b is 2.
func idOf(name string) (id identity.NodeID) {
	id[identity.NodeIDLen-1] = name[0] - 'a' + 1
	return id
}

func keyOf(name string) (k identity.PublicKey) {
	k[0] = name[0]
	return k
}

func (v *village) Connected() []dht.Candidate {
	var list []dht.Candidate
	for _, name := range v.connected {
		list = append(list, v.peers[name])
	}
	return list
}

func (v *village) ByID(id identity.NodeID) (dht.Candidate, bool) {
	for _, c := range v.peers {
		if c.ID == id {
			return c, true
		}
	}
	return dht.Candidate{}, false
}

func (v *village) ByKey(k identity.PublicKey) (dht.Candidate, bool) {
	name, ok := v.keys[k]
	return v.peers[name], ok
}

func (v *village) Known(near identity.NodeID, use func(dht.Candidate) bool) {
	var list []dht.Candidate
	for _, name := range v.names {
		list = append(list, v.peers[name])
	}
	slices.SortFunc(list, func(a, b dht.Candidate) int { return near.Distance(a.ID).Cmp(near.Distance(b.ID)) })
	for _, c := range list {
		if !use(c) {
			return
		}
	}
}

const villagers = `
a node connected
b node connected
c node connected
d node connected
e client connected
f relay connected
g node
h node offline
i node banned
j client
k relay
l node excluded
m node
`

// self is far from everybody.
var self = dht.Selector{Self: identity.NodeID{0xff}, Key: identity.PublicKey{0xff}}

// conforms: dht 55, 56, 59, 60, 61
func TestSelect(t *testing.T) {
	ids := func(names string) (list []identity.NodeID) {
		for n := range strings.FieldsSeq(names) {
			list = append(list, idOf(n))
		}
		return list
	}
	// Keys whose node id is known to the village cannot be made up: the
	// destination of a propagation is a real key.
	real := repeated(t, 1).PublicKey()
	for _, c := range []struct {
		name     string
		selector dht.Selector
		strategy dht.Strategy
		add      string // to the villagers
		want     string // in order
		anyOf    string // instead: n of these, in any order
		n        int
	}{
		{name: "direct, connected", strategy: dht.Direct{Peer: idOf("a")}, want: "a"},
		{name: "direct, not connected", strategy: dht.Direct{Peer: idOf("g")}, want: "g"},
		{name: "direct, a client", strategy: dht.Direct{Peer: idOf("j")}, want: "j"},
		{name: "direct, offline", strategy: dht.Direct{Peer: idOf("h")}, want: "h"},
		{name: "direct, banned", strategy: dht.Direct{Peer: idOf("i")}},
		{name: "direct, unknown", strategy: dht.Direct{Peer: idOf("z")}},
		{name: "direct, excluded address", strategy: dht.Direct{Peer: idOf("l")}},
		{name: "key", strategy: dht.DirectKey{Key: keyOf("g")}, want: "g"},
		{name: "key, banned", strategy: dht.DirectKey{Key: keyOf("i")}},
		{name: "key, unknown", strategy: dht.DirectKey{Key: keyOf("z")}},
		{name: "flood", strategy: dht.Flood{}, want: "a b c d"},
		{name: "flood, one left out", strategy: dht.Flood{Exclude: ids("b")}, want: "a c d"},
		{name: "broadcast", strategy: dht.Broadcast{}, anyOf: "a b c d", n: 4},
		{name: "broadcast, two", selector: dht.Selector{Broadcast: 2}, strategy: dht.Broadcast{}, anyOf: "a b c d", n: 2},
		{name: "broadcast, left out", strategy: dht.Broadcast{Exclude: ids("a c")}, anyOf: "b d", n: 2},
		{name: "random", strategy: dht.Random{N: 3, Exclude: ids("l")}, anyOf: "a b c d g m", n: 3},
		{name: "random, all", strategy: dht.Random{N: 100}, anyOf: "a b c d g m", n: 6}, // l has no usable address
		{name: "random, fewer than none", strategy: dht.Random{N: -1}},
		{name: "random, left out", strategy: dht.Random{N: 100, Exclude: ids("a g")}, anyOf: "b c d m", n: 4},
		{name: "closest, connected only", strategy: dht.Closest{To: idOf("c"), ConnectedOnly: true}, want: "c b a d"},
		{name: "closest, connected only, two", selector: dht.Selector{Broadcast: 2}, strategy: dht.Closest{To: idOf("c"), ConnectedOnly: true}, want: "c b"},
		{name: "closest", strategy: dht.Closest{To: idOf("c")}, want: "c b a d g f k m"},
		{name: "closest, the least", selector: dht.Selector{Broadcast: 2}, strategy: dht.Closest{To: idOf("c")}, want: "c b a g"},
		{name: "closest, left out", selector: dht.Selector{Broadcast: 1}, strategy: dht.Closest{To: idOf("c"), Exclude: ids("c b")}, want: "a g f"},
		{name: "direct or closest, connected", strategy: dht.DirectOrClosest{To: idOf("e"), ConnectedOnly: true}, want: "e"},
		{name: "direct or closest, connected and left out", strategy: dht.DirectOrClosest{To: idOf("a"), Exclude: ids("a"), ConnectedOnly: true}, want: "a"},
		{name: "direct or closest, not connected", strategy: dht.DirectOrClosest{To: idOf("g"), ConnectedOnly: true}, want: "d c b a"},
		{name: "selected", strategy: dht.Selected{Peers: ids("z i l e")}, want: "z i e"},
		{name: "propagate to anybody", strategy: dht.Propagate{}, anyOf: "a b c d", n: 4},
		{name: "propagate to anybody, three", selector: dht.Selector{Propagation: 3}, strategy: dht.Propagate{}, anyOf: "a b c d", n: 3},
		{name: "propagate to anybody, left out", strategy: dht.Propagate{Exclude: ids("a")}, anyOf: "b c d", n: 3},
		{name: "propagate to a key", selector: dht.Selector{Neighbours: 2}, strategy: dht.Propagate{To: real}, anyOf: "a b c d", n: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newVillage(t, villagers+c.add)
			s := c.selector
			s.Self, s.Key = self.Self, self.Key
			got, err := s.Select(c.strategy, v, rand.New(rand.NewPCG(1, 2)))
			if err != nil {
				t.Fatal(err)
			}
			if c.anyOf == "" {
				if want := ids(c.want); !slices.Equal(got, want) {
					t.Errorf("got %s, want %s", namesOf(got), c.want)
				}
				return
			}
			seen := map[identity.NodeID]bool{}
			for _, id := range got {
				if seen[id] || !slices.Contains(ids(c.anyOf), id) {
					t.Errorf("got %s, want some of %s, each once", namesOf(got), c.anyOf)
				}
				seen[id] = true
			}
			if len(got) != c.n {
				t.Errorf("got %s, want %d of %s", namesOf(got), c.n, c.anyOf)
			}
		})
	}
	if _, err := self.Select(dht.DirectKey{Key: self.Key}, newVillage(t, villagers), nil); !errors.Is(err, dht.ErrSelf) {
		t.Errorf("to ourselves: got %v, want an error", err)
	}
}

func namesOf(list []identity.NodeID) string {
	var names []string
	for _, id := range list {
		names = append(names, string('a'+id[identity.NodeIDLen-1]-1))
	}
	return strings.Join(names, " ")
}

// Each of the four is chosen about as often as the others.
func TestSamplesAreUniform(t *testing.T) {
	v, random := newVillage(t, villagers), rand.New(rand.NewPCG(1, 2))
	s, counts := self, map[identity.NodeID]int{}
	s.Broadcast = 1
	for range 4000 {
		got, err := s.Select(dht.Broadcast{}, v, random)
		if err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
		counts[got[0]]++
	}
	for id, n := range counts {
		if n < 850 || n > 1150 {
			t.Errorf("%s: got %d of 4000, want about 1000", namesOf([]identity.NodeID{id}), n)
		}
	}
}

// ring is a view of connected nodes with real keys, so that propagation
// towards one of them can be tried.
type ring struct{ list []dht.Candidate }

func (r ring) Connected() []dht.Candidate                      { return slices.Clone(r.list) }
func (r ring) ByID(identity.NodeID) (dht.Candidate, bool)      { return dht.Candidate{}, false }
func (r ring) ByKey(identity.PublicKey) (dht.Candidate, bool)  { return dht.Candidate{}, false }
func (r ring) Known(identity.NodeID, func(dht.Candidate) bool) {}

// conforms: dht 57, 58
func TestPropagateToAKey(t *testing.T) {
	target := repeated(t, 1).PublicKey()
	to := target.NodeID()
	var r ring
	for i := byte(2); i < 12; i++ {
		r.list = append(r.list, dht.Candidate{ID: repeated(t, i).PublicKey().NodeID(), Features: identity.FeatureNode})
	}
	near := slices.Clone(r.list)
	slices.SortFunc(near, func(a, b dht.Candidate) int { return to.Distance(a.ID).Cmp(to.Distance(b.ID)) })
	first := func(n int) (ids []identity.NodeID) {
		for _, c := range near[:n] {
			ids = append(ids, c.ID)
		}
		return ids
	}
	choose := func(s dht.Selector, st dht.Propagate, v dht.View) []identity.NodeID {
		got, err := s.Select(st, v, rand.New(rand.NewPCG(1, 2)))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	st := dht.Propagate{To: target}

	// We stand where the third nearest stands.
	s := dht.Selector{Self: near[2].ID}
	if got := choose(s, st, r); !slices.Equal(got, first(8)) {
		t.Errorf("defaults: got %v, want the nearest eight", got)
	}
	s.Propagation = 8
	if got := choose(s, st, r); !slices.Equal(got, first(3)) {
		t.Errorf("as many as the factor: got %v, want those not farther than we are, equal ones too", got)
	}
	s.Propagation = 2
	if got := choose(s, st, r); !slices.Equal(got, first(2)) {
		t.Errorf("factor 2: got %v, want the nearest two", got)
	}
	s.Propagation = 9
	if got := choose(s, st, r); !slices.Equal(got, first(8)) {
		t.Errorf("fewer than the factor: got %v, want the nearest eight", got)
	}

	// The destination itself is connected, as a client.
	r.list = append(r.list, dht.Candidate{ID: to})
	if got := choose(s, st, r); len(got) != 1 || got[0] != to {
		t.Errorf("connected: got %v, want the destination alone", got)
	}
	st.Exclude = []identity.NodeID{to}
	if got := choose(s, st, r); !slices.Equal(got, first(8)) {
		t.Errorf("connected and left out: got %v, want the nearest eight", got)
	}
}

// conforms: dht 54
func TestMayReturn(t *testing.T) {
	a, b := idOf("a"), idOf("b")
	one, two := []identity.NodeID{a}, []identity.NodeID{a, b}
	for _, c := range []struct {
		st       dht.Strategy
		selected []identity.NodeID
		want     bool
	}{
		{dht.Direct{Peer: a}, one, false},
		{dht.DirectKey{Key: keyOf("a")}, one, false},
		{dht.Selected{Peers: two}, two, false},
		{dht.Flood{}, two, true},
		{dht.Random{N: 1}, one, true},
		{dht.Closest{To: a}, one, true},
		{dht.Broadcast{}, two, true},
		{dht.Propagate{}, one, true},
		{dht.DirectOrClosest{To: a}, one, false},
		{dht.DirectOrClosest{To: b}, one, true},
		{dht.DirectOrClosest{To: a}, two, true},
	} {
		if got := dht.MayReturn(c.st, c.selected); got != c.want {
			t.Errorf("%T to %d: got %v, want %v", c.st, len(c.selected), got, c.want)
		}
	}
}
