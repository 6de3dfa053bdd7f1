package main

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/outlast"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// waitShown is how long a message may have no outcome before send says what it waits for.
const waitShown = 3 * time.Second

// waitAsked is how long the node may take to answer what a message waits for.
const waitAsked = 10 * time.Second

// waitTeller says once, on standard error, what the first message without an outcome waits
// for.
type waitTeller struct {
	app     *app
	look    looker
	heard   atomic.Int64  // time of the last outcome, nanoseconds
	ended   atomic.Uint64 // number of outcomes
	end     chan struct{}
	once    sync.Once // closes end
	running sync.WaitGroup
}

// looker asks the node what is waited for when so many messages have an outcome. It returns
// "" for nothing.
type looker func(ctx context.Context, ended uint64) string

func tellWaiting(a *app, look looker) *waitTeller {
	w := &waitTeller{app: a, look: look, end: make(chan struct{})}
	w.heard.Store(time.Now().UnixNano())
	if !a.JSON {
		w.running.Go(w.run)
	}
	return w
}

// report notes that an outcome has come.
func (w *waitTeller) report() {
	w.ended.Add(1)
	w.heard.Store(time.Now().UnixNano())
}

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
		if text := w.ask(); text != "" {
			w.app.Note("%s", inspect.Escape(text))
			return
		}
	}
}

func (w *waitTeller) ask() string {
	ctx, cancel := context.WithTimeout(w.app.ctx, waitAsked)
	defer cancel()
	return w.look(ctx, w.ended.Load())
}

// lookDHT returns a function that looks for the first message over the DHT that was sent
// since start and has waited long enough. limit is that of the messages.
func lookDHT(a *app, start time.Time, limit time.Duration) looker {
	c := a.client()
	return func(ctx context.Context, _ uint64) string {
		open, _, err := c.Ledger(ctx, client.Sent{State: "open"})
		if err != nil {
			return "" // the send itself reports the error
		}
		now := time.Now()
		for i := range open {
			r := &open[i]
			if r.Begin.Before(start) || now.Sub(r.Begin) < waitShown {
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
				return a.Waiting(r, &copied, &p, limit, now)
			}
			return a.Waiting(r, nil, nil, limit, now)
		}
		return ""
	}
}

// lookPlain returns a function that looks whether a message of the input has no outcome.
func (c *sendCmd) lookPlain(a *app, in *client.Input) looker {
	node := a.client()
	return func(ctx context.Context, ended uint64) string {
		if in.Begun() <= ended {
			return "" // everything has its outcome: the next message is still to come
		}
		p, err := c.receiver(ctx, node)
		switch {
		case client.CodeOf(err) == inspect.CodeNotFound && strings.Contains(*c.Peer, "::"):
			return a.WaitingGiven(ended+1, *c.Peer, c.Timeout)
		case err != nil:
			return "" // it is being searched for, or the send itself reports the error
		}
		return a.WaitingPlain(ended+1, &p, c.there(ctx, node, p.NodeID), c.Timeout, time.Now())
	}
}

// tellDialling says once, on standard error, that a peer is being dialled, if that takes long.
// The verb reports each answer, and stops the teller at the end.
func tellDialling(a *app, peer string) *waitTeller {
	node := a.client().AtOnce()
	return tellWaiting(a, func(ctx context.Context, _ uint64) string {
		key, _, _ := strings.Cut(peer, "::")
		p, err := node.Peer(ctx, key)
		if err != nil && client.CodeOf(err) != inspect.CodeNotFound || p.Connection != nil {
			return "" // the verb itself reports the error, or waits for the peer
		}
		return a.Dialling(peer, &p)
	})
}

// receiver asks a node what it knows of the peer that the messages are for.
func (c *sendCmd) receiver(ctx context.Context, node *client.Client) (models.Peer, error) {
	peer, _, _ := strings.Cut(*c.Peer, "::")
	return node.Peer(ctx, peer)
}

// there asks a node what a peer has read of messages that are to be kept or handled.
func (c *sendCmd) there(ctx context.Context, node *client.Client, peer string) render.There {
	there := render.There{Outcome: c.outcome()}
	if there.Outcome == "" {
		return there
	}
	x, err := node.Actor(ctx, "node/services/outcomes")
	if err != nil {
		return there
	}
	list, _ := x.Detail.([]any)
	for _, of := range list {
		if of, _ := of.(map[string]any); of["peer"] == peer {
			read, _ := of["read"].(float64)
			refused, _ := of["refused"].(float64)
			there.Read, there.Refused = read > 0, refused > 0
		}
	}
	return there
}

// tellAway returns functions that say on standard error that the peer is away.
func (c *sendCmd) tellAway(a *app, waits *waitTeller) outlast.Away {
	return outlast.Away{
		Begin: func(last models.Outcome) {
			waits.stop()
			a.Note("%s", render.Away(last, c.Timeout))
		},
		Over: func() { a.Note("The peer is back.") },
		Limit: func(last models.Outcome, rest bool) {
			why := render.Cause(last)
			if last.Reason == protocol.Expired.String() {
				why = c.whyLate(a)
			}
			a.Note("%s", render.GaveUp(c.Timeout, why, rest))
		},
	}
}

// whyLate returns why a message to the peer had no outcome, as far as the node knows.
func (c *sendCmd) whyLate(a *app) string {
	ctx, cancel := context.WithTimeout(a.ctx, waitAsked)
	defer cancel()
	p, err := c.receiver(ctx, a.client())
	if err != nil {
		return protocol.Expired.String()
	}
	return render.Late(&p, c.there(ctx, a.client(), p.NodeID), time.Now())
}
