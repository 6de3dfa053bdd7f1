package messengers

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/actors/link"
	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// writer manages the task that writes the messages of a session. The task writes one batch
// at a time: one that the session has given it or, while it pulls, what it takes from the queue of
// messages itself. It reports the end of a batch that it was
// given, and an error, with wrote. What it has written of the queue, the queue notes; the
// task says so with wroteSome, not after every batch. It stays until it has been idle for a while, because starting a task for each batch would
// cost more than writing most batches.
type writer struct {
	queue   *sendQueue
	task    *supervisor.Worker[batch] // nil: there is none, or it is stopping
	serial  uint64                    // number of the last task
	gen     uint64                    // number of the task's substream
	writing int                       // messages in the batch that the session has given to the task
	used    bool                      // since the last writerTick
}

type batch = []messaging.Entry[*Enqueue]

// writerIdle is the interval of writerTick. An idle task ends after one to two intervals.
const writerIdle = time.Second

type (
	// wrote reports the end of a write: bytes of the first started messages
	// may have left.
	wrote struct {
		gen     uint64
		taken   batch // from the queue; nil: it was the batch that the session gave
		started int
		err     error
	}
	// wroteSome reports that the queue has written messages.
	wroteSome struct {
		gen    uint64
		much   bool // in the last batch: several messages, or a large one
		urgent bool // a caller waits for the outcome of one
	}
	writerTick struct{ serial uint64 }
)

func (w *writer) name() string { return fmt.Sprintf("writer-%d", w.serial) }

// write gives a batch to the task of substream number gen, and starts the task if there is
// none. The end of the batch before must have been reported, and the writer must not pull.
func (w *writer) write(c actor.Context, gen uint64, out movingWriter, b batch) {
	if w.task == nil || w.gen != gen {
		w.stop()
		w.serial++
		w.gen = gen
		task := &writerTask{gen: gen, out: out, queue: w.queue}
		w.task = supervisor.Work(c, w.name(), nil, task.write, task.drain)
		supervisor.After(c, writerIdle, writerTick{w.serial})
	}
	w.writing, w.used = len(b), true
	w.task.Give(b) // the task has room for one
}

// startPull makes the task take messages from the queue. There is a task, and it has no batch.
func (w *writer) startPull() { w.queue.startPull(w.task.Waker()) }

// ended handles the end of the task. If the task ended during a write, ok is true and
// report replaces the write's own report. It counts all messages of the batch as started,
// because the progress of the write is unknown.
func (w *writer) ended(m supervisor.TaskDone) (report wrote, ok bool) {
	if m.Name != w.name() {
		return wrote{}, false
	}
	w.task = nil
	if w.writing > 0 {
		return wrote{w.gen, nil, w.writing, m.Err}, true
	}
	for _, m := range w.queue.unacknowledged() {
		report.taken = append(report.taken, m.entry())
	}
	return wrote{w.gen, report.taken, len(report.taken), m.Err}, len(report.taken) > 0
}

// tick ends a task that has had nothing to do since the last tick. It reports whether it
// has ended a task that pulled: it pulls no more.
func (w *writer) tick(c actor.Context, m writerTick, pulls bool) (stopped bool) {
	if m.serial != w.serial || w.task == nil {
		return false
	}
	if w.used || w.writing > 0 || pulls && !w.queue.stopIdlePull() {
		w.used = false
		supervisor.After(c, writerIdle, m)
		return false
	}
	w.stop()
	return pulls
}

// stop ends the task after its present write. The end of the substream ends that write.
func (w *writer) stop() {
	if w.task != nil {
		w.task.Stop()
		w.task = nil
	}
}

// writerTask is the task that writes on one substream.
type writerTask struct {
	gen   uint64
	out   movingWriter
	queue *sendQueue

	several bool // the last batch from the queue had more than one message
}

// write writes a batch that the session has given.
func (t *writerTask) write(ctx context.Context, b batch) error {
	n, err := t.out.frames(b)
	supervisor.Tell(ctx, wrote{t.gen, nil, n, err})
	return nil
}

// drain writes messages from the queue until there are none, or the substream is taken
// back. A write that fails ends the task.
func (t *writerTask) drain(ctx context.Context, wake *supervisor.Waker) error {
	for b := t.next(wake); len(b) > 0; b = t.next(wake) {
		if n, err := t.out.frames(b); err != nil {
			supervisor.Tell(ctx, wrote{t.gen, b, n, err})
			return err
		}
		much := t.much(b) // wrote gives the batch back
		if tell, urgent := t.queue.wrote(wake, b, much); tell {
			supervisor.Tell(ctx, wroteSome{t.gen, much, urgent})
		}
	}
	return nil
}

// much reports whether a batch is of several messages, or of one that takes a part of the credit
// of its peer that counts.
func (t *writerTask) much(b batch) bool {
	return len(b) > 1 || int64(len(b[0].Body)) >= t.out.room.PeerCredit/64
}

// next returns the next batch of the queue; none: there is none, or the substream was taken
// back.
//
// After a batch of several messages it first lets other goroutines run once. The senders
// among them add their messages, so that the next batch is larger. A sender that waits for
// each answer is alone in its batches, and its messages are written at once.
func (t *writerTask) next(wake waker) batch {
	if t.several {
		runtime.Gosched()
	}
	b := t.queue.take(wake)
	t.several = len(b) > 1
	return b
}

// movingWriter records in the peer's account when bytes were last written, and counts them.
type movingWriter struct {
	protocol.Stream
	room    *Room
	account *outAccount
	out     *flow
	live    *link.Live // of the connection
}

// frames writes messages, and counts them: see [messaging.WriteFrames].
func (w movingWriter) frames(b batch) (started int, err error) {
	started, err = messaging.WriteFrames(w, b)
	w.out.messages.Add(uint64(started))
	if w.live != nil {
		w.live.Sent.Add(uint64(started))
	}
	return started, err
}

// Write writes b, and records the time if bytes were written.
func (w movingWriter) Write(b []byte) (int, error) {
	n, err := w.Stream.Write(b)
	if n > 0 {
		w.account.moved.Store(w.room.Now().UnixNano())
		w.out.bytes.Add(uint64(n))
	}
	return n, err
}
