package streams

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// A source with many keys has no more than one with a single key, and the limit holds in every order
// of coming and leaving.
func TestPlaces(t *testing.T) {
	const limit = 20
	random := rand.New(rand.NewPCG(1, 2))
	p := newPlaces[int](limit)
	there := make(map[int]holder)
	of := func(source byte, key byte) holder {
		return holder{Source: share.Of(netip.AddrFrom4([4]byte{source, 1, 1, 1})), Key: identity.NodeID{key}}
	}
	for i := range 10_000 {
		h := of(1, byte(random.IntN(200))) // who makes up keys
		if i%10 == 0 {
			h = of(2, 1)
		}
		there[i] = h
		if out, ok := p.enter(h, i); ok {
			if _, was := there[out]; !was {
				t.Fatalf("%d is evicted, which is not there", out)
			}
			delete(there, out)
		}
		if random.IntN(4) == 0 {
			for s := range there { // any
				p.leave(s)
				p.leave(s)
				delete(there, s)
				break
			}
		}
		if len(there) > limit || len(p.whose) != len(there) {
			t.Fatalf("got %d streams, and %d in the books, want at most %d", len(there), len(p.whose), limit)
		}
	}
	for s := range there {
		p.leave(s)
	}
	for i := range limit { // the one that has all
		p.enter(of(1, byte(i)), i)
	}
	for i := range limit / 2 {
		if out, ok := p.enter(of(2, 1), 100+i); !ok || out >= 100 {
			t.Fatalf("%d: got %d, %t, want that the other source makes room", i, out, ok)
		}
	}
	if out, ok := p.enter(of(2, 1), 200); !ok || out < 100 {
		t.Errorf("got %d, %t, want that a source with half of all takes nothing from another", out, ok)
	}
	if len(p.of) > limit || len(p.whose) != limit {
		t.Errorf("got %d and %d in the books, want no more than there are", len(p.of), len(p.whose))
	}
}
