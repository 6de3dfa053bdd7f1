package daemon

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
)

const (
	// queueBytes bounds the text that waits for the reader of standard error. One text may
	// begin below the bound and end above it.
	queueBytes = 1 << 20
	// queueStands is the time after which a write that has not returned is a trouble.
	queueStands = 5 * time.Second
	// queueTold is how long after the last dropped text the node warns of it.
	queueTold = 10 * time.Minute
)

// Queue is a writer that never waits. It hands its texts on, one for each Write, to another
// writer on a goroutine of its own. While that one stands still, a bounded number of texts
// waits. Further ones are dropped and counted, and so are those that cannot be written. Its
// methods may be called from any goroutine.
type Queue struct {
	to  io.Writer
	now func() time.Time

	mu      sync.Mutex
	dropped func(n uint64, last error) // nil: dropped texts are not said
	waiting [][]byte
	bytes   int
	began   time.Time // of the write under way; zero: there is none
	unsaid  uint64    // dropped since dropped was called
	all     uint64
	last    time.Time // when a text was dropped
	err     error     // of the last write
	idle    chan struct{}
	wake    chan struct{}
}

// NewQueue returns a queue for w. Its goroutine lasts as long as the process.
func NewQueue(w io.Writer) *Queue {
	q := &Queue{to: w, now: time.Now, idle: make(chan struct{}), wake: make(chan struct{}, 1)}
	close(q.idle)
	go q.run()
	return q
}

// Write takes a copy of b, or drops it. It never fails.
func (q *Queue) Write(b []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes >= queueBytes {
		q.drop(1)
		return len(b), nil
	}
	if len(q.waiting) == 0 && q.began.IsZero() {
		q.idle = make(chan struct{})
	}
	q.waiting = append(q.waiting, append([]byte(nil), b...))
	q.bytes += len(b)
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return len(b), nil
}

// drop counts dropped texts. The caller holds mu.
func (q *Queue) drop(n uint64) {
	q.unsaid += n
	q.all += n
	q.last = q.now()
}

// SayDropped sets what is called, after texts were dropped, when a text was written again:
// with their number, and with the error of the last write that failed since then, if one did.
// say may write to the queue.
func (q *Queue) SayDropped(say func(n uint64, last error)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropped = say
}

func (q *Queue) run() {
	for range q.wake {
		for q.writeOne() {
		}
	}
}

// writeOne writes the oldest text. It returns false if there is none.
func (q *Queue) writeOne() bool {
	q.mu.Lock()
	if len(q.waiting) == 0 {
		q.mu.Unlock()
		return false
	}
	text := q.waiting[0]
	q.waiting = q.waiting[1:]
	q.bytes -= len(text)
	q.began = q.now()
	failed := q.err
	q.mu.Unlock()
	_, err := q.to.Write(text)
	q.mu.Lock()
	if q.err = err; err != nil {
		q.drop(1)
	}
	say, n := q.dropped, q.unsaid
	if err == nil && n > 0 && say != nil {
		q.unsaid = 0
		q.mu.Unlock()
		say(n, failed)
		q.mu.Lock()
	}
	q.began = time.Time{}
	if len(q.waiting) == 0 {
		close(q.idle)
	}
	q.mu.Unlock()
	return true
}

// Flush waits until everything is written, for at most that time.
func (q *Queue) Flush(most time.Duration) {
	q.mu.Lock()
	idle := q.idle
	q.mu.Unlock()
	select {
	case <-idle:
	case <-time.After(most):
	}
}

// Trouble says what is wrong with the writer, in a sentence; "" if nothing is.
func (q *Queue) Trouble() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	lost := ""
	if q.all > 0 && now.Sub(q.last) < queueTold {
		lost = fmt.Sprintf("; %s dropped, the last %s ago", inspect.Count(q.all, "record"), now.Sub(q.last).Round(time.Second))
	}
	switch {
	case q.err != nil:
		return fmt.Sprintf("the log cannot be written to standard error: %v%s", q.err, lost)
	case !q.began.IsZero() && now.Sub(q.began) > queueStands:
		return fmt.Sprintf("nobody reads the log from standard error, for %s%s", now.Sub(q.began).Round(time.Second), lost)
	case lost != "":
		return "the log was not read from standard error, or could not be written" + lost
	}
	return ""
}
