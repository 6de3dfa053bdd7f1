package supervisor

import (
	"context"
	"time"
)

// Sleep waits inside fn of a Go for d on the runtime's clock. It returns ctx's
// error if ctx ends first; ctx is the one that fn was given, or derived from
// it.
func Sleep(ctx context.Context, d time.Duration) error {
	t, ok := ctx.Value(taskKey{}).(*task)
	if !ok {
		panic("supervisor: Sleep outside a task; pass the context that Go gave to your function")
	}
	over := make(chan struct{})
	stop := t.cell.host.rt.AfterFunc(d, func() { close(over) })
	defer stop()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
