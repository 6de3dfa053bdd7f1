package memory

import (
	"sync"
	"time"
)

// chunkSize is the size of the buffers of a queue, and of the pieces to which bandwidth
// and jitter apply.
const chunkSize = 4 << 10

type chunk [chunkSize]byte

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// piece is a part of the written bytes, with its time of arrival.
type piece struct {
	buf        *chunk
	start, end int // buf[start:end] was not read yet
	at         time.Time
	held       bool
}

func (p *piece) len() int { return p.end - p.start }

// ready reports whether the piece has arrived.
func (p *piece) ready() bool { return !p.held && arrived(p.at) }

// queue holds the bytes that were written and not read yet, in order. An empty queue
// holds no buffer.
type queue struct {
	pieces []piece
	first  int
	size   int // bytes
}

func (q *queue) empty() bool { return q.first == len(q.pieces) }

// put appends b, which fits a chunk.
func (q *queue) put(b []byte, at time.Time, held bool) {
	q.size += len(b)
	if !q.empty() {
		last := &q.pieces[len(q.pieces)-1]
		if last.at.Equal(at) && last.held == held {
			n := copy(last.buf[last.end:], b)
			last.end += n
			b = b[n:]
		}
	}
	if len(b) == 0 {
		return
	}
	if q.first > 0 && len(q.pieces) == cap(q.pieces) {
		n := copy(q.pieces, q.pieces[q.first:])
		clear(q.pieces[n:])
		q.pieces, q.first = q.pieces[:n], 0
	}
	c := chunks.Get().(*chunk)
	q.pieces = append(q.pieces, piece{buf: c, end: copy(c[:], b), at: at, held: held})
}

// take moves bytes that have arrived to b. If there are none, at is the time at which
// the first will arrive, or zero if that is not known.
func (q *queue) take(b []byte) (n int, at time.Time) {
	for n < len(b) && !q.empty() {
		p := &q.pieces[q.first]
		if !p.ready() {
			if n == 0 && !p.held {
				at = p.at
			}
			return n, at
		}
		k := copy(b[n:], p.buf[p.start:p.end])
		n += k
		p.start += k
		q.size -= k
		if p.len() == 0 {
			chunks.Put(p.buf)
			*p = piece{}
			q.first++
		}
	}
	if q.empty() {
		q.pieces, q.first = q.pieces[:0], 0
	}
	return n, time.Time{}
}

// arrived reports whether there are bytes to read.
func (q *queue) arrived() bool { return !q.empty() && q.pieces[q.first].ready() }

// keepArrived drops all bytes that have not arrived.
func (q *queue) keepArrived() {
	for i := q.first; i < len(q.pieces); i++ {
		if !q.pieces[i].ready() {
			q.cutAt(i)
			return
		}
	}
}

// drop drops everything.
func (q *queue) drop() { q.cutAt(q.first) }

func (q *queue) cutAt(i int) {
	for j := i; j < len(q.pieces); j++ {
		q.size -= q.pieces[j].len()
		chunks.Put(q.pieces[j].buf)
		q.pieces[j] = piece{}
	}
	q.pieces = q.pieces[:i]
}

// hold stops all pieces that have not arrived.
func (q *queue) hold() {
	for i := q.first; i < len(q.pieces); i++ {
		if p := &q.pieces[i]; !p.ready() {
			p.held = true
		}
	}
}

// letGo sets the time of arrival of all held pieces.
func (q *queue) letGo(at time.Time) {
	for i := q.first; i < len(q.pieces); i++ {
		if p := &q.pieces[i]; p.held {
			p.held, p.at = false, at
		}
	}
}
