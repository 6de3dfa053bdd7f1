package table

import (
	"container/list"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// somewhere returns an id with so many bits in common with self, or somewhat more.
func somewhere(self overlay.ID, bits, n, length int) overlay.ID {
	id := self.RandomIDInBucket(min(bits, 8*length-1), length, rand.New(rand.NewPCG(uint64(bits), uint64(n))))
	return id
}

// address returns one of the addresses of a network.
func addressIn(network, host int) overlay.Address {
	return overlay.Address(fmt.Sprintf("/ip4/60.%d.%d.%d/udp/4000", network/256, network%256, host%250+1))
}

// TestNearestIsExact compares what a view returns with a full sort of its contacts, for ids
// of all lengths, targets near to this node and far from it, and tables of all sizes.
//
// conforms: kad 18
func TestNearestIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.IntRange(1, overlay.IDLen).Draw(t, "length")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		self := overlay.RandomID(length, r)
		tab := New(self, Options{IDLen: length, K: rapid.IntRange(1, 20).Draw(t, "k"), Rand: r})
		now := time.Unix(1_000_000, 0)
		tab.Step(now, Joined{})
		for i := range rapid.IntRange(0, 200).Draw(t, "contacts") {
			id := somewhere(self, rapid.IntRange(0, 12).Draw(t, "bits"), i, length)
			tab.Step(now, Answered{Contact: overlay.Contact{ID: id, Addresses: []overlay.Address{addressIn(i, 1)}}})
		}
		v := tab.View()
		var all []overlay.Contact
		for i := range v.Buckets() {
			for _, e := range v.Bucket(i) {
				all = append(all, e.Contact)
			}
		}
		if len(all) != v.Len() || len(all) != tab.Len() {
			t.Fatalf("got %d contacts in the buckets, want %d and %d", len(all), v.Len(), tab.Len())
		}
		target := somewhere(self, rapid.IntRange(0, 14).Draw(t, "target bits"), 1000, length)
		if rapid.IntRange(0, 5).Draw(t, "self") == 0 {
			target = self
		}
		overlay.SortByDistance(target, all)
		n := rapid.IntRange(0, 250).Draw(t, "n")
		got, want := v.Nearest(target, n), all[:min(n, len(all))]
		if !slices.EqualFunc(got, want, func(a, b overlay.Contact) bool { return a.ID == b.ID }) {
			t.Fatalf("nearest %d to %v: got %d contacts that are not the first %d of the sorted ones", n, target.Short(), len(got), len(want))
		}
		nearer := 0
		for _, c := range all {
			if target.CompareDistance(c.ID, self) < 0 {
				nearer++
			}
			if v.Find(c.ID) == nil {
				t.Fatalf("%s is in the table, and not found", c.ID.Short())
			}
		}
		if got := v.Nearer(now, target, 30); got != min(nearer, 30) {
			t.Fatalf("nearer than this node: got %d, want %d", got, min(nearer, 30))
		}
	})
}

// TestNearestAllocatesItsResult counts what a search for the 20 nearest of 260 contacts
// allocates: the list that it returns.
//
// conforms: kad 69
func TestNearestAllocatesItsResult(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	self := overlay.RandomID(overlay.IDLen, r)
	tab := New(self, Options{IDLen: overlay.IDLen, K: 20, Rand: r})
	now := time.Unix(1_000_000, 0)
	tab.Step(now, Joined{})
	for i := range 260 {
		tab.Step(now, Answered{Contact: overlay.Contact{ID: somewhere(self, i/20, i, overlay.IDLen), Addresses: []overlay.Address{addressIn(i, 1)}}})
	}
	v := tab.View()
	if v.Len() < 200 {
		t.Fatalf("got %d contacts, want about 260", v.Len())
	}
	target := overlay.RandomID(overlay.IDLen, r)
	for what, search := range map[string]func() int{
		"nearest": func() int { return len(v.Nearest(target, 20)) },
		"given":   func() int { return len(v.Given(now, target, 20, self)) },
	} {
		got := 0
		if n := testing.AllocsPerRun(100, func() { got = search() }); n != 1 || got != 20 {
			t.Errorf("%s: got %v allocations for %d contacts, want one for 20", what, n, got)
		}
	}
}

