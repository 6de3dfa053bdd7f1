package upkeep

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/table"
	"github.com/gamelan-p2p/gamelan/internal/kad/values"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// TestReplicateEvery compares the interval with half of the half-life.
//
// conforms: kad 49
func TestReplicateEvery(t *testing.T) {
	for _, x := range []struct{ halfLife, want time.Duration }{
		{0, time.Hour}, {10 * time.Hour, time.Hour}, {time.Hour, 30 * time.Minute}, {18 * time.Minute, 9 * time.Minute}, {time.Minute, 5 * time.Minute},
	} {
		if got := ReplicateEvery(x.halfLife); got != x.want {
			t.Errorf("half-life %v: got %v, want %v", x.halfLife, got, x.want)
		}
	}
}

// TestFormerOfTheFuture starts with a former contact whose times are thirty years ahead, as the
// clock was wrong in this run or in the one before: the contact is probed, and forgotten.
func TestFormerOfTheFuture(t *testing.T) {
	r := &run{}
	r.reset(Options{})
	c := overlay.Contact{ID: overlay.ID{0x80}, Addresses: []overlay.Address{"/ip4/1.2.3.4/udp/5"}}
	ahead := r.Now.AddDate(30, 0, 0)
	r.m.Step(r.Now, Start{Joined: true, Former: []Former{{Contact: c, Lost: ahead, Rest: ahead.Add(time.Hour), Failures: 3}}})
	r.m.Step(r.Now, Added{overlay.Contact{ID: overlay.ID{0x40}}})
	probes := 0
	step := func() {
		for _, f := range r.m.Step(r.Now, Due{}) {
			if p, ok := f.(Probe); ok && p.Why == ForFormer {
				probes++
				r.m.Step(r.Now, Probed{Contact: p.Contact})
			}
		}
	}
	for range 10 {
		r.Now = r.Now.Add(time.Minute)
		step()
	}
	if probes == 0 {
		t.Error("got no probe in ten minutes, want one")
	}
	r.Now = r.Now.Add(formerFor)
	step()
	if n := len(r.m.Former()); n != 0 {
		t.Errorf("got %d former contacts after %v, want none", n, formerFor)
	}
}

// TestPersistedAreJudged starts with a hundred contacts of an earlier run, of which one of ten
// answers. The node enters by a few of them; the others stay known until each was tried, a few a
// minute. While the node is isolated, failures judge nobody.
//
// conforms: kad 29
func TestPersistedAreJudged(t *testing.T) {
	r := &run{}
	r.reset(Options{})
	var persisted []overlay.Contact
	for i := range 100 {
		persisted = append(persisted, overlay.Contact{ID: overlay.ID{0x80, byte(i)}, Addresses: []overlay.Address{"/ip4/1.2.3.4/udp/5"}})
	}
	alive := false // one of ten, or nobody
	probed := make(map[overlay.ID]int)
	step := func(e Event) (probes int) {
		queue := append([]Effect(nil), r.m.Step(r.Now, e)...)
		for ; len(queue) > 0; queue = queue[1:] {
			switch f := queue[0].(type) {
			case Probe:
				probes++
				probed[f.Contact.ID]++
				answered := alive && f.Contact.ID[1]%10 == 0
				if answered {
					queue = append(queue, r.m.Step(r.Now, Added{f.Contact})...)
				}
				queue = append(queue, r.m.Step(r.Now, Probed{f.Contact, answered})...)
			case Lookup:
				queue = append(queue, r.m.Step(r.Now, LookedUp{Target: f.Target, Nearest: persisted[:1]})...)
			}
		}
		return probes
	}
	step(Start{Persisted: persisted})
	for range 10 {
		r.Now = r.Now.Add(time.Minute)
		step(Due{})
	}
	if n := len(r.m.Persisted()); n != 100 || r.m.State() != overlay.Isolated {
		t.Errorf("got %d contacts left of an isolated node, %v, want all 100", n, r.m.State())
	}
	alive = true
	for r.m.State() != overlay.Ready {
		r.Now = r.Now.Add(time.Minute)
		step(Due{})
	}
	if n := len(r.m.Persisted()); n < 50 {
		t.Errorf("got %d contacts left when the node had entered, want those that were not needed", n)
	}
	clear(probed)
	for range 20 {
		before := len(r.m.Persisted())
		r.Now = r.Now.Add(time.Minute)
		step(Due{})
		if n := before - len(r.m.Persisted()); n > persistedAtOnce {
			t.Errorf("got %d contacts tried in a minute, want at most %d", n, persistedAtOnce)
		}
	}
	if n := len(r.m.Persisted()); n != 0 {
		t.Errorf("got %d contacts left after 20 minutes, want none", n)
	}
	for id, n := range probed {
		if n > 1 {
			t.Errorf("got %d probes of %d, want one", n, id[1])
		}
	}
}

// TestSeedRecordsAreKept publishes as many records as a client of the overlay Seed may have, all put
// at one time. Each is published again before the others drop it, although at most 20 are in a
// minute, and each publication takes a while.
func TestSeedRecordsAreKept(t *testing.T) {
	for _, n := range []int{1, 100, MaxOwnSeed(50 * time.Minute)} {
		r := &run{}
		r.reset(Options{Overlay: overlay.Seed})
		r.m.Step(r.Now, Start{Joined: true})
		r.table.Step(r.Now, table.Answered{Contact: overlay.Contact{ID: overlay.ID{0x40}, Addresses: []overlay.Address{"/ip4/1.2.3.4/udp/5"}}})
		queue := slices.Clone(r.m.Step(r.Now, Added{overlay.Contact{ID: overlay.ID{0x40}}}))
		random := rand.New(rand.NewPCG(3, 4))
		last := make(map[overlay.Key]time.Time)
		for i := range n {
			key := overlay.Key{byte(i), byte(i >> 8)}
			last[key] = r.Now
			queue = append(queue, r.m.Step(r.Now, Own{key, r.Now.Add(45*time.Minute + time.Duration(random.Int64N(int64(10*time.Minute))))})...)
		}
		type end struct {
			at  time.Time
			key overlay.Key
		}
		var ends []end
		longest, published := time.Duration(0), 0
		for r.Now.Sub(r.Begin) < 4*time.Hour {
			for ; len(queue) > 0; queue = queue[1:] {
				switch f := queue[0].(type) {
				case Publish:
					longest, published = max(longest, r.Now.Sub(last[f.Key])), published+1
					last[f.Key] = r.Now
					ends = append(ends, end{r.Now.Add(5 * time.Second), f.Key})
				case Lookup:
					queue = append(queue, r.m.Step(r.Now, LookedUp{f.Target, nil})...)
				}
			}
			if len(ends) > 0 && !ends[0].at.After(r.m.wake) {
				r.Now = ends[0].at
				queue = append(queue, r.m.Step(r.Now, Published{ends[0].key, true})...)
				ends = ends[1:]
				continue
			}
			r.Now = r.m.wake
			queue = append(queue, r.m.Step(r.Now, Due{})...)
		}
		for _, at := range last {
			longest = max(longest, r.Now.Sub(at))
		}
		t.Logf("%d records: %d publications, at most %v after the last one", n, published, longest)
		if longest >= values.MaxLifeSeed {
			t.Errorf("%d records: got one published %v after the last time, want less than %v", n, longest, values.MaxLifeSeed)
		}
	}
}
