package upkeep

import (
	"math"
	"time"
)

const (
	lifeSlots  = 24
	lifeSlot   = 5 * time.Minute // all slots: two hours
	lifeLosses = 5               // below so many the half-life is unknown
)

// halfLife estimates how long half of the contacts live, from those of the last two hours.
//
// spec: kad B9.4
type halfLife struct {
	slots [lifeSlots]struct {
		lived  time.Duration // of all contacts together
		losses int
	}
	at    int       // the slot of now
	until time.Time // its end
	last  time.Time // of advance
}

func (h *halfLife) begin(now time.Time) { h.last, h.until = now, now.Add(lifeSlot) }

// advance counts the time that the contacts have lived since the last call.
func (h *halfLife) advance(now time.Time, live int) {
	if h.last.IsZero() {
		return
	}
	for i := 0; !h.until.After(now); i++ {
		if i > lifeSlots { // a long sleep: nothing is known of it
			h.last, h.until = now, now.Add(lifeSlot)
			break
		}
		h.slots[h.at].lived += time.Duration(live) * h.until.Sub(h.last)
		h.at = (h.at + 1) % lifeSlots
		h.slots[h.at].lived, h.slots[h.at].losses = 0, 0
		h.last, h.until = h.until, h.until.Add(lifeSlot)
	}
	if now.After(h.last) {
		h.slots[h.at].lived += time.Duration(live) * now.Sub(h.last)
		h.last = now
	}
}

func (h *halfLife) lost() {
	if !h.last.IsZero() {
		h.slots[h.at].losses++
	}
}

// value returns the half-life, and 0 while it is unknown.
func (h *halfLife) value() time.Duration {
	var lived time.Duration
	losses := 0
	for _, s := range h.slots {
		lived += s.lived
		losses += s.losses
	}
	if losses < lifeLosses {
		return 0
	}
	return time.Duration(math.Ln2 * float64(lived) / float64(losses))
}