// TestTheTableHoldsItsPromises sends random events and checks after each: how many contacts
// are in a bucket, that this node is not, the limits for networks, that an answering contact
// keeps its place whoever comes, that only who answered is in the table, and that the same
// events have the same effects on a twin. An older view does not change.
//
// conforms: kad 19, 20, 21, 22, 23
func TestTheTableHoldsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		self := overlay.ID{3: 0x55, 31: 1}
		seed := rapid.Uint64().Draw(t, "seed")
		bans := map[overlay.ID]bool{}
		k, waiting := rapid.IntRange(1, 4).Draw(t, "k"), rapid.IntRange(1, 4).Draw(t, "replacements")
		machine := func() *Table {
			return New(self, Options{
				K: k, Replacements: waiting, Rand: rand.New(rand.NewPCG(seed, 0)), Banned: func(c overlay.Contact) bool { return bans[c.ID] },
			})
		}
		tab, twin := machine(), machine()
		now := time.Unix(1_000_000, 0)
		live := map[overlay.ID]bool{}
		answered := map[overlay.ID]bool{}
		joined := false
		view, size := tab.View(), 0
		step := func(e Event) {
			effects := tab.Step(now, e)
			if again := twin.Step(now, e); fmt.Sprint(effects) != fmt.Sprint(again) {
				t.Fatalf("got %v, want the twin's %v", again, effects)
			}
			for _, f := range effects {
				switch f := f.(type) {
				case Added:
					if live[f.Contact.ID] || !answered[f.Contact.ID] {
						t.Fatalf("%s added; live before %v, answered %v", f.Contact.ID.Short(), live[f.Contact.ID], answered[f.Contact.ID])
					}
					if x, ok := e.(Answered); ok && !joined && x.Candidate {
						t.Fatalf("%s added before the first self-lookup ended, though it came by itself", f.Contact.ID.Short())
					}
					live[f.Contact.ID] = true
				case Removed:
					switch e := e.(type) {
					case Failed, Blamed, Banned:
					default:
						t.Fatalf("%T removed %s, want failures alone to do that", e, f.Contact.ID.Short())
					}
					delete(live, f.Contact.ID)
				case Probe:
					if f.Candidate == live[f.Contact.ID] {
						t.Fatalf("probe of %s as candidate %v, live %v", f.Contact.ID.Short(), f.Candidate, live[f.Contact.ID])
					}
				}
			}
			for id := range bans {
				if live[id] {
					t.Fatalf("%s is live, want nobody who is banned", id.Short())
				}
			}
			if len(live) != tab.Len() {
				t.Fatalf("got %d live contacts, want %d", tab.Len(), len(live))
			}
			promises(t, tab, k, waiting)
			if view.Len() != size {
				t.Fatalf("a view changed from %d to %d contacts", size, view.Len())
			}
			view = tab.View()
			size = view.Len()
		}
		contact := func() overlay.Contact {
			n := rapid.IntRange(0, 80).Draw(t, "contact")
			c := overlay.Contact{ID: somewhere(self, n%6, n, overlay.IDLen)}
			for i := range rapid.IntRange(1, 2).Draw(t, "addresses") {
				c.Addresses = append(c.Addresses, addressIn(rapid.IntRange(0, 12).Draw(t, "network"), n+i))
			}
			if n == 80 {
				c.ID = self
			}
			return c
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "s")) * time.Second)
			switch rapid.IntRange(0, 9).Draw(t, "event") {
			case 0, 1, 2, 3:
				e := Answered{Contact: contact(), Candidate: rapid.Bool().Draw(t, "candidate"), Echoed: true}
				e.Contact.Stamp = int64(rapid.IntRange(0, 3).Draw(t, "stamp"))
				answered[e.Contact.ID] = true
				step(e)
			case 4, 5:
				step(Failed{ID: contact().ID})
			case 6:
				step(Asked{Contact: contact(), ReadOnly: rapid.IntRange(0, 4).Draw(t, "client") == 0})
			case 7:
				step(Blamed{contact().ID, rapid.Bool().Draw(t, "mild")})
			case 8:
				if rapid.IntRange(0, 2).Draw(t, "ban") == 0 {
					bans[contact().ID] = true // after each step nobody of them is live
					step(Banned{})
				} else {
					joined = true
					step(Joined{})
				}
			case 9:
				step(Due{})
			}
		}
	})
}

