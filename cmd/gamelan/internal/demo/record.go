package demo

import (
	"slices"
	"strconv"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/bitset"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// heard is which messages a node's handler has read.
type heard struct {
	n, twice, disordered int
	last                 int64
	which                bitset.Set
}

// record is what the handlers of a node have read. The incarnations share it, so that a
// restart loses none.
type record struct {
	mu sync.Mutex
	heard
}

func (r *record) add(i int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	if r.which.Has(uint64(i)) {
		r.twice++
	} else if r.n > 1 && i < r.last {
		r.disordered++
	}
	r.which.Add(uint64(i))
	r.last = i
}

// count returns how many messages were read.
func (r *record) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n
}

func (r *record) look() heard {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.heard
	h.which = slices.Clone(h.which)
	return h
}

// demoHandler is the handler of a node. It panics on a message that is no number.
//
// In: actors.Received.
type demoHandler struct{ record *record }

func (e *demoHandler) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case actors.Received:
		i, err := strconv.ParseInt(string(m.Body), 10, 64)
		if err != nil || i < 0 || i > 1<<30 {
			panic(bug)
		}
		e.record.add(i)
	default:
		supervisor.Unhandled(c)
	}
}

// String returns the handler's line in the tree.
func (e *demoHandler) String() string {
	return inspect.Count(uint64(e.record.count()), "message") + " received"
}
