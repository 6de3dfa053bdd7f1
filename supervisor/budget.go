package supervisor

import "time"

// budget counts the restarts of one child. It is pure: the caller passes the
// time and a random number.
type budget struct {
	at []time.Time // of the restarts within the window, oldest first
}

// charge counts one more restart at now. It returns how long the restart has
// to wait, or false when the budget is spent; then it counts nothing.
// random, in [0, 1), sets the jitter: a wait is 50 to 100 % of its nominal size.
func (b *budget) charge(p Policy, now time.Time, random float64) (wait time.Duration, ok bool) {
	n := b.inWindow(p, now)
	if n >= p.Max {
		return 0, false
	}
	b.at = append(b.at[len(b.at)-n:len(b.at):len(b.at)], now)
	if n == 0 {
		return 0, true
	}
	wait = p.Initial
	for range n - 1 {
		if wait >= p.Ceiling {
			break
		}
		wait *= 2
	}
	wait = min(wait, p.Ceiling)
	return wait/2 + time.Duration(random*float64(wait/2)), true
}

// inWindow returns how many restarts the window that ends at now holds.
func (b *budget) inWindow(p Policy, now time.Time) int {
	for i, t := range b.at {
		if now.Sub(t) < p.Within {
			return len(b.at) - i
		}
	}
	return 0
}
