package main

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// waitShown is how long a message over the DHT may have no report before send
// says what it waits for.
const waitShown = 3 * time.Second

// waitAsked is how long the node may take to say what a message waits for.
const waitAsked = 10 * time.Second

// waitTeller says once, on standard error, what the first message without a
// report waits for.
type waitTeller struct {
	app     *app
	start   time.Time
	heard   atomic.Int64 // when the last report came, nanoseconds
	end     chan struct{}
	once    sync.Once // closes end
	running sync.WaitGroup
}

func tellWaiting(a *app) *waitTeller {
	w := &waitTeller{app: a, start: time.Now(), end: make(chan struct{})}
	w.report()
	if !a.json {
		w.running.Go(w.run)
	}
	return w
}

// report says that the node has reported.
func (w *waitTeller) report() { w.heard.Store(time.Now().UnixNano()) }

// stop ends it, after what it has begun to ask; nothing is written afterwards.
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
			w.app.note("%s", inspect.Escape(text))
			return
		}
	}
}

// look asks the node for the first message that was sent since the start and has
// waited long enough; empty if there is none.
func (w *waitTeller) look() string {
	ctx, cancel := context.WithTimeout(w.app.ctx, waitAsked)
	defer cancel()
	c := w.app.client()
	var page struct{ Items []inspect.Report }
	if err := c.getJSON(ctx, "/v1/ledger?state=open", &page); err != nil {
		return "" // sending says why not
	}
	now := time.Now()
	for i := range page.Items {
		r := &page.Items[i]
		if r.Begin.Before(w.start) || now.Sub(r.Begin) < waitShown {
			continue
		}
		for _, copied := range r.Copies {
			if copied.Outcome.Outcome != inspect.OutcomeOpen {
				continue
			}
			p := inspect.Peer{NodeID: copied.Peer}
			if err := c.getJSON(ctx, "/v1/peers/"+url.PathEscape(copied.Peer), &p); err != nil && ctx.Err() != nil {
				return ""
			}
			return waitText(r, &copied, &p, now)
		}
		return waitText(r, nil, nil, now)
	}
	return ""
}

// waitText says what a message waits for: the copy is one without an outcome, and
// nil while its peers are not chosen.
func waitText(r *inspect.Report, c *inspect.Copy, p *inspect.Peer, now time.Time) string {
	until := fmt.Sprintf("it is given up at %s", r.Begin.Add(dht.DefaultLimit).Local().Format(time.TimeOnly))
	if c == nil {
		return fmt.Sprintf("Message %s waits: its receiver is being looked for; %s.", r.Tag, until)
	}
	who := inspect.ShortName(c.Peer)
	if n := r.Count(inspect.OutcomeOpen) - 1; n > 0 {
		who += " and " + inspect.Count(uint64(n), "other peer")
	}
	why := "not connected, and being dialled"
	switch {
	case p.Connection != nil && c.Tries > 0:
		why = "connected, but has not confirmed it yet"
	case p.Connection != nil:
		why = "connected, and other messages go first"
	default:
		if state := peerState(*p, now); state != "known" {
			why += " (" + state + ")"
		}
		if p.NextDialAt.After(now) {
			why += ", next at " + p.NextDialAt.Local().Format(time.TimeOnly)
		}
	}
	return fmt.Sprintf("Message %s waits for %s: %s; %s.", r.Tag, who, why, until)
}
