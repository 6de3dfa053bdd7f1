package upkeep

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gamelan-p2p/gamelan/internal/kad/table"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// TestUpkeepKeepsItsBudgets lets random things happen for hours, reports of what was wanted
// often missing, and checks: lookups of ranges and publications in a minute, lookups and
// probes at a time, that a lookup of a range is for an id in a range of this node's, that the
// machine does not wake without end, and that the same events have the same effects on a
// twin.
//
// conforms: kad 25, 27
func TestUpkeepKeepsItsBudgets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		self := overlay.ID{7: 99, 31: 1}
		seed := rapid.Uint64().Draw(t, "seed")
		tab := table.New(self, table.Options{Rand: rand.New(rand.NewPCG(seed, 1))})
		machine := func() *Machine { return New(self, Options{View: tab.View, Rand: rand.New(rand.NewPCG(seed, 2))}) }
		m, twin := machine(), machine()
		now := time.Unix(1_000_000, 0)
		var due time.Time
		var ranges, published []time.Time
		probing, looking := []overlay.Contact{}, []overlay.ID{}
		shrinks := false
		count := func(list []time.Time) (n int) {
			for _, at := range list {
				if now.Sub(at) < time.Minute {
					n++
				}
			}
			return n
		}
		step := func(e Event) {
			shrinks = shrinks || m.factor() > 1
			effects := m.Step(now, e)
			if again := twin.Step(now, e); fmt.Sprint(effects) != fmt.Sprint(again) {
				t.Fatalf("got %v, want the twin's %v", again, effects)
			}
			shrinks = shrinks || m.factor() > 1
			due = m.wake
			for _, f := range effects {
				switch f := f.(type) {
				case Probe:
					if f.Contact.ID == self || len(f.Contact.Addresses) == 0 {
						t.Fatalf("probe of %v", f.Contact)
					}
					probing = append(probing, f.Contact)
				case Lookup:
					looking = append(looking, f.Target)
					if f.Why == ForSelf {
						if f.Target != self {
							t.Fatalf("got a lookup of %s for the own id", f.Target.Short())
						}
						continue
					}
					if at := self.CommonPrefix(f.Target); at >= tab.View().Buckets() {
						t.Fatalf("lookup in range %d of %d", at, tab.View().Buckets())
					}
					ranges = append(ranges, now)
				case Publish:
					published = append(published, now)
				}
			}
			most, flights := refreshMax, 1
			if shrinks {
				most, flights = haste*refreshMax, haste
			}
			if n := count(ranges); n > most {
				t.Fatalf("got %d lookups of ranges in a minute, want at most %d", n, most)
			}
			if n := m.fresh.flying(ForRange); n > flights {
				t.Fatalf("got %d lookups of ranges at a time, want at most %d", n, flights)
			}
			if n := count(published); n > publishMax {
				t.Fatalf("got %d publications in a minute, want at most %d", n, publishMax)
			}
			if len(m.held.running) > recordsAtOnce || len(m.own.running) > recordsAtOnce || len(m.boot.probes) > bootAtOnce ||
				len(m.former.list) > formerMax {
				t.Fatalf("got %d and %d records, %d probes at a time, %d former contacts", len(m.held.running), len(m.own.running), len(m.boot.probes), len(m.former.list))
			}
		}
		contact := func() overlay.Contact {
			n := rapid.IntRange(1, 60).Draw(t, "contact")
			id := self.RandomIDInBucket(n%5, overlay.IDLen, rand.New(rand.NewPCG(uint64(n), 0)))
			return overlay.Contact{ID: id, Addresses: []overlay.Address{overlay.Address(fmt.Sprintf("/ip4/70.0.%d.1/udp/1", n))}}
		}
		carry := func(effects []table.Effect) {
			for _, f := range append([]table.Effect(nil), effects...) {
				switch f := f.(type) {
				case table.Added:
					step(Added{f.Contact})
				case table.Removed:
					step(Removed{f.Contact, time.Duration(rapid.IntRange(0, 30).Draw(t, "lived")) * time.Minute, rapid.IntRange(0, 5).Draw(t, "banned") == 0})
				}
			}
		}
		step(Start{
			Persisted: []overlay.Contact{contact(), contact()},
			Bootstrap: []overlay.Address{"/ip4/71.0.0.1/udp/1", "/ip4/71.0.0.2/udp/1"},
		})
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "event") {
			case 0:
				now = now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "s")) * time.Second)
				step(Due{})
			case 1, 2: // as a timer does
				for i := 0; !due.IsZero() && i < 20; i++ {
					if due.After(now) {
						now = due
					}
					before := len(probing) + len(looking) + len(published)
					if step(Due{}); !due.IsZero() && !due.After(now) && len(probing)+len(looking)+len(published) == before && i > 10 {
						t.Fatalf("the machine wakes at %v again and again", due)
					}
				}
			case 3:
				tab.Step(now, table.Joined{})
				carry(tab.Step(now, table.Answered{Contact: contact()}))
			case 4:
				id := contact().ID
				carry(tab.Step(now, table.Failed{ID: id}))
				carry(tab.Step(now, table.Failed{ID: id}))
			case 5:
				if len(probing) > 0 {
					step(Probed{probing[0], rapid.Bool().Draw(t, "answered")})
					probing = probing[1:]
				}
			case 6:
				if len(looking) > 0 {
					step(LookedUp{looking[0], tab.View().Nearest(looking[0], 20)})
					looking = looking[1:]
				}
			case 7:
				key := overlay.Key{byte(rapid.IntRange(0, 30).Draw(t, "key"))}
				switch rapid.IntRange(0, 5).Draw(t, "record") {
				case 0:
					step(Held{key})
				case 1:
					step(Dropped{key})
				case 2:
					step(Replicated{key})
				case 3:
					step(Own{key, now.Add(-time.Minute)})
				case 4:
					step(Published{key, rapid.Bool().Draw(t, "ok")})
				case 5:
					step(Forgotten{key})
				}
			case 8:
				step(Asked{contact()})
			case 9:
				step(LookedUp{contact().ID, []overlay.Contact{contact()}})
			}
		}
	})
}
