package dial

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// State is the state of a wish.
type State uint8

const (
	Queued     State = iota // automatic, waits for its turn
	Dialling                // an attempt runs
	Waiting                 // waits for its next attempt
	Adopting                // dialled; the connection is not announced yet
	Cancelling              // an attempt was cancelled and has not ended yet
)

// String returns the state in one word.
func (s State) String() string {
	switch s {
	case Queued:
		return "queued"
	case Dialling:
		return "dialling"
	case Waiting:
		return "waiting"
	case Adopting:
		return "adopting"
	case Cancelling:
		return "cancelling"
	}
	return "unknown"
}

// Wish is the scheduler's entry for one peer.
type Wish struct {
	Peer      identity.NodeID
	State     State
	Automatic bool
	Wanted    bool // false only while Cancelling or Adopting: no request waits for it
	Tries     int
	Attempts  int
	Due       time.Time // when State is Waiting or Adopting
}

type wish struct {
	Wish
	seq    uint64 // order of arrival
	slot   bool   // counts as an automatic attempt in flight
	inLine bool   // has a place in Scheduler.queue
	heap   int    // index among the timed ones, -1 when not timed

	connected bool // a connection was announced while Cancelling: none follows if the attempt succeeds
}

// timed is a heap of the wishes with a Due: earliest first, then in the order of
// arrival.
type timed []*wish

func (t timed) Len() int { return len(t) }
func (t timed) Less(i, j int) bool {
	if c := t[i].Due.Compare(t[j].Due); c != 0 {
		return c < 0
	}
	return t[i].seq < t[j].seq
}

func (t timed) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].heap, t[j].heap = i, j
}

// Push implements heap.Interface.
func (t *timed) Push(x any) {
	w := x.(*wish)
	w.heap = len(*t)
	*t = append(*t, w)
}

// Pop implements heap.Interface.
func (t *timed) Pop() any {
	last := len(*t) - 1
	w := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	w.heap = -1
	return w
}
