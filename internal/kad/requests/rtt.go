package requests

import (
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Path says what is known of the way to a contact apart from its round-trip time.
type Path struct {
	Dial  bool // there is no connection yet
	Tor   bool // the way leads through Tor
	Seed  bool // the contact is of the seed overlay
	Young bool // a contact of the seed overlay that was met less than [YoungFor] ago
	// Datagram says that what is sent may be lost without a word.
	Datagram bool
}

// Resend reports whether a request that has no answer yet is sent again ([Ask.Resend]): not
// to somebody whose answers are late rather than lost.
//
// spec: kad B6.3
func (p Path) Resend(v overlay.Verb) bool {
	return p.Datagram && !(p.Seed && p.Young) && v != overlay.Store
}

// YoungFor is how long a contact of the seed overlay is young: it queues its answers behind
// its own requests then, and may answer seconds late.
//
// spec: kad A9.7, B6.2
const YoungFor = time.Minute

// Timeouts returns the time after which a request is slow, and the time after which it is
// lost.
//
// spec: kad B6.1, B6.2
func Timeouts(r overlay.RTT, p Path) (soft, hard time.Duration) {
	switch {
	case p.Seed && p.Young:
		return 500 * time.Millisecond, 10 * time.Second
	case p.Tor:
		return 2 * time.Second, 10 * time.Second
	case p.Seed:
		return 500 * time.Millisecond, 3 * time.Second
	case p.Dial:
		return 500 * time.Millisecond, 5 * time.Second
	case r.Smoothed == 0:
		return 200 * time.Millisecond, time.Second
	}
	soft = min(max(r.Smoothed+2*r.Variation, 50*time.Millisecond), 500*time.Millisecond)
	hard = min(max(r.Smoothed+6*r.Variation, 500*time.Millisecond), 3*time.Second)
	return soft, hard
}
