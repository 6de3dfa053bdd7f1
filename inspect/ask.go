package inspect

import (
	"context"
	"sync"
	"time"
)

// AskTimeout is how long an actor may take to describe itself.
const AskTimeout = 100 * time.Millisecond

const (
	treeTimeout = 300 * time.Millisecond // for all actors of one tree
	askers      = 16                     // actors asked at a time
)

// ask lets one actor describe itself, if it handles messages. In the mailbox of any other
// actor the questions would only pile up.
func (h *handler) ask(ctx context.Context, a *Actor) {
	switch a.State {
	case Running, Busy:
	case Stuck:
		a.DetailTimeout = true
		return
	default:
		return
	}
	ctx, cancel := context.WithTimeout(ctx, AskTimeout)
	defer cancel()
	d, err := h.Source.Ask(ctx, a.ID)
	if err != nil {
		a.DetailTimeout = ctx.Err() != nil
		return
	}
	a.Line, a.Detail = d.Line, d.Value
}

// askLines asks every actor of the branches for its line. Actors that were not asked
// within treeTimeout stay without one.
func (h *handler) askLines(ctx context.Context, branches []Branch) {
	ctx, cancel := context.WithTimeout(ctx, treeTimeout)
	defer cancel()
	work := make(chan *Actor)
	var wg sync.WaitGroup
	for range askers {
		wg.Go(func() {
			for a := range work {
				h.ask(ctx, a)
				a.Detail = nil
			}
		})
	}
	for i := range branches {
		branches[i].walk(func(b *Branch) {
			select {
			case work <- &b.Actor:
			case <-ctx.Done():
			}
		})
	}
	close(work)
	wg.Wait()
}
