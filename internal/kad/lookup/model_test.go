package lookup

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// id returns the n-th of some ids spread over the whole space.
func id(n int) (id overlay.ID) {
	binary.BigEndian.PutUint64(id[:], uint64(n+1)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(id[24:], uint64(n+1))
	return id
}

func contact(n int) overlay.Contact {
	return overlay.Contact{ID: id(n), Addresses: []overlay.Address{overlay.Address(fmt.Sprintf("/ip4/40.%d.%d.1/udp/1", n/256%256, n%256))}}
}

// TestEveryLookupEnds gives random events to a lookup, among them answers of contacts that
// were not asked, and checks after each: how many are under way, that nobody is asked twice,
// and the limits. What follows ends the lookup, at the latest after its time; a strict end is
// only there when the nearest that have not failed have all answered, and the result has
// nobody who has not answered. The same events have the same effects on a twin.
//
// conforms: kad 30, 31, 32, 33
func TestEveryLookupEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{
			K: rapid.IntRange(1, 6).Draw(t, "k"), Alpha: rapid.IntRange(1, 4).Draw(t, "alpha"),
			Mode: Mode(rapid.IntRange(0, 2).Draw(t, "mode")), Quorum: rapid.IntRange(1, 3).Draw(t, "quorum"), Wide: rapid.Bool().Draw(t, "wide"),
			Compare: func(a, b *overlay.Record) int { return cmp.Compare(a.Seq, b.Seq) },
		}
		var spread []overlay.Contact
		o.Spread = func() []overlay.Contact { return spread }
		target := id(rapid.IntRange(1000, 1003).Draw(t, "target"))
		l, twin := New(target, o), New(target, o)
		begin := time.Unix(1_000_000, 0)
		now := begin
		state := map[overlay.ID]overlay.PeerState{} // of those who were asked
		heard := map[overlay.ID]bool{}
		var result *overlay.LookupResult
		step := func(e Event) {
			effects := l.Step(now, e)
			if again := twin.Step(now, e); !reflect.DeepEqual(effects, again) {
				t.Fatalf("got %v, want the twin's %v", again, effects)
			}
			if result != nil && len(effects) > 0 {
				t.Fatalf("got %v after the end, want nothing", effects)
			}
			for _, f := range effects {
				switch f := f.(type) {
				case Ask:
					if _, ok := state[f.Contact.ID]; ok {
						t.Fatalf("%s is asked twice", f.Contact.ID.Short())
					}
					if !heard[f.Contact.ID] {
						t.Fatalf("%s is asked, and was never named", f.Contact.ID.Short())
					}
					state[f.Contact.ID] = overlay.PeerWaiting
				case Done:
					result = &f.Result
				}
			}
			waiting, slow := 0, 0
			for _, s := range state {
				switch s {
				case overlay.PeerWaiting:
					waiting++
				case overlay.PeerSlow:
					slow++
				}
			}
			if waiting > o.Alpha || waiting+slow > 2*o.Alpha || len(state) > shortFactor*o.K {
				t.Fatalf("got %d waiting, %d slow, %d asked; want at most %d, twice that together, %d", waiting, slow, len(state), o.Alpha, shortFactor*o.K)
			}
		}
		some := func(most int) (list []overlay.Contact) {
			for range rapid.IntRange(0, most).Draw(t, "contacts") {
				c := contact(rapid.IntRange(0, 300).Draw(t, "contact"))
				list = append(list, c)
			}
			return list
		}
		hear := func(list []overlay.Contact) []overlay.Contact {
			for _, c := range list {
				heard[c.ID] = true
			}
			return list
		}
		asked := func() overlay.ID {
			ids := slices.SortedFunc(func(yield func(overlay.ID) bool) {
				for id := range state {
					if !yield(id) {
						return
					}
				}
			}, overlay.ID.Compare)
			if len(ids) == 0 || rapid.IntRange(0, 9).Draw(t, "anybody") == 0 {
				return id(rapid.IntRange(0, 300).Draw(t, "who"))
			}
			return ids[rapid.IntRange(0, len(ids)-1).Draw(t, "which")]
		}
		answer := func(who overlay.ID, contacts []overlay.Contact) {
			e := Answered{Peer: who, Contacts: contacts, Size: rapid.IntRange(0, 100_000).Draw(t, "size"), Forged: rapid.IntRange(0, 9).Draw(t, "forged") == 0}
			if o.Mode != ForNodes && !e.Forged && rapid.IntRange(0, 4).Draw(t, "has") == 0 {
				e.Record = &overlay.Record{Seq: uint64(rapid.IntRange(1, 3).Draw(t, "seq"))}
			}
			if s, ok := state[who]; ok && s != overlay.PeerAnswered && result == nil {
				if !e.Forged {
					hear(contacts[:min(len(contacts), 2*o.K)])
				}
				if state[who] = overlay.PeerAnswered; e.Forged {
					state[who] = overlay.PeerFailed
				}
			}
			step(e)
		}
		spread = some(4)
		if o.Wide || o.Mode != ForNodes {
			hear(spread)
		}
		step(Start{hear(some(8))})
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			switch rapid.IntRange(0, 5).Draw(t, "event") {
			case 0, 1, 2:
				answer(asked(), some(16))
			case 3:
				who := asked()
				if state[who] == overlay.PeerWaiting && result == nil {
					state[who] = overlay.PeerSlow
				}
				step(Slow{who})
			case 4:
				who := asked()
				if s := state[who]; (s == overlay.PeerWaiting || s == overlay.PeerSlow) && result == nil {
					state[who] = overlay.PeerFailed
				}
				step(Lost{who})
			case 5:
				step(Due{})
			}
		}
		if result == nil {
			now = begin.Add(time.Minute)
			step(Due{})
		}
		if result == nil || !l.Ended() {
			t.Fatal("the lookup goes on after its time")
		}
		check(t, target, o, result, state, heard)
	})
}

// check compares the result with what was told to the lookup.
func check(t *rapid.T, target overlay.ID, o Options, r *overlay.LookupResult, state map[overlay.ID]overlay.PeerState, heard map[overlay.ID]bool) {
	for _, c := range append(slices.Clone(r.Nearest), r.Further...) {
		if state[c.ID] != overlay.PeerAnswered {
			t.Fatalf("%s is in the result, and its state is %v", c.ID.Short(), state[c.ID])
		}
	}
	var limit *overlay.LimitError
	if (r.Reason == overlay.EndLimited) != errors.As(r.Err, &limit) {
		t.Fatalf("got %v with %v, want a limit error exactly at a limit", r.Reason, r.Err)
	}
	if r.Reason != overlay.EndConverged && r.Reason != overlay.EndExhausted || len(heard) > shortFactor*o.K {
		return // what is beyond the shortlist is forgotten
	}
	if r.Record != nil {
		t.Fatalf("got %v with a record, want it found", r.Reason)
	}
	var alive []overlay.ID // not failed, nearest first
	for id := range heard {
		if state[id] != overlay.PeerFailed {
			alive = append(alive, id)
		}
	}
	slices.SortFunc(alive, target.CompareDistance)
	if r.Reason == overlay.EndConverged && len(alive) < o.K || r.Reason == overlay.EndExhausted && len(alive) >= o.K {
		t.Fatalf("got %v with %d contacts, k %d", r.Reason, len(alive), o.K)
	}
	for i, id := range alive[:min(len(alive), o.K)] {
		if state[id] != overlay.PeerAnswered || r.Nearest[i].ID != id {
			t.Fatalf("the search ended, and the %d-th nearest is %v", i+1, state[id])
		}
	}
}
