package supervisor

import "time"

// budget counts the restarts of one child. It is pure: the caller brings the
// clock and the chance.
type budget struct {
	at []time.Time // of the restarts within the window, oldest first
}

// charge asks for one more restart at now. It returns how long the restart has
// to wait, or false when the budget is spent; a refusal charges nothing.
// chance, in [0, 1), is the jitter: a wait is 50 to 100 % of its nominal size.
func (b *budget) charge(p Policy, now time.Time, chance float64) (wait time.Duration, ok bool) {
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
	return wait/2 + time.Duration(chance*float64(wait/2)), true
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
