package messengers

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
)

// sendQueue holds the messages of one protocol to one peer that were accepted and that the
// peer's session does not know yet, oldest first. Any goroutine adds messages. Either the
// session takes them or, while it lets its writer pull, the writer. Like
// accounts it has many writers, so it has a lock.
//
// A push into an empty queue notifies whoever takes, the session or the writer. Pushes that come
// before all is taken notify nobody. So a burst costs one message to the session, or one signal
// to the writer.
type sendQueue struct {
	mu       sync.Mutex
	list     []*Enqueue // the first taken ones are with the writer; its report of them is still to come
	head     int        // slots before it are empty
	inFlight int
	written  int                         // the oldest of the taken ones, which the writer has written
	waiting  bool                        // the session was notified of written ones
	notified bool                        // whoever takes was notified
	session  *actor.PID                  // takes the messages; nil: the peer has no session
	wake     waker                       // of the writer that pulls; nil: none does
	spare    []messaging.Entry[*Enqueue] // for the writer's next batch; nil: there is none
	scratch  []messaging.Entry[*Enqueue] // for the next collect; nil: there is none
	refuses  bool                        // the session accepts no more messages
	gone     bool                        // nobody will ever take from this queue; there is another one
}

// waker wakes a writer: a *supervisor.Waker.
type waker interface{ Wake() }

// pushed is what push has done.
type pushed uint8

const (
	pushedSilently pushed = iota // nobody has to be notified
	pushedFirst                  // the returned session has to be notified
	pushedAlone                  // there is no session: the protocol's actor has to be notified
	pushRefused                  // not added: the session accepts no more messages
	pushGone                     // not added: the peer has another queue now
)

func (q *sendQueue) push(m *Enqueue) (pushed, *actor.PID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.gone:
		return pushGone, nil
	case q.refuses:
		return pushRefused, nil
	}
	q.add(m)
	switch {
	case q.notified:
		return pushedSilently, nil
	case q.wake != nil:
		q.signal()
		return pushedSilently, nil
	}
	q.notified = true
	if q.session == nil {
		return pushedAlone, nil
	}
	return pushedFirst, q.session
}

func (q *sendQueue) add(m *Enqueue) {
	if len(q.list) == cap(q.list) && q.head > len(q.list)/2 {
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
	q.list = append(q.list, m)
}

// signal wakes the writer. The caller holds the lock.
func (q *sendQueue) signal() {
	q.notified = true
	q.wake.Wake()
}

// attach makes session the one that takes the messages. It must take all that are there.
func (q *sendQueue) attach(session *actor.PID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.session, q.wake, q.notified, q.refuses = session, nil, true, false
}

// detach ends the time of a session. It returns the messages that its writer had taken and
// not reported. The others wait for the next session.
func (q *sendQueue) detach(session *actor.PID) (taken []*Enqueue) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.session != session {
		return nil
	}
	q.session, q.wake, q.notified, q.refuses = nil, nil, false, false
	q.written, q.waiting, q.spare, q.scratch = 0, false, nil, nil
	taken = append(taken, q.list[q.head:q.head+q.inFlight]...)
	q.forgetOldest(q.inFlight)
	return taken
}

// next removes and returns the oldest message; nil: there is none, and the session will be
// notified of the next one. It is for the session while no writer has messages, and for the end
// of the node.
func (q *sendQueue) next() *Enqueue {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waits() == 0 {
		q.notified = false
		return nil
	}
	return q.remove(q.head + q.inFlight)
}

// remove removes a message that the writer has not taken. The caller holds the lock.
func (q *sendQueue) remove(at int) *Enqueue {
	m := q.list[at]
	if at == q.head {
		q.list[at] = nil
		q.head++
	} else {
		copy(q.list[at:], q.list[at+1:])
		q.list[len(q.list)-1] = nil
		q.list = q.list[:len(q.list)-1]
	}
	q.rewind()
	return m
}

// refuse makes the queue refuse all further messages.
func (q *sendQueue) refuse() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refuses = true
}

// startPull makes a writer take the messages. The writer is woken if there are any.
func (q *sendQueue) startPull(wake waker) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wake, q.notified = wake, false
	if q.waits() > 0 {
		q.signal()
	}
}

// stopPull ends the pull. The session is the one that takes now, and counts as notified.
func (q *sendQueue) stopPull() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.wake != nil {
		q.wake, q.notified, q.spare, q.scratch = nil, true, nil, nil
	}
}

// stopIdlePull is stopPull for a writer that has nothing to do. It returns false, and does nothing,
// if the writer has something to do.
func (q *sendQueue) stopIdlePull() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.wake == nil || len(q.list) > q.head {
		return false
	}
	q.wake, q.notified = nil, false
	q.list, q.head, q.spare, q.scratch = nil, 0, nil, nil // frees the memory of a burst
	return true
}

