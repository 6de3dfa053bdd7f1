package dht

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// FloodLimit is how many messages that no handler here took a peer may send in
// any 60 s unless said otherwise (spec: V28).
const FloodLimit = 60_000

// floodSeconds is how long what a peer has sent counts.
const floodSeconds = 60

// ErrFlood reports a peer that sends more messages than are welcome.
var ErrFlood = errors.New("dht: flood")

// FloodMeter counts, for each peer, the messages that no handler here took, and says
// which peer has sent too many. It counts by whole seconds: a peer is never over
// the limit that has kept to it in each 60 s, and one that exceeds it by what
// fits into a second may be found a second later (spec: dht 10.3, V28).
//
// A reader of a peer's messages calls HandOn before it gives any of them to the actor
// that judges them, so that the messages of one peer which are judged are never
// more than the limit and the one that exceeds it. Each call is one step and may
// come from any goroutine.
type FloodMeter struct {
	limit int

	mu     sync.Mutex
	peers  windows[identity.NodeID]
	held   int
	unread uint64
}

// NewFloodMeter returns a meter with that limit; 0 is [FloodLimit].
func NewFloodMeter(limit int) *FloodMeter {
	if limit <= 0 {
		limit = FloodLimit
	}
	return &FloodMeter{limit: limit}
}

// Count counts one message of the peer. It returns the offence when this is the
// one that goes over the limit, and nil for those after it: there is one offence
// until the peer has been within the limit again.
func (f *FloodMeter) Count(now time.Time, peer identity.NodeID) *protocol.Violation {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.peers.at(now, peer)
	p.add(1)
	if p.sum != f.limit+1 {
		return nil
	}
	return protocol.Violated("dht", protocol.BanMedium,
		fmt.Errorf("%w: more than %d messages in %d s that nobody here took", ErrFlood, f.limit, floodSeconds))
}

// HandOn returns how many of n messages of the peer may be handed on to be judged,
// as if each that is not judged yet would count; [FloodMeter.Judged] follows for each
// of them. A peer at its limit may hand on one when nothing of it is unjudged: with
// it the peer is over the limit, or a handler takes it. A peer that is over may hand
// on nothing. Whoever is exempt may hand on everything.
//
// If nothing may be handed on, wake is called at most once, when a message was
// judged and there may be room. It must not block, nor call the meter. The end of a
// second makes room as well, and wakes nobody.
func (f *FloodMeter) HandOn(now time.Time, peer identity.NodeID, n int, exempt bool, wake func()) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.peers.at(now, peer)
	switch room := f.limit - p.sum - p.unjudged; {
	case exempt:
	case room > 0:
		n = min(n, room)
	case p.unjudged == 0 && p.sum <= f.limit:
		n = min(n, 1)
	default:
		if wake != nil {
			p.wake = wake
		}
		return 0
	}
	p.unjudged += n
	return n
}

// Over reports whether the peer is over the limit.
func (f *FloodMeter) Over(now time.Time, peer identity.NodeID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.peers.at(now, peer).sum > f.limit
}

// Judged notes that a message of the peer that was handed on has been judged, and
// counted if it had to be, or was dropped.
func (f *FloodMeter) Judged(peer identity.NodeID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.peers.find(peer)
	if p == nil || p.unjudged == 0 {
		return // it was silent for so long that it was forgotten
	}
	p.unjudged--
	if p.unjudged == 0 || p.sum+p.unjudged < f.limit {
		p.woken()
	}
}

// Unread notes that so many messages were dropped that were not handed on.
func (f *FloodMeter) Unread(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unread += uint64(n)
}

// HoldBack notes that a reader waits because its peer is at the limit; done ends
// that.
func (f *FloodMeter) HoldBack() (done func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held++
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.held--
	})
}

// FloodStats says what a [FloodMeter] knows.
type FloodStats struct {
	Limit  int
	Peers  int    // that are remembered
	Held   int    // readers of peers that are at the limit
	Unread uint64 // messages that were dropped and not judged
}

// Stats returns what the meter knows.
func (f *FloodMeter) Stats() FloodStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return FloodStats{Limit: f.limit, Peers: len(f.peers.of), Held: f.held, Unread: f.unread}
}
