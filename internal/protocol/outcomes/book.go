package outcomes

import (
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
)

// Book remembers the messages of one epoch of a sender, so that each is handled once and its copies get
// the outcome of the first one. Its owner bounds what all books have: see [Book.Size]. It is not safe for
// concurrent use.
type Book struct {
	store   Store
	settled uint64             // all numbers up to it are settled by the sender
	over    numbers            // settled by the sender, or handled
	dropped numbers            // settled by the sender, or dropped, and the sender is told
	lost    numbers            // settled by the sender, or it was told that nobody knows
	open    map[uint64]arrived // delivered, and neither handled nor dropped
}

// NewBook returns a book that knows nothing. No book of that epoch with another memory has had or will have its store.
func NewBook(s Store) *Book { return &Book{store: s} }

// Store names what this book remembers.
func (b *Book) Store() Store { return b.store }

// arrived is a message that was delivered.
type arrived struct {
	want    Want // what the sender waits for
	written bool // it is being written to the disk, or was
	kept    bool // the disk is synced
	done    bool // that it was handled is being written, or was
}

// Verdict is what becomes of a message that has arrived.
type Verdict uint8

const (
	// Deliver it: [Book.Kept], [Book.Handled] or [Book.Dropped] says what became of it.
	Deliver Verdict = iota + 1
	// Wait for the outcome of an earlier copy. Its body is dropped.
	Wait
	// Answer with the result. Its body is dropped.
	Answer
)

// Arrive judges a message. A copy that this book does not know is delivered if it was written to this one first.
func (b *Book) Arrive(m *Message) (Verdict, Result) {
	b.settle(m.Settled)
	if r := b.closed(m.Number); r != 0 {
		return Answer, r
	}
	if a, ok := b.open[m.Number]; ok {
		a.want = m.Want // it is not known of a book that was restored
		b.open[m.Number] = a
		if a.kept && m.Want == Kept {
			return Answer, IsKept
		}
		return Wait, 0
	}
	if m.Again && m.Want > Read && m.Store != b.store {
		b.lost.add(m.Number)
		return Answer, IsUnknown
	}
	if b.open == nil {
		b.open = make(map[uint64]arrived)
	}
	b.open[m.Number] = arrived{want: m.Want}
	return Deliver, 0
}

// closed returns what became of a message in the end; 0: it is open, or not known.
func (b *Book) closed(n uint64) Result {
	switch {
	case b.over.has(n):
		return IsHandled
	case b.dropped.has(n):
		return IsDropped
	case b.lost.has(n):
		return IsUnknown
	}
	return 0
}

// settle forgets the messages up to n: their sender waits no more.
func (b *Book) settle(n uint64) {
	if n <= b.settled {
		return
	}
	if n-b.settled > uint64(len(b.open)) {
		maps.DeleteFunc(b.open, func(k uint64, _ arrived) bool { return k <= n })
	} else {
		for k := b.settled + 1; k <= n; k++ {
			delete(b.open, k)
		}
	}
	b.settled = n
	b.over.settle(n)
	b.dropped.settle(n)
	b.lost.settle(n)
}

// Kept notes that a message is on the disk. It returns whether the sender is told.
func (b *Book) Kept(n uint64) (tell bool) {
	a, ok := b.open[n]
	if !ok || a.kept {
		return false
	}
	a.written, a.kept = true, true
	b.open[n] = a
	return a.want == Kept
}

// Handled notes that a message was handled. It returns whether the sender is told.
func (b *Book) Handled(n uint64) (tell bool) {
	a, ok := b.open[n]
	if !ok {
		return false
	}
	delete(b.open, n)
	b.over.add(n)
	return a.want == Handled || a.want == Kept && !a.kept
}

// Dropped notes that a message was not handled and will not be. It returns whether the sender is told. A
// copy gets the same answer: it may have crossed the first one. If nobody is told, a copy is delivered.
func (b *Book) Dropped(n uint64) (tell bool) {
	a, ok := b.open[n]
	if !ok {
		return false
	}
	delete(b.open, n)
	if a.want == Read {
		return false
	}
	b.dropped.add(n)
	return true
}

