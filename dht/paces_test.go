package dht_test

import (
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// TestPaceOverARestart has the machine replaced by another one: the peer gets no
// more than its pace from both, also when what the first has given out leaves
// only now.
//
// conforms: V 28
func TestPaceOverARestart(t *testing.T) {
	set := func(o *dht.OutboundOptions) { o.Pace = 10 }
	d := newDesk(t, villagers, set)
	d.paced[idOf("a")] = true
	for n := range uint64(6) {
		d.send(plain("a", n))
		if n < 4 {
			d.settle(d.under[0], confirmed)
		}
	}
	d.under = nil // two are under way
	paces := d.o.Paces(d.now)
	d.begin(func(o *dht.OutboundOptions) {
		set(o)
		o.Paces = paces
	})
	for n := range uint64(20) {
		d.send(plain("a", n))
	}
	if got := len(d.under); got != 4 {
		t.Errorf("got %d more given out after 6, want 4 of a pace of 10", got)
	}
	for _, w := range slices.Clone(d.under) {
		d.settle(w, confirmed)
	}
	d.under = nil
	if got := len(d.pass(dht.PaceWithin)); got > 8 {
		t.Errorf("got %d given out within a minute, want at most 8: two may have left only now", got)
	}
	d.drain(confirmed)
	d.pass(2 * dht.PaceWithin)
	d.drain(confirmed)
	d.send(plain("a", 99))
	if len(d.under) != 1 {
		t.Error("nothing is given out long after")
	}
}

func TestSelectedOnce(t *testing.T) {
	v := newVillage(t, villagers)
	self := idOf("z")
	got, err := dht.Selector{Self: self}.Select(dht.Selected{Peers: []identity.NodeID{idOf("b"), self, idOf("a"), idOf("b")}}, v, nil)
	if want := []identity.NodeID{idOf("b"), idOf("a")}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}
