package messengers

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// signal is a waker that a test can wait for.
type signal chan struct{}

func (s signal) Wake() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// TestSendQueue has many goroutines add messages while sessions come and go that take them
// themselves, or let a writer pull and end that. Nobody looks at the queue
// without having been told, as in the node. Every message must be taken once, and those of
// one goroutine in their order.
func TestSendQueue(t *testing.T) {
	for round := range uint64(300) {
		sendQueueRound(t, rand.New(rand.NewPCG(round, 2)))
	}
}

func sendQueueRound(t *testing.T, random *rand.Rand) {
	const senders, each = 4, 60
	var (
		q    sendQueue
		got  [senders][]uint64
		all  sync.WaitGroup
		told = make(chan struct{}, 1) // the session's mailbox, or that of the protocol's actor
		tell = func() {
			select {
			case told <- struct{}{}:
			default:
			}
		}
		session = actor.NewPID("here", "session")
		count   int
	)
	for s := range senders {
		all.Go(func() {
			for i := range each {
				m := &Enqueue{id: uint64(i)<<8 | uint64(s), done: nil, unique: true}
				switch how, pid := q.push(m); {
				case how == pushRefused, how == pushGone:
					t.Errorf("got %d for a message, want it added", how)
				case how == pushedFirst && pid != session:
					t.Errorf("got %v to tell, want the session", pid)
				case how == pushedFirst, how == pushedAlone:
					tell()
				}
				if i%16 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	taken := func(m *Enqueue) {
		s := m.id & 0xff
		got[s] = append(got[s], m.id>>8)
		count++
	}
	take := func() {
		for m := q.next(); m != nil; m = q.next() {
			taken(m)
		}
	}
	reports := 0
	collect := func() {
		b := q.collect()
		if len(b) > 0 && reports == 0 {
			t.Fatalf("got %d written messages of which nobody was told", len(b))
		}
		reports = 0
		for _, e := range b {
			taken(e.Tag)
		}
		q.acknowledge(b)
	}
	deadline := time.After(20 * time.Second)
	for count < senders*each {
		q.attach(session)
		take()
		for range random.IntN(4) {
			if count == senders*each {
				break
			}
			select {
			case <-told:
			case <-deadline:
				t.Fatalf("got %d messages and nobody told of the rest, want %d", count, senders*each)
			}
			if random.IntN(2) > 0 {
				take()
				continue
			}
			wake := make(signal, 1)
			q.startPull(wake)
			for range random.IntN(20) {
				if count == senders*each {
					break
				}
				select {
				case <-wake:
				case <-deadline:
					t.Fatalf("got a writer that nobody wakes with %d messages taken, want %d", count, senders*each)
				}
				for b := q.take(wake); len(b) > 0; b = q.take(wake) {
					if tell, _ := q.wrote(wake, b, len(b) > 1); tell {
						reports++
					}
					if random.IntN(2) > 0 {
						collect()
					}
				}
				collect()
			}
			q.stopPull()
			if b := q.take(wake); len(b) > 0 {
				t.Fatalf("got %d messages for a writer after the end of its time, want none", len(b))
			}
			take()
		}
		if rest := q.detach(session); len(rest) > 0 {
			t.Fatalf("got %d messages unreported, want none", len(rest))
		}
		if q.len() > 0 || count == senders*each { // messengers looks when a session has ended
			continue
		}
		select {
		case <-told:
		case <-deadline:
			t.Fatalf("got %d messages and nobody told of the rest, want %d", count, senders*each)
		}
	}
	all.Wait()
	for s := range got {
		for i, id := range got[s] {
			if id != uint64(i) {
				t.Fatalf("got message %d of sender %d in place %d, want the order", id, s, i)
			}
		}
	}
}

// TestSendQueueWithdrawsTheOnlyOne takes the only message out of a queue without a session.
// Whoever adds the next one has to ask for a session: the first sender's request may have
// found an empty queue.
func TestSendQueueWithdrawsTheOnlyOne(t *testing.T) {
	var q sendQueue
	for id := range uint64(2) {
		if how, _ := q.push(&Enqueue{id: id + 1, unique: true}); how != pushedAlone {
			t.Errorf("message %d: got %d, want to ask for a session", id+1, how)
		}
		if m, taken := q.withdraw(id + 1); m == nil || taken {
			t.Errorf("got %v, %v, want message %d out of the queue", m, taken, id+1)
		}
	}
	q.attach(actor.NewPID("here", "session"))
	q.push(&Enqueue{id: 3, unique: true})
	if m, _ := q.withdraw(3); m == nil || !q.notified {
		t.Errorf("got %v, told %v, want message 3, and a session that looks for it", m, q.notified)
	}
}

// TestSendQueueWithdraws takes messages out of the queue, tells those that the writer has,
// and refuses after the end.
func TestSendQueueWithdraws(t *testing.T) {
	var q sendQueue
	session := actor.NewPID("here", "session")
	q.attach(session)
	if m := q.next(); m != nil {
		t.Errorf("got message %d of an empty queue", m.id)
	}
	wake := make(signal, 1)
	q.startPull(wake)
	for id := range uint64(2) {
		q.push(&Enqueue{id: id + 1, unique: true})
	}
	b := q.take(wake)
	if len(b) != 2 {
		t.Fatalf("got %d messages taken, want 2", len(b))
	}
	q.push(&Enqueue{id: 3, unique: true})
	q.push(&Enqueue{id: 4, unique: true})
	if m, taken := q.withdraw(3); m == nil || m.id != 3 || taken {
		t.Errorf("got %v, %v, want message 3 out of the queue", m, taken)
	}
	if m, taken := q.withdraw(2); m == nil || m.id != 2 || !taken {
		t.Errorf("got %v, %v, want message 2 with the writer", m, taken)
	}
	if m, _ := q.withdraw(3); m != nil {
		t.Error("got message 3 again")
	}
	if n, taken := q.len(), q.inFlight; n != 3 || taken != 2 {
		t.Errorf("got %d messages, %d taken, want 3 and 2", n, taken)
	}
	if tell, urgent := q.wrote(wake, b[:1], false); !tell || urgent {
		t.Errorf("got %v, %v for the first written message, want that the session is told, not urgently", tell, urgent)
	}
	if q.stopIdlePull() {
		t.Error("got a rest of a writer with work")
	}
	q.refuse()
	if how, _ := q.push(new(Enqueue)); how != pushRefused {
		t.Errorf("got %d, want a refusal", how)
	}
	if q.leave() {
		t.Error("got a queue left that has a session")
	}
	if rest := q.detach(session); len(rest) != 2 || rest[0].id != 1 {
		t.Errorf("got %d unreported messages, want those that the writer has", len(rest))
	}
	if q.leave() {
		t.Error("got a queue left that has a message")
	}
	if m := q.next(); m == nil || m.id != 4 {
		t.Errorf("got %v, want message 4", m)
	}
	if !q.leave() {
		t.Error("got an empty queue kept")
	}
	if how, _ := q.push(new(Enqueue)); how != pushGone {
		t.Errorf("got %d, want that it is another queue", how)
	}
}

// TestSendQueueOfTheNextSession: what the writer of a session that has ended reports does not
// count for the messages of the next session's writer, and does not keep it from telling.
func TestSendQueueOfTheNextSession(t *testing.T) {
	for _, taken := range []bool{false, true} {
		var q sendQueue
		late, wake := make(signal, 1), make(signal, 1)
		first, second := actor.NewPID("here", "first"), actor.NewPID("here", "second")
		q.attach(first)
		q.startPull(late)
		q.push(&Enqueue{id: 1})
		old := q.take(late)
		q.detach(first)
		q.attach(second)
		if !taken {
			if tell, _ := q.wrote(late, old, len(old) > 1); tell {
				t.Error("before the next writer: got a report of the old one's message")
			}
		}
		q.startPull(wake)
		q.push(&Enqueue{id: 2})
		b := q.take(wake)
		if taken {
			if tell, _ := q.wrote(late, old, len(old) > 1); tell {
				t.Error("beside the next writer: got a report of the old one's message")
			}
		}
		if got := q.collect(); len(got) != 0 {
			t.Errorf("got %d messages written, want none", len(got))
		}
		if tell, _ := q.wrote(wake, b, len(b) > 1); !tell {
			t.Error("got a first written message that nobody is told of")
		}
		if got := q.collect(); len(got) != 1 || got[0].Tag.id != 2 {
			t.Errorf("got %v written, want message 2", got)
		}
	}
}

// TestSendQueueLateReportAfterReclaim: the writer of a session that crashed reports late,
// while the next session has just taken its substream back from its own writer, which is
// still writing. The late report must not count for the message that is being written: the
// session would ask for its proof, and confirm it, before it is written.
func TestSendQueueLateReportAfterReclaim(t *testing.T) {
	var q sendQueue
	late, wake := make(signal, 1), make(signal, 1)
	first, second := actor.NewPID("here", "first"), actor.NewPID("here", "second")
	q.attach(first)
	q.startPull(late)
	q.push(&Enqueue{id: 1})
	old := q.take(late)
	q.detach(first) // the first session has crashed: message 1 is in doubt
	q.attach(second)
	q.startPull(wake)
	q.push(&Enqueue{id: 2})
	b := q.take(wake) // being written
	q.stopPull()      // finish, drain, or the end of the substream
	if tell, _ := q.wrote(late, old, len(old) > 1); tell {
		t.Error("got a report of the old writer's message")
	}
	if got := q.collect(); len(got) != 0 {
		t.Errorf("got message %d as written, which is still being written", got[0].Tag.id)
	}
	if tell, _ := q.wrote(wake, b, len(b) > 1); !tell {
		t.Error("got the end of the write of message 2 that nobody is told of")
	}
	if got := q.collect(); len(got) != 1 || got[0].Tag.id != 2 {
		t.Errorf("got %v written, want message 2", got)
	}
}

// TestSendQueueFreesABurst: the memory for reports is used again while the writer works, and
// is free when it rests, when the substream is taken back and when the session ends.
func TestSendQueueFreesABurst(t *testing.T) {
	session := actor.NewPID("here", "session")
	for how, end := range map[string]func(q *sendQueue){
		"rest":     func(q *sendQueue) { q.stopIdlePull() },
		"stopPull": (*sendQueue).stopPull,
		"detach":   func(q *sendQueue) { q.detach(session) },
	} {
		var q sendQueue
		wake := make(signal, 1)
		q.attach(session)
		q.startPull(wake)
		var m Enqueue
		round := func() {
			for range 100 {
				q.push(&m)
			}
			b := q.take(wake)
			q.wrote(wake, b, len(b) > 1)
			q.acknowledge(q.collect())
		}
		round()
		if q.spare == nil || q.scratch == nil {
			t.Errorf("%s: got no memory kept for the next messages", how)
		}
		if got := testing.AllocsPerRun(10, round); got > 0 {
			t.Errorf("%s: got %v allocations for a burst, want none", how, got)
		}
		if end(&q); q.spare != nil || q.scratch != nil {
			t.Errorf("%s: got memory for %d and %d messages kept, want none", how, cap(q.spare), cap(q.scratch))
		}
	}
}
