package supervisor

import (
	"context"
	"io"

	"github.com/asynkron/protoactor-go/actor"
)

// Worker is a task that does one job after another and waits in between: for
// work that comes so often that a task for each piece would cost more than the
// piece. Its methods are called in the actor's own turn and never wait.
type Worker[J any] struct {
	jobs    chan J
	stopped bool
}

// Work starts a worker. It is a Go in everything but that fn runs once for each
// job; the first error of fn ends the worker. Results are sent with Tell.
// TaskDone reports the end; a job that was given and not begun by then is lost.
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

// Give hands the worker its next job. It holds one besides the one under way;
// Give reports false when it has that already, or was stopped.
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

// Stop ends the worker when it has done what it was given. Stop is idempotent.
func (w *Worker[J]) Stop() {
	if !w.stopped {
		w.stopped = true
		close(w.jobs)
	}
}
