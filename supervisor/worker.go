package supervisor

import (
	"context"
	"io"

	"github.com/asynkron/protoactor-go/actor"
)

// Worker is a task that does one job after another and waits in between. It is for
// jobs so short that a task for each would cost more than the job. Call its methods
// in the actor's own turn; they never wait.
type Worker[J any] struct {
	jobs    chan J
	stopped bool
}

// Work starts a worker: a Go in which fn runs once for each job. fn sends results
// with Tell. The first error of fn ends the worker. TaskDone reports the end; a job
// that was given but not begun by then is lost.
func Work[J any](c actor.Context, name string, closer io.Closer, fn func(context.Context, J) error) *Worker[J] {
	w := &Worker[J]{jobs: make(chan J, 1)}
	Go(c, name, closer, func(ctx context.Context) error {
		for {
			select {
			case job, ok := <-w.jobs:
				if !ok {
					return nil
				}
				if err := fn(ctx, job); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	return w
}

// Give hands the worker its next job. A worker holds one job beside the one under
// way; Give returns false when it holds one already, or was stopped.
func (w *Worker[J]) Give(job J) bool {
	if w.stopped {
		return false
	}
	select {
	case w.jobs <- job:
		return true
	default:
		return false
	}
}

// Stop ends the worker after the jobs that it was given. Stop is idempotent.
func (w *Worker[J]) Stop() {
	if !w.stopped {
		w.stopped = true
		close(w.jobs)
	}
}
