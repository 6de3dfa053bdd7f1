package inboxpart

import (
	"math"
	"time"
)

// A message is overdue when its listener has had it for longer than [HandTimeout]. It stays in that hand until another listener
// of its topic takes it: while there is none, nobody else would ever handle it.

// Expire notes which messages are overdue. It frees those whose listener has ended, and those that have rested.
// After that, Due is later than now.
func (b *Box) Expire(now time.Time) {
	b.wake(now)
	for {
		b.tidy()
		if len(b.handed) == 0 || b.handed[0].due.After(now) {
			return
		}
		seq := b.handed[0].seq
		b.handed = b.handed[1:]
		id := b.hands[seq].listener
		l := b.listeners[id]
		if l == nil {
			b.free(seq)
			continue
		}
		if b.suspect == seq { // it does not end the process
			b.suspect = 0
		}
		lane := b.lanes[l.topic]
		if lane.overdue == nil {
			lane.overdue = make(map[uint64]uint64)
		}
		if _, already := lane.overdue[seq]; !already { // its time may stand in handed twice
			l.overdue++
		}
		lane.overdue[seq] = id
	}
}

// inTime says that a message is not overdue, or no longer. It returns false if it was not.
func (b *Box) inTime(seq, listener uint64) bool {
	l := b.listeners[listener]
	if l == nil {
		return false
	}
	lane := b.lanes[l.topic]
	_, was := lane.overdue[seq]
	if was {
		delete(lane.overdue, seq)
		l.overdue--
	}
	return was
}

// firstOverdue returns the index of the first message that others have and that a listener of the lane may take; false: there is none.
func (b *Box) firstOverdue(l *lane, listener uint64) (first int, ok bool) {
	if l.listeners == 1 {
		return len(b.list), false
	}
	least := uint64(math.MaxUint64)
	for seq, had := range l.overdue {
		if had != listener {
			least = min(least, seq)
		}
	}
	first, ok = b.find(least)
	return first, ok
}

// mayTake reports whether a listener of the lane may take a message out of another one's hand.
func (l *lane) mayTake(seq, listener uint64) bool {
	had, overdue := l.overdue[seq]
	return overdue && had != listener
}