// Refuse notes that a message was not taken. A copy may be.
func (b *Book) Refuse(n uint64) { delete(b.open, n) }

// Lose notes that nobody knows what became of a message. It returns whether the sender is told.
func (b *Book) Lose(n uint64) (tell bool) {
	a, ok := b.open[n]
	if !ok {
		return false
	}
	delete(b.open, n)
	b.lost.add(n)
	return a.want > Read
}

// Asked returns what became of a message that the sender asks for. It is 0 while that is open. What never
// came was dropped: all that is asked for was read before, by whoever has this book.
func (b *Book) Asked(n uint64) Result {
	a, ok := b.open[n]
	switch r := b.closed(n); {
	case r != 0:
		return r
	case !ok:
		return IsDropped
	case a.kept && a.want == Kept:
		return IsKept
	}
	return 0
}

// Len returns how many messages of the epoch are open.
func (b *Book) Len() int { return len(b.open) }

// Idle reports whether no message of the epoch is open.
func (b *Book) Idle() bool { return len(b.open) == 0 }

// Waits reports whether the sender waits for the disk: the message is to be kept, and is not.
func (b *Book) Waits(n uint64) bool {
	a, ok := b.open[n]
	return ok && a.want == Kept && !a.kept
}

// State notes that these messages are being written as kept, as handled and as dropped, and returns what the same write
// is to have of the book, about 20 KB at most. That includes all that was noted before.
func (b *Book) State(kept, handled, dropped []uint64) []byte {
	b.note(kept, func(a *arrived) { a.written = true })
	b.note(handled, func(a *arrived) { a.done = true })
	b.note(dropped, func(a *arrived) { a.written = false })
	over, open := b.over.clone(), numbers{upto: b.settled}
	for n, a := range b.open {
		switch {
		case a.done:
			over.add(n)
		case a.written:
			open.add(n)
		}
	}
	state := binary.BigEndian.AppendUint64(nil, uint64(b.store))
	state = binary.AppendUvarint(state, b.settled)
	return open.append(over.append(state))
}

func (b *Book) note(all []uint64, as func(*arrived)) {
	for _, n := range all {
		if a, ok := b.open[n]; ok {
			as(&a)
			b.open[n] = a
		}
	}
}

// Restore returns the book of a state. What it has as kept is that once [Book.Kept] says so: it may be damaged.
func Restore(state []byte) (*Book, error) {
	d := decoder{b: state}
	b := NewBook(Store(d.fixed()))
	b.settle(d.uvarint())
	over, open := d.numbers(), d.numbers()
	d.end()
	for _, s := range []numbers{over, open} {
		if s.upto < b.settled || s.upto-b.settled > Window {
			d.fail(fmt.Errorf("%w: a state", ErrUndecodable))
		}
	}
	if d.err != nil {
		return nil, d.err
	}
	b.over = over
	b.open = make(map[uint64]arrived)
	for n := b.settled + 1; n <= open.upto; n++ {
		b.open[n] = arrived{written: true}
	}
	for n := range open.all() {
		b.open[n] = arrived{written: true}
	}
	return b, nil
}

// OnDisk yields the messages that were written and are open.
func (b *Book) OnDisk() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for n, a := range b.open {
			if a.written && !yield(n) {
				return
			}
		}
	}
}

// Shrink leaves what is delivered and not on the disk, so that it may still be told.
func (b *Book) Shrink() {
	b.over, b.dropped, b.lost = numbers{upto: b.settled}, numbers{upto: b.settled}, numbers{upto: b.settled}
	maps.DeleteFunc(b.open, func(_ uint64, a arrived) bool { return a.written })
}

// Size is how many bytes the book has, about. It is greatest for a sender that settles nothing.
func (b *Book) Size() int {
	return 256 + b.over.size() + b.dropped.size() + b.lost.size() + 48*len(b.open)
}
