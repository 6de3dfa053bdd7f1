package lab

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// ordered returns the steps in the order of time, with the hops of the Join. A member's
// first copy counts, so that hops grow along the way of the Join.
func ordered(steps []Step, newcomer int) []Step {
	slices.SortStableFunc(steps, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	hops := map[int]int{newcomer: 0}
	for i := range steps {
		s := &steps[i]
		if s.Action != Told && s.Action != ToldAgain {
			continue
		}
		s.Hops = hops[s.From] + 1
		if _, known := hops[s.To]; known {
			s.Action = ToldAgain
		} else {
			hops[s.To] = s.Hops
		}
	}
	return steps
}

// reach returns how many members heard the newcomer's Join, over how many hops, and how
// many copies arrived at members that had heard it.
func reach(steps []Step) (members, hops, copies int) {
	for _, s := range steps {
		switch s.Action {
		case Told:
			members++
			hops = max(hops, s.Hops)
		case ToldAgain:
			copies++
		}
	}
	return members, hops, copies
}

// sentence says what happened in a step.
func (l *Lab) sentence(s Step) string {
	from, to := l.Members[s.From].Name, l.Members[s.To].Name
	switch s.Action {
	case Connected:
		return fmt.Sprintf("%s connects to %s", from, to)
	case Disconnected:
		return fmt.Sprintf("the connection of %s and %s ends", from, to)
	case Learned:
		return fmt.Sprintf("%s learns of %s", from, plural(s.Count, "peer", "peers"))
	case ToldAgain:
		return fmt.Sprintf("%s sends the Join to %s, which has it", from, to)
	}
	return fmt.Sprintf("%s sends the Join to %s (%s)", from, to, plural(s.Hops, "hop", "hops"))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond))
}
