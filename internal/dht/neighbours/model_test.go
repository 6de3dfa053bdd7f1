package neighbours

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gamelan-p2p/gamelan/identity"
)

// TestSetsHoldTheirPromises sends random events and checks after each: the sizes of the
// sets, that nobody is in two lists, that only connected fit peers are members, how many
// dials are under way, and that nobody connected or resting is dialled.
//
// conforms: dht 124, 125; V 26
func TestSetsHoldTheirPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := newStore()
		o := Options{
			Neighbours: rapid.IntRange(1, 4).Draw(t, "neighbours"), Random: rapid.IntRange(1, 3).Draw(t, "random"),
			Minimise: rapid.Bool().Draw(t, "minimise"), Rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)),
		}
		m := New(identity.NodeID{}, st, o)
		now := begin
		letter := rapid.Custom(func(t *rapid.T) identity.NodeID {
			return identity.NodeID{byte(rapid.IntRange('A', 'Z').Draw(t, "peer"))}
		})
		dials := map[identity.NodeID]bool{}
		step := func(e Event) {
			for _, f := range m.Step(now, e) {
				switch f := f.(type) {
				case Dial:
					if dials[f.Peer] || st.connected[f.Peer] || st.unfit[f.Peer] {
						t.Fatalf("dial of %s, which is being dialled, connected or unfit", name(f.Peer))
					}
					if x := m.rests.peers[f.Peer]; x != nil && x.until.After(now) {
						t.Fatalf("dial of %s, which rests until %v", name(f.Peer), x.until)
					}
					dials[f.Peer] = true
				case Cancel:
					delete(dials, f.Peer)
				case Close:
					if !o.Minimise || st.keptOpen[f.Peer] {
						t.Fatalf("close of %s", name(f.Peer))
					}
				case Wake:
					if f.At.Before(now) {
						t.Fatalf("wake at %v, before now", f.At)
					}
				}
			}
			check(t, m, st, o, dials)
		}
		step(Start{})
		t.Repeat(map[string]func(*rapid.T){
			"know": func(t *rapid.T) {
				id := letter.Draw(t, "peer")
				st.known[id] = true
				st.cooling[id], st.keptOpen[id] = rapid.Bool().Draw(t, "cooling"), rapid.Bool().Draw(t, "held")
				step(Learned{})
			},
			"unfit": func(t *rapid.T) {
				id := letter.Draw(t, "peer")
				st.unfit[id] = !st.unfit[id]
				now = now.Add(2 * time.Minute)
				step(Due{}) // the next look at the sets
			},
			"connect": func(t *rapid.T) {
				id := letter.Draw(t, "peer")
				st.connected[id] = true
				step(Connected{id, rapid.Bool().Draw(t, "out")})
			},
			"disconnect": func(t *rapid.T) {
				id := letter.Draw(t, "peer")
				delete(st.connected, id)
				step(Disconnected{id, End(rapid.IntRange(0, 3).Draw(t, "why"))})
			},
			"dialled": func(t *rapid.T) {
				if len(dials) == 0 {
					return
				}
				id := sorted(dials)[0]
				end := Dialled{Peer: id}
				if rapid.Bool().Draw(t, "ok") {
					st.connected[id] = true
					step(Connected{id, true})
				} else {
					end.Err = errors.New("no")
				}
				if dials[id] { // not cancelled meanwhile
					delete(dials, id)
					step(end)
				}
			},
			"state": func(t *rapid.T) {
				if rapid.Bool().Draw(t, "online") {
					step(Online{})
				} else {
					step(Offline{})
				}
			},
			"due": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 8000).Draw(t, "seconds")) * time.Second)
				step(Due{})
			},
		})
	})
}

func check(t *rapid.T, m *Machine, st *store, o Options, dials map[identity.NodeID]bool) {
	s := m.State()
	if len(s.Neighbours) > o.Neighbours || len(s.Random) > o.Random {
		t.Fatalf("got sets of %d and %d, want at most %d and %d", len(s.Neighbours), len(s.Random), o.Neighbours, o.Random)
	}
	near, random := 0, 0
	for _, d := range s.Dials {
		if d.For == Neighbour {
			near++
		} else {
			random++
		}
		if !dials[d.Peer] {
			t.Fatalf("a dial of %s is in the books only", name(d.Peer))
		}
	}
	if near+random != len(dials) || near > 2*o.Neighbours || random > 2*o.Random {
		t.Fatalf("got %d and %d dials under way, want at most %d and %d", near, random, 2*o.Neighbours, 2*o.Random)
	}
	seen := map[identity.NodeID]bool{}
	for i, l := range m.lists() {
		for _, x := range *l {
			if seen[x.peer] {
				t.Fatalf("%s is in two lists", name(x.peer))
			}
			seen[x.peer] = true
			if !st.connected[x.peer] || i < 2 && st.unfit[x.peer] {
				t.Fatalf("%s is in list %d: connected %v, unfit %v", name(x.peer), i, st.connected[x.peer], st.unfit[x.peer])
			}
		}
	}
}

func sorted(set map[identity.NodeID]bool) (list []identity.NodeID) {
	for id := range set {
		list = append(list, id)
	}
	slices.SortFunc(list, identity.NodeID.Compare)
	return list
}

// TestRestsAreBounded lets far more dials fail than are remembered, and then waits.
func TestRestsAreBounded(t *testing.T) {
	var r rests
	peer := func(i int) identity.NodeID { return identity.NodeID{byte(i), byte(i >> 8)} }
	for i := range 3 * maxRests {
		r.failed(begin.Add(time.Duration(i)*time.Millisecond), peer(i), false)
	}
	if len(r.peers) != maxRests {
		t.Errorf("got %d peers remembered, want %d", len(r.peers), maxRests)
	}
	if resting, _ := r.resting(begin.Add(2*time.Second), peer(3*maxRests-1)); !resting {
		t.Error("the last one is forgotten, want the first ones")
	}
	if r.purge(begin.Add(time.Hour)); len(r.peers) != 0 || !r.next.IsZero() {
		t.Errorf("got %d peers remembered after an hour, want none", len(r.peers))
	}
}
