package saf

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/deadline"
)

// Client decides whom this node asks for the messages that are kept for it, and when (spec:
// dht 8.4, V21). It asks each server until the server has nothing new: that is a run. The
// waiters of a [Fetch] are of type W. A Client is not safe for concurrent use.
type Client[W comparable] struct {
	o         ClientOptions
	servers   map[identity.NodeID]*server
	runs      []*run // in the order of their beginning
	fetches   []*fetch[W]
	online    int       // peers when the node first came online; 0 before
	announced bool      // tell has said it
	born      time.Time // of the first step
	missed    time.Time // of the last [Missed]; zero for never
	stats     ClientStats
	out       []ClientEffect
	now       time.Time
	wall      time.Time
}

// ClientOptions are the settings of a [Client].
type ClientOptions struct {
	Self identity.NodeID
	// NoRequests: only a [Fetch] asks.
	NoRequests bool
	// Minimise is how many connections the node aims at if it keeps few; then only the
	// nearest so many are asked without a Fetch. 0: it does not keep few.
	Minimise int
	// SinceLast asks for the messages since the server's watermark only. Servers of the
	// reference delete all older messages then, also those for others (Q9, Q24).
	SinceLast bool
	// Watermarks are those that were saved. Nil is none.
	Watermarks *Watermarks
	// Random spreads requests in time and draws their numbers. It must be set, and
	// seeded unpredictably.
	Random *rand.Rand
}

// NewClient returns a client without connections.
func NewClient[W comparable](o ClientOptions) *Client[W] {
	if o.Watermarks == nil {
		o.Watermarks = new(Watermarks)
	}
	return &Client[W]{o: o, servers: make(map[identity.NodeID]*server)}
}

// ClientStats counts what a client did.
type ClientStats struct {
	Requests    uint64 // sent
	NotSent     uint64 // requests that were not written
	Answers     uint64 // responses to requests
	Unanswered  uint64 // requests without response within [AnswerTimeout]
	Unrequested uint64 // responses that nobody asked for, or over [RequestAge] late
	Damaged     uint64 // answers that were refused, without an offence
	Offences    uint64 // answers that were refused, and their server banned
	Messages    uint64 // in answers
	Delivered   uint64
	Duplicates  uint64
	Refused     uint64 // letters that no actor took
	Ahead       uint64 // letters from a server whose clock is over [ClockSkew] ahead of ours; they count above too
	Skipped     [skips]uint64
	Runs        uint64 // ended
	Complete    uint64 // … because the server had nothing new
}

// Step applies an event and returns what to do about it, in order. Now is a clock that
// never steps; wall is the system's clock.
func (c *Client[W]) Step(now, wall time.Time, e ClientEvent) []ClientEffect {
	c.out, c.now, c.wall = nil, now, wall
	if c.born.IsZero() {
		c.born = now
	}
	switch e := e.(type) {
	case Connected:
		c.connected(e)
	case Disconnected:
		c.disconnected(e)
	case Online:
		if c.online == 0 {
			c.online = e.Peers
		}
		c.tell()
	case Fetch[W]:
		c.fetch(e)
	case GaveUp[W]:
		c.fetches = slices.DeleteFunc(c.fetches, func(f *fetch[W]) bool { return f.waiter == e.Waiter })
	case NotSent:
		c.notSent(e)
	case Answered:
		c.answered(e)
	case Missed:
		c.missedOne()
	case Due:
	default:
		panic(fmt.Sprintf("saf: unknown event %T", e))
	}
	c.advance()
	return c.out
}

func (c *Client[W]) do(e ClientEffect) { c.out = append(c.out, e) }

// tell says once that enough responses have come.
func (c *Client[W]) tell() {
	good := c.stats.Answers - c.stats.Damaged - c.stats.Offences
	if !c.announced && c.online > 0 && good >= uint64(c.online) {
		c.announced = true
		c.do(Received{int(good)})
	}
}

// answered records the end of a response.
func (c *Client[W]) answered(e Answered) {
	c.stats.Answers++
	switch {
	case e.Violation != nil:
		c.stats.Offences++
	case e.Err != nil:
		c.stats.Damaged++
	}
	for skip, n := range e.Skipped {
		c.stats.Skipped[skip] += uint64(n)
	}
	t := tally(e)
	c.stats.Messages += uint64(t.Messages)
	c.stats.Delivered += uint64(t.Delivered)
	c.stats.Duplicates += uint64(t.Duplicates)
	c.stats.Refused += uint64(t.Refused)
	c.stats.Ahead += uint64(t.Ahead)
	c.tell()
	s := c.servers[e.Peer]
	if s == nil {
		return
	}
	s.reading = max(0, s.reading-1)
	failed := s.failed
	if e.Err == nil {
		s.failed = 0
	}
	switch {
	case e.unhandled() || e.Err != nil:
		s.doubt = c.now
		if late := s.run == nil || s.run.later(c.now); late && e.Err == nil { // no run says whether it was known
			s.checks = 0
		}
		c.lookAgain(s)
	case failed > 0:
		c.recovered(s)
	}
	if s.run != nil {
		c.answeredRun(s.run, e, t)
	}
}

// Abandon ends all runs and fetches with err, because the actor of the client is restarted:
// responses in its hands are lost. What is known of the servers stays. No run begins again before
// the next [Connected].
func (c *Client[W]) Abandon(now, wall time.Time, err error) []ClientEffect {
	c.out, c.now, c.wall = nil, now, wall
	for len(c.runs) > 0 {
		c.leave(c.runs[0], err)
	}
	for _, s := range c.servers {
		if s.reading > 0 {
			s.reading, s.doubt = 0, now
		}
	}
	return c.out
}

// Next returns when [Due] is due; zero for never.
func (c *Client[W]) Next() (next time.Time) {
	room, queued := c.autoRoom(), false
	for _, r := range c.runs {
		if r.stage != StageQueued || room {
			next = deadline.Earlier(next, r.until())
		} else {
			queued = true
		}
	}
	if queued {
		for _, r := range c.runs {
			if c.holdsPlace(r) && r.stage == StageWaiting {
				next = deadline.Earlier(next, r.slow())
			}
		}
	}
	return next
}

// Stats returns the counts.
func (c *Client[W]) Stats() ClientStats { return c.stats }

// Watermarks returns the watermarks of the servers.
func (c *Client[W]) Watermarks() []Watermark { return c.o.Watermarks.List() }

// request returns the next request to a server (spec: dht 97, 145).
func (c *Client[W]) request(peer identity.NodeID) wire.StoredRequest {
	r := wire.StoredRequest{RequestID: max(1, c.o.Random.Uint32()), Limit: AnswerLimit} // 0: a response without a number
	if c.o.SinceLast {
		r.Since = c.o.Watermarks.Since(c.wall, peer)
	}
	return r
}
