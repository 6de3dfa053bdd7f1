package inboxpart

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/backoff"
)

const (
	// maxTries is the greatest number of attempts that is counted.
	maxTries = 255
	// suspectAfter is how many attempts make a message a suspect that is there at the start: it may have ended the process.
	// A suspect is handed out when its listener has nothing else but what is overdue, and one at a time, so that innocent
	// messages are not counted with it.
	suspectAfter = 3
	// A message that was declined rests, for restFirst after the first attempt, and twice as long after each other one.
	restFirst = time.Second
	restMost  = 5 * time.Minute
)

// Tries is how often a message was handed out, at most 255 times.
type Tries struct {
	N int
	// Own says that it was declined, or handed out alone. Without that, others may have been the reason of the attempts, and it does
	// not go to the shelf before it was handed out alone.
	Own bool
}

// record is what the disk has.
func (t Tries) record() []byte {
	if t.Own {
		return []byte{byte(t.N), 1}
	}
	return []byte{byte(t.N)}
}

// Tried says how often a message was handed out before. It is called after [Box.Load].
func (b *Box) Tried(seq uint64, t Tries) {
	i, ok := b.find(seq)
	if !ok {
		return
	}
	e := &b.list[i]
	e.tries, e.own = uint8(min(t.N, maxTries)), t.Own
	e.tried = t.N >= suspectAfter
	if e.state == kept {
		b.settle(i)
	}
}

// Tries returns how often a message was handed out, with the time that it is in hand.
func (b *Box) Tries(seq uint64) Tries {
	if i, ok := b.find(seq); ok {
		return b.list[i].attempts()
	}
	return Tries{}
}

func (e *entry) attempts() Tries { return Tries{int(e.tries), e.own} }

// spent reports whether a message was handed out as often as it may be.
func (b *Box) spent(e *entry) bool { return b.limits.Attempts > 0 && int(e.tries) >= b.limits.Attempts }

// settle has a message that is in nobody's hand be handed out, or puts it on the shelf.
func (b *Box) settle(i int) {
	e := &b.list[i]
	if b.spent(e) && e.own {
		e.state = dead
		b.shelf.add(e.size)
		b.shelfOf[e.topic]++
		return
	}
	e.tried = e.tried || b.spent(e)
	b.isFree(i)
}

// unshelve no longer counts a message that may be on the shelf.
func (b *Box) unshelve(i int) {
	if e := &b.list[i]; e.state == dead {
		b.shelf.remove(e.size)
		if b.shelfOf[e.topic]--; b.shelfOf[e.topic] == 0 {
			delete(b.shelfOf, e.topic)
		}
	}
}

// Decline takes a message out of a listener's hand, unless another one has taken it meanwhile. It rests, and then anybody gets it.
func (b *Box) Decline(now time.Time, listener, seq uint64) {
	if h, ok := b.hands[seq]; !ok || h.listener != listener {
		return
	}
	b.drop(seq)
	i, ok := b.find(seq)
	if !ok || b.list[i].state != inHand {
		return
	}
	e := &b.list[i]
	if e.own = true; b.spent(e) {
		b.settle(i)
		return
	}
	e.state = resting
	due := now.Add(backoff.Doubled(int(e.tries), restFirst, restMost))
	at, _ := slices.BinarySearchFunc(b.rests, due, func(h handed, t time.Time) int { return cmp.Or(h.due.Compare(t), -1) })
	b.rests = slices.Insert(b.rests, at, handed{seq, due})
}

// wake has messages be handed out that have rested.
func (b *Box) wake(now time.Time) {
	n := 0
	for ; n < len(b.rests) && !b.rests[n].due.After(now); n++ {
		if i, ok := b.find(b.rests[n].seq); ok && b.list[i].state == resting {
			b.settle(i)
		}
	}
	if b.rests = b.rests[n:]; len(b.rests) == 0 {
		b.rests = nil
	}
}

// Untouched says that a listener was handed these messages and has not begun with them: that was no attempt, and they are free. Those that
// another listener has taken meanwhile stay in its hand.
func (b *Box) Untouched(listener uint64, seqs []uint64) {
	for _, seq := range seqs {
		if i, ok := b.find(seq); ok && b.hands[seq].listener == listener && b.list[i].state == inHand && b.list[i].tries > 0 {
			b.list[i].tries--
			b.free(seq)
		}
	}
}

// Counts yields the messages that are not acknowledged and how often they were handed out.
func (b *Box) Counts() iter.Seq2[uint64, Tries] {
	return func(yield func(uint64, Tries) bool) {
		for _, e := range b.list {
			if e.state != gone && e.state != read && !yield(e.seq, e.attempts()) {
				return
			}
		}
	}
}

// Shelf returns the messages on the shelf, in order.
func (b *Box) Shelf() (seqs []uint64) {
	if b.shelf.messages == 0 {
		return nil
	}
	for i := range b.list {
		if b.list[i].state == dead {
			seqs = append(seqs, b.list[i].seq)
		}
	}
	return seqs
}

// Retry takes messages off the shelf, as if they had never been handed out. It returns which of them were there; without
// seqs it takes all.
func (b *Box) Retry(seqs []uint64) []uint64 {
	seqs = b.shelved(seqs)
	for _, seq := range seqs {
		i, _ := b.find(seq)
		b.unshelve(i)
		e := &b.list[i]
		e.tries, e.tried, e.own = 0, false, false
		b.settle(i)
	}
	return seqs
}

// shelved returns those of the messages that are on the shelf; without any, all that are.
func (b *Box) shelved(seqs []uint64) []uint64 {
	if len(seqs) == 0 {
		return b.Shelf()
	}
	return slices.DeleteFunc(slices.Clone(seqs), func(seq uint64) bool {
		i, ok := b.find(seq)
		return !ok || b.list[i].state != dead
	})
}
