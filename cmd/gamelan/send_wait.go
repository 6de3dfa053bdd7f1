package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/client"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// waitShown is how long a message over the DHT may have no report before send
// says what it waits for.
const waitShown = 3 * time.Second

// waitAsked is how long the node may take to answer what a message waits for.
const waitAsked = 10 * time.Second

// waitTeller says once, on standard error, what the first message without a
// report waits for.
type waitTeller struct {
	app     *app
	start   time.Time
	heard   atomic.Int64 // time of the last report, nanoseconds
	end     chan struct{}
	once    sync.Once // closes end
	running sync.WaitGroup
}

func tellWaiting(a *app) *waitTeller {
	w := &waitTeller{app: a, start: time.Now(), end: make(chan struct{})}
	w.report()
	if !a.JSON {
		w.running.Go(w.run)
	}
	return w
}

// report notes that a report has come.
func (w *waitTeller) report() { w.heard.Store(time.Now().UnixNano()) }

// stop ends the teller after a request that has begun. It writes nothing afterwards.
func (w *waitTeller) stop() {
	w.once.Do(func() { close(w.end) })
	w.running.Wait()
}

func (w *waitTeller) run() {
	tick := time.NewTicker(waitShown / 3)
	defer tick.Stop()
	for {
		select {
		case <-w.end:
			return
		case <-tick.C:
		}
		if time.Since(time.Unix(0, w.heard.Load())) < waitShown {
			continue
		}
		if text := w.look(); text != "" {
			w.app.Note("%s", inspect.Escape(text))
			return
		}
	}
}

// look asks the node for the first message that was sent since the start and has waited
// long enough. It returns "" if there is none.
func (w *waitTeller) look() string {
	ctx, cancel := context.WithTimeout(w.app.ctx, waitAsked)
	defer cancel()
	c := w.app.client()
	open, _, err := c.Ledger(ctx, client.Messages{State: "open"})
	if err != nil {
		return "" // the send itself reports the error
	}
	now := time.Now()
	for i := range open {
		r := &open[i]
		if r.Begin.Before(w.start) || now.Sub(r.Begin) < waitShown {
			continue
		}
		for _, copied := range r.Copies {
			if copied.Outcome.Outcome != models.OutcomeOpen {
				continue
			}
			p, err := c.Peer(ctx, copied.Peer)
			if err != nil && ctx.Err() != nil {
				return ""
			}
			return render.Waiting(r, &copied, &p, now)
		}
		return render.Waiting(r, nil, nil, now)
	}
	return ""
}
