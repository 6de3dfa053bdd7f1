package supervisor

import (
	"io"
	"sync/atomic"
)

// Handover carries a value with one owner through mailboxes: exactly one Take
// succeeds; Discard closes the value unless it was taken. A nil Handover is
// empty. A Handover may be copied; all copies share the value.
type Handover[T io.Closer] struct{ *box[T] }

// Hand returns a Handover of v. Its Source method returns source: nil when no
// outsider chose the content of v.
func Hand[T io.Closer](v T, source Source) *Handover[T] {
	return &Handover[T]{&box[T]{value: v, from: source}}
}

// Take returns the value with its ownership. Only the first call succeeds.
func (h *Handover[T]) Take() (v T, ok bool) { return h.get().take() }

// Taken reports whether the value was taken or discarded.
func (h *Handover[T]) Taken() bool {
	b := h.get()
	return b == nil || b.empty.Load()
}

// Discard closes the value unless it was taken.
func (h *Handover[T]) Discard() { h.get().discard() }

// Close calls Discard, so that a Handover can be given to Own.
func (h *Handover[T]) Close() error { h.Discard(); return nil }

// Source returns the source that was given to Hand.
func (h *Handover[T]) Source() Source { return h.get().source() }

// IgnoreDeadLetterLogging keeps protoactor from printing the value while another
// goroutine may take it.
func (h *Handover[T]) IgnoreDeadLetterLogging() {}

func (h *Handover[T]) get() *box[T] {
	if h == nil {
		return nil
	}
	return h.box
}

type box[T io.Closer] struct {
	empty atomic.Bool
	value T
	from  Source
}

func (b *box[T]) take() (v T, ok bool) {
	if b == nil || !b.empty.CompareAndSwap(false, true) {
		return v, false
	}
	var none T
	v, b.value = b.value, none
	return v, true
}

func (b *box[T]) discard() {
	if v, ok := b.take(); ok {
		closeSafely(v)
	}
}

func (b *box[T]) source() Source {
	if b == nil {
		return nil
	}
	return b.from
}
