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

// writer is the task that writes the messages of a session: one batch at a
// time, each end reported with wrote. It lives as long as there is something to
// write now and then, because a task for each batch costs more than most
// batches do.
type writer struct {
	task    *supervisor.Worker[[]messaging.Entry[*Enqueue]] // nil: there is none, or it ends
	serial  uint64                                          // of the task, the last of many
	gen     uint64                                          // of its substream
	writing int                                             // messages in the task's hands
	used    bool                                            // since the last look
}

// writerIdle is how long a writer waits for the next batch, twice at most.
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

// write hands a batch to the task of the substream gen, and starts that if
// there is none. The batch before was reported.
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
	w.task.Give(batch) // it has room
}

// ended takes the end of the task. If it came during a write, ok is set and
// the report takes the place of the write's own: how far that had come is not
// known, so all of it may have left.
func (w *writer) ended(m supervisor.TaskDone) (report wrote, ok bool) {
	if m.Name != w.name() {
		return wrote{}, false
	}
	w.task = nil
	return wrote{w.gen, w.writing, m.Err}, w.writing > 0
}

// tick ends a task that has had nothing to do.
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

// stop ends the task when its write is over, which the end of the substream
// brings about.
func (w *writer) stop() {
	if w.task != nil {
		w.task.Stop()
		w.task = nil
	}
}
