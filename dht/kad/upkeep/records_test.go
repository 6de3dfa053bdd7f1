package upkeep

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/kad"
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
	c := kad.Contact{ID: kad.ID{0x80}, Addresses: []kad.Address{"/ip4/1.2.3.4/udp/5"}}
	ahead := r.Now.AddDate(30, 0, 0)
	r.m.Step(r.Now, Start{Joined: true, Former: []Former{{Contact: c, Lost: ahead, Rest: ahead.Add(time.Hour), Failures: 3}}})
	r.m.Step(r.Now, Added{kad.Contact{ID: kad.ID{0x40}}})
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
