package gateway

import (
	"maps"
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Bounds of waits: a peer cannot make this node leave it alone for longer than a penalty
// lasts, and further peers are asked all the same.
const (
	longestWait = 10 * time.Minute
	maxWaits    = 1024
)

// waits remembers the peers that have said when they answer again.
//
// spec: kad B10.1
type waits map[overlay.Address]time.Time

// note takes in that a peer answers again after a time.
func (w waits) note(at overlay.Address, after time.Duration, now time.Time) {
	if after <= 0 {
		return
	}
	if len(w) >= maxWaits {
		maps.DeleteFunc(w, func(_ overlay.Address, until time.Time) bool { return !until.After(now) })
	}
	if _, known := w[at]; known || len(w) < maxWaits {
		w[at] = now.Add(min(after, longestWait))
	}
}

// left returns how long a peer is left alone; 0: it may be asked.
func (w waits) left(at overlay.Address, now time.Time) time.Duration {
	until, ok := w[at]
	if !ok {
		return 0
	}
	if left := until.Sub(now); left > 0 {
		return left
	}
	delete(w, at)
	return 0
}
