package messaging

// Held returns for how many messages an outbox holds memory.
func (o *Outbox[T]) Held() int { return max(cap(o.q.slots), cap(o.batch), cap(o.settled)) }

// Garbage returns how many messages an outbox keeps alive that it does not need.
func (o *Outbox[T]) Garbage() (n int) {
	count := func(e *Entry[T]) {
		if e.Body != nil {
			n++
		}
	}
	all := o.q.slots[:cap(o.q.slots)]
	for i := range all {
		if s := &all[i]; i < o.q.head || i >= len(o.q.slots) || s.settled {
			count(&s.Entry)
		}
	}
	if o.q.writing == 0 {
		for _, e := range o.batch[:cap(o.batch)] {
			count(&e)
		}
	}
	return n
}

// PieceSize is for the tests of WriteFrames.
const PieceSize = pieceSize
