package dht

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// FloodLimit is the default limit of a peer's messages that no handler here takes, in
// any 60 s (spec: V28).
const FloodLimit = 60_000

// floodSeconds is how many seconds a message counts.
const floodSeconds = 60

// ErrFlood reports a peer that sends more messages than its limit.
var ErrFlood = errors.New("dht: flood")

// FloodMeter counts, for each peer, the messages that no handler here takes, and finds
// peers that exceed the limit. It counts by whole seconds: a peer that keeps to the
// limit in every 60 s is never over it, and a peer that exceeds it may be found up to a
// second late (spec: dht 10.3, V28).
//
// The reader of a peer's messages calls HandOn before it gives messages to the actor
// that judges them, so that of a peer at most one message beyond the limit is judged.
// The methods may be called from any goroutine.
type FloodMeter struct {
	limit int

	mu      sync.Mutex
	peers   windows[identity.NodeID]
	waiting int // readers that wait because their peer is at the limit
	unread  uint64
}

// NewFloodMeter returns a meter with a limit; 0 is [FloodLimit].
func NewFloodMeter(limit int) *FloodMeter {
	if limit <= 0 {
		limit = FloodLimit
	}
	return &FloodMeter{limit: limit}
}

// Count counts one message of the peer in the second in which it was handed on, so that
// a slow node takes no peer for a flooder: the message is the oldest of those handed on
// and not judged. A message that was not handed on counts now. Count returns an offence
// for the message that exceeds the limit, and nil for later ones until the peer has been
// within the limit again.
func (f *FloodMeter) Count(now time.Time, peer identity.NodeID) *protocol.Violation {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.peers.at(now, peer)
	if !p.count() {
		return nil
	}
	if p.sum != f.limit+1 {
		return nil
	}
	return protocol.Violated("dht", protocol.BanMedium,
		fmt.Errorf("%w: more than %d messages in %d s that no handler here takes", ErrFlood, f.limit, floodSeconds))
}

// HandOn returns how many of n messages of the peer may be handed on to be judged. Each
// message that is handed on counts until [FloodMeter.Judged] is called for it. A peer at
// its limit may hand on one message when all earlier ones are judged: a handler takes
// the message, or the peer is over the limit. A peer over its limit may hand on none,
// an exempt peer all.
//
// If HandOn returns 0, wake is called at most once, when a message was judged and there
// may be room, or when the peer was forgiven. Several readers of a peer may wait. Wake
// must neither block nor call the meter. A new second may make room as well, and does not
// call wake.
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
			p.await(wake)
		}
		return 0
	}
	p.handOn(n)
	return n
}

// Over reports whether the peer is over the limit.
func (f *FloodMeter) Over(now time.Time, peer identity.NodeID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.peers.at(now, peer).sum > f.limit
}

// Forgive resets the count of a peer whose ban was lifted.
func (f *FloodMeter) Forgive(peer identity.NodeID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.peers.find(peer); p != nil {
		p.clear()
		p.woken()
	}
}

// Judged notes that a message of the peer that was handed on was judged, and counted if
// no handler took it, or was dropped.
func (f *FloodMeter) Judged(peer identity.NodeID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.peers.find(peer)
	if p == nil || p.unjudged == 0 {
		return // the peer was silent for so long that it was forgotten
	}
	p.judged()
	if p.unjudged == 0 || p.sum+p.unjudged < f.limit {
		p.woken()
	}
}

// Unread counts n messages that were dropped instead of handed on.
func (f *FloodMeter) Unread(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unread += uint64(n)
}

// HoldBack counts a reader that waits because its peer is at the limit, until done is
// called.
func (f *FloodMeter) HoldBack() (done func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting++
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.waiting--
	})
}

// FloodStats describes a [FloodMeter].
type FloodStats struct {
	Limit  int
	Peers  int    // remembered peers
	Held   int    // readers that wait because their peer is at the limit
	Unread uint64 // messages that were dropped and not judged
}

// Stats returns the meter's numbers.
func (f *FloodMeter) Stats() FloodStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return FloodStats{Limit: f.limit, Peers: f.peers.of.Len(), Held: f.waiting, Unread: f.unread}
}
