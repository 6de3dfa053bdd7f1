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
	waker   *Waker
	stopped bool
}

// Waker wakes a worker that takes work from somewhere else, beside its jobs.
type Waker struct{ signal chan struct{} }

// Wake has the worker's function for this run once more, soon. Any goroutine may call Wake,
// any number of times: calls before the function begins are one.
func (w *Waker) Wake() {
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// Work starts a worker: a Go in which fn runs once for each job. fn sends results
// with Tell. The first error of fn ends the worker. TaskDone reports the end; a job
// that was given but not begun by then is lost. If woken is not nil, it runs after
// [Waker.Wake]; its first error ends the worker, too.
func Work[J any](c actor.Context, name string, closer io.Closer, fn func(context.Context, J) error, woken func(context.Context, *Waker) error) *Worker[J] {
	w := &Worker[J]{jobs: make(chan J, 1), waker: &Waker{make(chan struct{}, 1)}}
	Go(c, name, closer, func(ctx context.Context) error {
		for {
			var err error
			select {
			case job, ok := <-w.jobs:
				if !ok {
					return nil
				}
				err = fn(ctx, job)
			case <-w.waker.signal:
				if woken != nil {
					err = woken(ctx, w.waker)
				}
			case <-ctx.Done():
				return ctx.Err()
			}
			if err != nil {
				return err
			}
		}
	})
	return w
}

// Waker returns what wakes the worker.
func (w *Worker[J]) Waker() *Waker { return w.waker }

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
