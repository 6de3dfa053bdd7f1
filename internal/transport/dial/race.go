package dial

import "time"

const (
	// Stagger is how long after an attempt at one address the attempt at the next one begins
	// beside it (spec: V34).
	Stagger = 2 * time.Second
	// MaxBeside is how many attempts at addresses of one peer run side by side.
	MaxBeside = 5
)

// Race says when the addresses of one peer are tried. It is not safe for concurrent use.
type Race struct {
	total   int
	next    int       // address that comes next
	running int       // attempts under way
	began   time.Time // the last one
	failed  bool      // the last one has ended
	settled bool      // an attempt has told enough about the peer: no further one begins
}

// NewRace returns the race of that many addresses, best first.
func NewRace(addresses int) *Race { return &Race{total: addresses, failed: true} }

// Next returns an address whose attempt begins now. Its end is reported by Ended.
func (r *Race) Next(now time.Time) (address int, ok bool) {
	if !r.more() || !r.failed && now.Sub(r.began) < Stagger {
		return 0, false
	}
	address = r.next
	r.next++
	r.running++
	r.began, r.failed = now, false
	return address, true
}

// Ended reports that the attempt at an address has ended without a connection. settled says
// that it was the peer that failed, and not the address.
func (r *Race) Ended(address int, settled bool) {
	r.running--
	r.failed = r.failed || address == r.next-1
	r.settled = r.settled || settled
}

// Wake returns when Next may have another address; zero means not before an attempt ends.
func (r *Race) Wake() time.Time {
	if !r.more() {
		return time.Time{}
	}
	return r.began.Add(Stagger)
}

// Over reports whether no attempt is under way and none will begin.
func (r *Race) Over() bool { return r.Idle() && (r.settled || r.next == r.total) }

// Idle reports whether no attempt is under way.
func (r *Race) Idle() bool { return r.running == 0 }

func (r *Race) more() bool { return !r.settled && r.next < r.total && r.running < MaxBeside }
