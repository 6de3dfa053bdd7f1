package supervisor

import "sync"

// fifo is a queue of messages in a list of chunks. The chunks come from a pool
// and go back when they are empty, so an empty queue holds no memory, and a
// burst neither copies nor allocates.
type fifo struct {
	first, last *chunk
	head        uint16 // of the first message in first
	tail        uint16 // behind the last message in last
	n           int32
}

// chunkLen makes a chunk just fit 1 KiB.
const chunkLen = 63

type chunk struct {
	slots [chunkLen]any
	next  *chunk
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

func (q *fifo) push(m any) {
	switch {
	case q.last == nil:
		q.first = chunks.Get().(*chunk)
		q.last = q.first
		q.head, q.tail = 0, 0
	case q.tail == chunkLen:
		q.last.next = chunks.Get().(*chunk)
		q.last = q.last.next
		q.tail = 0
	}
	q.last.slots[q.tail] = m
	q.tail++
	q.n++
}

// pushFront puts m before all others.
func (q *fifo) pushFront(m any) {
	switch {
	case q.first == nil:
		q.first = chunks.Get().(*chunk)
		q.last = q.first
		q.head, q.tail = chunkLen, chunkLen
	case q.head == 0:
		c := chunks.Get().(*chunk)
		c.next = q.first
		q.first = c
		q.head = chunkLen
	}
	q.head--
	q.first.slots[q.head] = m
	q.n++
}

// popInto moves up to len(dst) messages into dst and returns their number.
func (q *fifo) popInto(dst []any) int {
	k := min(int(q.n), len(dst))
	for moved := 0; moved < k; {
		from := q.first.slots[q.head:min(int(q.head)+k-moved, chunkLen)]
		moved += copy(dst[moved:], from)
		clear(from)
		q.took(len(from))
	}
	return k
}

func (q *fifo) pop() (m any, ok bool) {
	if q.n == 0 {
		return nil, false
	}
	m = q.first.slots[q.head]
	q.first.slots[q.head] = nil
	q.took(1)
	return m, true
}

// took removes k messages from the first chunk.
func (q *fifo) took(k int) {
	q.n -= int32(k)
	q.head += uint16(k)
	if q.n > 0 && q.head < chunkLen {
		return
	}
	c := q.first
	q.first, q.head = c.next, 0
	if q.n == 0 {
		*q = fifo{}
	}
	c.next = nil
	chunks.Put(c)
}

// release empties the queue.
func (q *fifo) release() { *q = fifo{} }
