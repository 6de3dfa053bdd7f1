package messaging

// queue holds the messages of one outbox in the order in which they were queued. It
// has three sections: written and not proven, being written, waiting.
type queue[T any] struct {
	slots   []slot[T] // zero slots before head
	head    int
	written int
	writing int
}

type slot[T any] struct {
	Entry[T]
	settled bool // already settled; leaves the queue with its section
	sent    bool // written on a substream that is lost
}

func (q *queue[T]) len() int          { return len(q.slots) - q.head }
func (q *queue[T]) waiting() int      { return q.len() - q.written - q.writing }
func (q *queue[T]) at(i int) *slot[T] { return &q.slots[q.head+i] }

func (q *queue[T]) push(e Entry[T]) {
	if len(q.slots) == cap(q.slots) && q.head > len(q.slots)/2 {
		n := copy(q.slots, q.slots[q.head:])
		clear(q.slots[n:])
		q.slots, q.head = q.slots[:n], 0
	}
	q.slots = append(q.slots, slot[T]{Entry: e})
}

// pop removes the oldest message, which must be a written one.
func (q *queue[T]) pop() {
	*q.at(0) = slot[T]{}
	q.head++
	q.written--
	q.rewind()
}

// remove removes a waiting message. It moves the messages on the shorter side.
func (q *queue[T]) remove(i int) {
	if i < q.len()/2 {
		copy(q.slots[q.head+1:], q.slots[q.head:q.head+i])
		q.slots[q.head] = slot[T]{}
		q.head++
	} else {
		last := len(q.slots) - 1
		copy(q.slots[q.head+i:], q.slots[q.head+i+1:])
		q.slots[last] = slot[T]{}
		q.slots = q.slots[:last]
	}
	q.rewind()
}

// keep removes every message for which f returns false, in order. All others become
// waiting ones.
func (q *queue[T]) keep(f func(s *slot[T], written bool) bool) {
	n := 0
	for i := range q.len() {
		if s := q.at(i); f(s, i < q.written) {
			*q.at(n) = *s
			n++
		}
	}
	clear(q.slots[q.head+n:])
	q.slots, q.written, q.writing = q.slots[:q.head+n], 0, 0
	q.rewind()
}

func (q *queue[T]) rewind() {
	if q.head == len(q.slots) {
		q.slots, q.head = q.slots[:0], 0
	}
}

// shrink moves the messages to a slice of the exact size.
func (q *queue[T]) shrink() {
	q.slots, q.head = append([]slot[T](nil), q.slots[q.head:]...), 0
}
