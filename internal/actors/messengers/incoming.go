package messengers

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/park"
)

// incoming is one messaging substream of the peer. Whoever reads it makes messages in the same way
// ([messages.cut]); a task can wait besides:
//
//	state   | who reads                                  | it waits for
//	waiting | nobody: an older substream is read first   | -
//	read    | reader, a task                             | bytes, credit, the handler
//	parked  | taker, on the goroutine of the connection; | nothing: what needs more wakes a task
//	        | of the DHT's frames nobody                 |
//	ended   | nobody                                     | -
//
// wake leads from waiting and parked to read, [reader.park] from read to parked. The bytes that
// a taker has read and not used go to the next task (ahead).
type incoming struct {
	name       string
	conn       *actors.ConnRef
	parker     *park.Parker // holds the substream
	taker      taker        // reads it while it is parked
	stays      Staying      // nil: each task has an Intake of its own
	detach     func()
	superseded atomic.Bool // a newer substream has come, or the node stops
	writes     sync.Mutex  // of two tasks: the acceptance, and the end of this node's half
	ends       atomic.Bool // a task ends this node's half, or has
	last       int         // bytes read since the node stops; only tasks use it, one after the other
}

// ended reports whether nothing more can arrive on the substream.
func (in *incoming) ended() bool {
	_, ended := in.parker.Stream.PeerEnded()
	return ended
}

// supersede makes the reader deliver the messages that have arrived and then end.
func (in *incoming) supersede() {
	in.superseded.Store(true)
	in.parker.Stream.SetReadDeadline(park.Expired)
}

// allow sets the read deadline. After supersede the deadline stays in the past: the
// reader takes only bytes that have arrived, even in the middle of a frame.
func (in *incoming) allow(until time.Time) {
	in.parker.Stream.SetReadDeadline(until)
	if in.superseded.Load() {
		in.parker.Stream.SetReadDeadline(park.Expired)
	}
}

// arrived counts bytes that are read while the node stops.
func (in *incoming) arrived(b *inbox, n int) {
	if b.stops.Load() {
		in.last += n
	}
}