// promises checks the invariants of a table.
func promises(t *rapid.T, tab *Table, k, waiting int) {
	groups := map[string]int{}
	total := 0
	for i, b := range tab.buckets {
		if len(b.live) > k || len(b.waiting) > waiting {
			t.Fatalf("bucket %d: got %d live and %d waiting, want at most %d and %d", i, len(b.live), len(b.waiting), k, waiting)
		}
		here := map[string]int{}
		for _, x := range append(slices.Clone(b.live), b.waiting...) {
			total++
			if x.Contact.ID == tab.self || tab.index[x.Contact.ID] != x {
				t.Fatalf("bucket %d holds this node, or a contact that cannot be found", i)
			}
			if at := tab.self.CommonPrefix(x.Contact.ID); at != i && (at < i || i != len(tab.buckets)-1) {
				t.Fatalf("a contact of bucket %d is in bucket %d", at, i)
			}
			for _, g := range x.Contact.Groups() {
				groups[g]++
				here[g]++
			}
		}
		for g, n := range here {
			if n > MaxPerGroupBucket {
				t.Fatalf("bucket %d: got %d of %s, want at most %d", i, n, g, MaxPerGroupBucket)
			}
		}
	}
	queued, last := 0, time.Time{}
	for _, list := range [...]*list.List{&tab.doubtful, &tab.steady} {
		for at := list.Front(); at != nil; at = at.Next() {
			x := at.Value.(*entry)
			if queued++; x.queued != at || x.waiting || tab.index[x.Contact.ID] != x {
				t.Fatalf("%s is to be probed, want only live contacts that know their turn", x.Contact.ID.Short())
			}
			if list == &tab.steady && (x.Answered.Before(last) || x.Failures > 0) {
				t.Fatalf("%s has been silent since %v, with %d failures, and comes after one silent since %v", x.Contact.ID.Short(), x.Answered, x.Failures, last)
			}
			if list == &tab.steady {
				last = x.Answered
			}
		}
	}
	if queued != tab.live {
		t.Fatalf("got %d contacts to be probed, want all %d", queued, tab.live)
	}
	if total != len(tab.index) {
		t.Fatalf("got %d contacts in the buckets, want %d", total, len(tab.index))
	}
	for g, n := range groups {
		if n > MaxPerGroup || n != tab.groups[g] {
			t.Fatalf("got %d of %s, counted %d, want at most %d", n, g, tab.groups[g], MaxPerGroup)
		}
	}
	if len(groups) != len(tab.groups) || len(tab.order) != len(tab.candidates) || len(tab.candidates) > MaxCandidates {
		t.Fatalf("got %d networks counted and %d candidates, want %d and %d", len(tab.groups), len(tab.candidates), len(groups), len(tab.order))
	}
}

// TestCandidatesAreBounded lets thousands of nodes ask, of a few networks and of many.
//
// conforms: kad 22
func TestCandidatesAreBounded(t *testing.T) {
	for _, networks := range []int{1, 4, 4000} {
		tab := New(overlay.ID{}, Options{K: 2000, Rand: rand.New(rand.NewPCG(1, 2))})
		now := time.Unix(1_000_000, 0)
		for i := range 4000 {
			var id overlay.ID
			binary.BigEndian.PutUint32(id[:], uint32(i+1)<<8)
			tab.Step(now, Asked{Contact: overlay.Contact{ID: id, Addresses: []overlay.Address{addressIn(i%networks, i/networks)}}})
		}
		if got, want := tab.Candidates(), min(networks*MaxCandidatesPerGroup, MaxCandidates); got != want {
			t.Errorf("%d networks: got %d candidates, want %d", networks, got, want)
		}
	}
}

// TestOnions fills a bucket with onion services.
//
// conforms: kad 21
func TestOnions(t *testing.T) {
	onions := []overlay.Address{
		"/onion3/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaad:1", "/onion3/baaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaad:1",
		"/onion3/caaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaad:1", "/onion3/daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaad:1",
		"/onion3/eaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaad:1", "/onion3/faaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaad:1",
	}
	for _, only := range []bool{false, true} {
		tab := New(overlay.ID{}, Options{OnionOnly: func() bool { return only }, AllowPrivate: true, Rand: rand.New(rand.NewPCG(1, 2))})
		for i, a := range onions {
			tab.Step(time.Unix(1_000_000, 0), Answered{Contact: overlay.Contact{ID: overlay.ID{0x80, byte(i)}, Addresses: []overlay.Address{a}}})
		}
		want := MaxOnionsBucket
		if only {
			want = len(onions)
		}
		if tab.Len() != want {
			t.Errorf("this node is an onion service alone %v: got %d of %d onion services, want %d", only, tab.Len(), len(onions), want)
		}
	}
}