// take returns the next messages for the writer that waits for wake: at most
// messaging.BatchFrames, and at most messaging.BatchBytes unless one alone is longer. It
// returns none if there are none, or if this writer does not pull; then the
// writer has to wait.
func (q *sendQueue) take(wake waker) []messaging.Entry[*Enqueue] {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.wake != wake {
		return nil
	}
	if q.waits() == 0 {
		q.notified = false
		return nil
	}
	batch, size := q.spare, 0
	q.spare = nil
	for _, m := range q.list[q.head+q.inFlight:] {
		size += len(m.body)
		if len(batch) == messaging.BatchFrames || len(batch) > 0 && size > messaging.BatchBytes {
			break
		}
		batch = append(batch, m.entry())
	}
	q.inFlight += len(batch)
	return batch
}

// wrote reports that the writer which waits for wake has written a batch, the oldest of
// those that it has taken. The batch belongs to the queue again. If tell is true, the session
// has to be notified of written messages. It is notified of the first since it collected
// them; of each that is much, since a sender that sends much waits for credit; and of
// each in which a caller waits for an outcome, which is urgent. What the writer of an earlier
// session reports does not count: its messages were left when that session ended.
func (q *sendQueue) wrote(wake waker, batch []messaging.Entry[*Enqueue], much bool) (tell, urgent bool) {
	for i := range batch {
		if batch[i].Urgent {
			urgent = true
			break
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.written+len(batch) > q.inFlight || q.list[q.head+q.written] != batch[0].Tag {
		return false, false
	}
	q.written += len(batch)
	tell = urgent || much || !q.waiting || q.wake != wake
	q.waiting = true
	q.reuse(batch)
	return tell, urgent
}

// collect returns the written messages, oldest first, for the session. It forgets them, and
// the batch belongs to the queue again, when acknowledge is called.
func (q *sendQueue) collect() []messaging.Entry[*Enqueue] {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = false
	if q.written == 0 {
		return nil
	}
	b := q.scratch
	q.scratch = nil
	for _, m := range q.list[q.head : q.head+q.written] {
		b = append(b, m.entry())
	}
	return b
}

// acknowledge reports that the session knows the messages of a batch, the oldest that the writer
// has taken. The batch belongs to the queue.
func (q *sendQueue) acknowledge(b []messaging.Entry[*Enqueue]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.forgetOldest(min(len(b), q.inFlight))
	clear(b)
	if q.wake != nil && cap(b) <= messaging.BatchFrames {
		q.scratch = b[:0]
	}
}

// reuse keeps a batch for the writer's next one. The caller holds the lock.
func (q *sendQueue) reuse(batch []messaging.Entry[*Enqueue]) {
	clear(batch)
	if q.wake != nil {
		q.spare = batch[:0]
	}
}

// forgetOldest forgets the oldest n messages, which the writer had taken. The caller holds the lock.
func (q *sendQueue) forgetOldest(n int) {
	clear(q.list[q.head : q.head+n])
	q.head += n
	q.inFlight -= n
	q.written = max(q.written-n, 0)
	q.rewind()
}

// rewind uses the memory from the beginning again if the queue is empty. The caller holds
// the lock.
func (q *sendQueue) rewind() {
	if q.head == len(q.list) {
		q.list, q.head = q.list[:0], 0
	}
}

// unacknowledged returns the messages that the writer has taken and the session does not know.
func (q *sendQueue) unacknowledged() []*Enqueue {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]*Enqueue(nil), q.list[q.head:q.head+q.inFlight]...)
}

// withdraw looks for a message by its serial. A message that the writer has not taken is
// removed. It returns nil if there is no such message. If a removal leaves a queue without a
// session empty, the next push tells the protocol's actor again, which starts no session for
// an empty queue.
func (q *sendQueue) withdraw(serial uint64) (m *Enqueue, taken bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, m := range q.list[q.head:] {
		if m.serial() != serial {
			continue
		}
		if i < q.inFlight {
			return m, true
		}
		m = q.remove(q.head + i)
		if q.session == nil && len(q.list) == q.head {
			q.notified = false
		}
		return m, false
	}
	return nil, false
}

// waits is the number of messages that nobody has taken. The caller holds the lock.
func (q *sendQueue) waits() int { return len(q.list) - q.head - q.inFlight }

// len returns how many messages the queue holds, with those that the writer has taken.
func (q *sendQueue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.list) - q.head
}

// pulling reports whether a writer takes the messages.
func (q *sendQueue) pulling() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.wake != nil
}

// pullOpen reports whether a writer takes the messages, or has taken some that the session
// does not know.
func (q *sendQueue) pullOpen() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.wake != nil || q.inFlight > 0
}

// leave makes every push fail from now on, if the queue is empty and has no session. It
// returns false otherwise.
func (q *sendQueue) leave() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.session != nil || len(q.list) > q.head {
		return false
	}
	q.gone = true
	return true
}
