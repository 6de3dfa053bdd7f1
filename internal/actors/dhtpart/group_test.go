package dhtpart

import (
	"slices"
	"sync"
	"testing"

	"github.com/gamelan-p2p/gamelan/dht"
)

func TestFramesTogether(t *testing.T) {
	g := new(group)
	for i := range dht.MaxProofs {
		if place, ok := g.join([]byte{byte(i)}); !ok || place != i {
			t.Fatalf("frame %d: got place %d, %v", i, place, ok)
		}
	}
	if _, ok := g.join(nil); ok {
		t.Fatalf("got more than %d frames", dht.MaxProofs)
	}
	calls := 0
	prove := func(bodies [][]byte) []dht.Proof {
		calls++
		if len(bodies) != dht.MaxProofs || bodies[3][0] != 3 {
			t.Errorf("got %d bodies %v", len(bodies), bodies)
		}
		return make([]dht.Proof, len(bodies))
	}
	for place := range dht.MaxProofs {
		g.proof(place, prove)
	}
	if calls != 1 {
		t.Errorf("got %d calls, want one", calls)
	}
	for i, b := range g.bodies {
		if b != nil {
			t.Errorf("body %d is kept", i)
		}
	}
}

func TestFramesTogetherEnd(t *testing.T) {
	never := func([][]byte) []dht.Proof {
		t.Error("one frame alone was proven")
		return nil
	}
	alone := new(group)
	alone.join([]byte{1})
	alone.proof(0, never)
	if _, ok := alone.join([]byte{2}); ok {
		t.Error("a frame joined after the first had its turn")
	}
	(*group)(nil).proof(0, never)

	g := new(group)
	g.join([]byte{1})
	g.join([]byte{2})
	func() {
		defer func() { _ = recover() }()
		g.proof(0, func([][]byte) []dht.Proof { panic("on request") })
	}()
	if got := g.proof(1, never); got != (dht.Proof{}) {
		t.Errorf("after a panic: got %+v, want no proof", got)
	}
}

// TestFramesTogetherWhileRead has a reader join while the actor takes its turns:
// each frame is in one group, at its place.
func TestFramesTogetherWhileRead(t *testing.T) {
	const frames = 5000
	r := intake{shard: new(shard)}
	type framed struct {
		group *group
		place int
		n     int
	}
	queue := make(chan framed, 64)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(queue)
		for n := range frames {
			g, place := r.join([]byte{byte(n), byte(n >> 8)})
			queue <- framed{g, place, n}
		}
	})
	proven := map[*group][]int{}
	for f := range queue {
		f.group.proof(f.place, func(bodies [][]byte) []dht.Proof {
			for _, b := range bodies {
				proven[f.group] = append(proven[f.group], int(b[0])|int(b[1])<<8)
			}
			return nil
		})
		if all := proven[f.group]; len(all) > 0 && (f.place >= len(all) || all[f.place] != f.n) {
			t.Fatalf("frame %d is at place %d of %v", f.n, f.place, all)
		}
		if all := proven[f.group]; !slices.IsSorted(all) {
			t.Fatalf("got frames %v, want them in order", all)
		}
	}
	wg.Wait()
}
