package connpool

import (
	"slices"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// MaxNegotiations is how many substreams of all peers may be without an agreed protocol. Each needs
// about 12 kB of memory.
const MaxNegotiations = 1000

// Negotiations bound the substreams of peers whose protocol is not agreed on yet. One too many
// makes way: the oldest of the source that has most, and there of the key that has most. S names a
// substream. While there are few, shares are not counted, which costs more than the rest.
//
// spec: V 39
type Negotiations[S comparable] struct {
	of      map[share.Holder[identity.NodeID]][]S // the oldest first
	n       int
	crowded bool // from half of all on, until a quarter: have is kept
	have    share.Shares[identity.NodeID]
}

// Begin counts a substream of a holder. It returns one that makes way; ok is false if none has to.
func (x *Negotiations[S]) Begin(h share.Holder[identity.NodeID], s S) (way S, ok bool) {
	if x.of == nil {
		x.of = make(map[share.Holder[identity.NodeID]][]S)
	}
	x.of[h] = append(x.of[h], s)
	if x.n++; x.crowded {
		x.have.Add(h, 1)
	} else if x.n > MaxNegotiations/2 {
		x.crowded = true
		for h, all := range x.of {
			x.have.Add(h, int64(len(all)))
		}
	}
	if x.n <= MaxNegotiations {
		return way, false
	}
	most, _ := x.have.Most()
	way = x.of[most][0]
	x.End(most, way)
	return way, true
}

// End forgets a substream. It does nothing for one that has made way.
func (x *Negotiations[S]) End(h share.Holder[identity.NodeID], s S) {
	i := slices.Index(x.of[h], s)
	if i < 0 {
		return
	}
	if x.of[h] = slices.Delete(x.of[h], i, i+1); len(x.of[h]) == 0 {
		delete(x.of, h)
	}
	if x.n--; x.crowded {
		x.have.Add(h, -1)
	}
	if x.n < MaxNegotiations/4 {
		x.crowded, x.have = false, share.Shares[identity.NodeID]{}
	}
}
