package receive

import (
	"context"
	"slices"
	"sync"
)

// Backlog holds plain messages, with their credit, that wait for the function or for a loop. The
// credit bounds it. It outlives restarts of the actor that fills it. The zero value works.
type Backlog struct {
	mu      sync.Mutex
	list    []Message     // oldest first
	changed chan struct{} // closed at the next change; nil while nobody waits for one
	final   bool          // no more messages come
	readers []*reader     // calls of Each that go on
	in, out uint64        // how many messages were put, and how many of them each has handled
	mark    uint64        // see after
	marked  func()        // see after; nil: nobody waits
}

// put adds a message. After finish and discard its credit goes back at once.
func (b *Backlog) put(m Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.final {
		m.refuse()
		return
	}
	b.list = append(b.list, m)
	b.in++
	b.change()
}

// next returns the oldest message, for which it waits. It returns false when ctx ends, or
// when there are no more messages.
func (b *Backlog) next(ctx context.Context) (Message, bool) {
	for ctx.Err() == nil {
		m, ok, changed := b.take()
		if ok || changed == nil {
			return m, ok
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return Message{}, false
}

// take returns the oldest message, or else a channel that is closed at the next change.
// The channel is nil if no more messages come.
func (b *Backlog) take() (m Message, ok bool, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case len(b.list) > 0:
		m, b.list[0] = b.list[0], Message{}
		if b.list = b.list[1:]; len(b.list) == 0 {
			b.list = nil
		}
		return m, true, nil
	case b.final:
		return m, false, nil
	case b.changed == nil:
		b.changed = make(chan struct{})
	}
	return m, false, b.changed
}

// reader is a call of Each.
type reader struct{ ctx context.Context }

// finish says that no more messages come: next returns those that wait, and then false. Those that wait
// count as lost if nobody reads: a later loop gets them all the same.
func (b *Backlog) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.final = true
	b.change()
	if slices.ContainsFunc(b.readers, func(r *reader) bool { return r.ctx.Err() == nil }) {
		return
	}
	for _, m := range b.list {
		m.refuse()
	}
}

// read adds a reader until the function that it returns is called.
func (b *Backlog) read(ctx context.Context) (left func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &reader{ctx}
	b.readers = append(b.readers, r)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.readers = slices.DeleteFunc(b.readers, func(x *reader) bool { return x == r })
	}
}

// after has f called once, when each has handled all messages that were put before. The call
// may be at once.
func (b *Backlog) after(f func()) {
	b.mu.Lock()
	b.mark, b.marked = b.in, f
	b.mu.Unlock()
	b.handled(0)
}

// handled counts n more messages that each has handled.
func (b *Backlog) handled(n uint64) {
	b.mu.Lock()
	b.out += n
	f := b.marked
	if f == nil || b.out < b.mark {
		b.mu.Unlock()
		return
	}
	b.marked = nil
	b.mu.Unlock()
	f()
}

// discard gives back the credit of the messages that wait, and finishes the backlog.
func (b *Backlog) discard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.list {
		m.refuse()
	}
	b.list, b.final = nil, true
	b.change()
}

// change wakes all that wait; the caller holds mu.
func (b *Backlog) change() {
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

func (b *Backlog) over() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.final
}

func (b *Backlog) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.list)
}

// Each calls f with one message after the other until ctx ends, no more messages come, or
// f returns false for goOn. The credit of a message goes back when f has returned or panicked.
func (b *Backlog) Each(ctx context.Context, f func(Message) (handled, goOn bool)) {
	one := func() bool {
		m, ok := b.next(ctx)
		if !ok {
			return false
		}
		handled := false // if f panics
		defer b.handled(1)
		defer func() { m.release(handled) }()
		var goOn bool
		handled, goOn = f(m)
		return goOn
	}
	defer b.read(ctx)()
	for one() {
	}
}
