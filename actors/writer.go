package actors

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// writer manages the task that writes the messages of a session. The task writes one batch
// at a time and reports the end of each with wrote. It stays until it has been idle for a
// while, because starting a task for each batch would cost more than writing most batches.
type writer struct {
	task    *supervisor.Worker[[]messaging.Entry[*Enqueue]] // nil: there is none, or it is stopping
	serial  uint64                                          // number of the last task
	gen     uint64                                          // number of the task's substream
	writing int                                             // messages in the batch that the task writes
	used    bool                                            // since the last writerTick
}

// writerIdle is the interval of writerTick. An idle task ends after one to two intervals.
const writerIdle = time.Second

type (
	// wrote reports the end of a write: bytes of the first started messages
	// may have left.
	wrote struct {
		gen     uint64
		started int
		err     error
	}
	writerTick struct{ serial uint64 }
)

func (w *writer) name() string { return fmt.Sprintf("writer-%d", w.serial) }

// write gives a batch to the task of substream number gen, and starts the task if there is
// none. The end of the batch before must have been reported.
func (w *writer) write(c actor.Context, env *env, gen uint64, stream protocol.Stream, batch []messaging.Entry[*Enqueue]) {
	if w.task == nil || w.gen != gen {
		w.stop()
		w.serial++
		w.gen = gen
		out := movingWriter{stream, env, batch[0].Tag.account}
		w.task = supervisor.Work(c, w.name(), nil, func(ctx context.Context, batch []messaging.Entry[*Enqueue]) error {
			n, err := messaging.WriteFrames(out, batch)
			supervisor.Tell(ctx, wrote{gen, n, err})
			return nil
		})
		supervisor.After(c, writerIdle, writerTick{w.serial})
	}
	w.writing, w.used = len(batch), true
	w.task.Give(batch) // the task has room for one
}

// ended handles the end of the task. If the task ended during a write, ok is true and
// report replaces the write's own report. It counts all messages of the batch as started,
// because the progress of the write is unknown.
func (w *writer) ended(m supervisor.TaskDone) (report wrote, ok bool) {
	if m.Name != w.name() {
		return wrote{}, false
	}
	w.task = nil
	return wrote{w.gen, w.writing, m.Err}, w.writing > 0
}

// tick ends a task that has had nothing to do since the last tick.
func (w *writer) tick(c actor.Context, m writerTick) {
	switch {
	case m.serial != w.serial || w.task == nil:
	case w.used || w.writing > 0:
		w.used = false
		supervisor.After(c, writerIdle, m)
	default:
		w.stop()
	}
}

// stop ends the task after its present write. The end of the substream ends that write.
func (w *writer) stop() {
	if w.task != nil {
		w.task.Stop()
		w.task = nil
	}
}
