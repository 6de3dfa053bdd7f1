package saf

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// Limits of fetches.
const (
	MaxServers = 8   // that one [Fetch] asks
	MaxFetches = 256 // at a time
)

// Errors of a [Fetch], with which nothing was asked.
var (
	// ErrNobodyToAsk reports that no connected peer stores messages for others. Connect to
	// one, or wait until the node is online.
	ErrNobodyToAsk = errors.New("saf: no connected peer stores messages for others")
	// ErrTooManyFetches reports [MaxFetches] running ones. Wait for one of them.
	ErrTooManyFetches = fmt.Errorf("saf: %d fetches are running", MaxFetches)
	// ErrTooManyServers reports more than [MaxServers]. Ask in several fetches.
	ErrTooManyServers = fmt.Errorf("saf: more than %d servers", MaxServers)
)

// fetch is a request of a waiter.
type fetch[W comparable] struct {
	waiter  W
	results []dht.FetchResult
	pending []identity.NodeID
}

func (c *Client[W]) fetch(e Fetch[W]) {
	chosen, err := c.choose(e.Servers)
	if len(c.fetches) >= MaxFetches {
		err = ErrTooManyFetches
	}
	if err != nil {
		c.do(Done[W]{Waiter: e.Waiter, Err: err})
		return
	}
	f := &fetch[W]{waiter: e.Waiter}
	for _, id := range chosen {
		f.results = append(f.results, dht.FetchResult{Server: id})
		s := c.servers[id]
		switch {
		case s == nil || !s.connected:
			f.results[len(f.results)-1].Err = ErrDisconnected
			continue
		case !s.serves:
			f.results[len(f.results)-1].Err = ErrNoServer
			continue
		}
		f.pending = append(f.pending, id)
		c.hurry(s)
	}
	c.fetches = append(c.fetches, f)
	c.finish()
}

// choose returns the servers to ask.
func (c *Client[W]) choose(named []identity.NodeID) (chosen []identity.NodeID, err error) {
	if len(named) > 0 {
		for _, id := range named {
			if !slices.Contains(chosen, id) {
				chosen = append(chosen, id)
			}
		}
		if len(chosen) > MaxServers {
			return nil, ErrTooManyServers
		}
		return chosen, nil
	}
	list := c.closest(false)
	if len(list) == 0 {
		list = c.closest(true)
	}
	if len(list) == 0 {
		return nil, ErrNobodyToAsk
	}
	for _, s := range list[:min(len(list), MaxServers)] {
		chosen = append(chosen, s.peer)
	}
	return chosen, nil
}

// hurry begins a run with the server now, or joins the one that is under way.
func (c *Client[W]) hurry(s *server) {
	if s.run == nil {
		c.begin(s, false, c.now)
	}
	if s.run.stage == StageQueued {
		s.run.auto, s.run.due = false, s.run.at
		s.run.wait(c.now)
	}
}

// deliver gives the result of a run to the fetches that wait for it.
func (c *Client[W]) deliver(r dht.FetchResult) {
	for _, f := range c.fetches {
		i := slices.Index(f.pending, r.Server)
		if i < 0 {
			continue
		}
		f.pending = slices.Delete(f.pending, i, i+1)
		at := slices.IndexFunc(f.results, func(o dht.FetchResult) bool { return o.Server == r.Server })
		f.results[at] = r
	}
	c.finish()
}

// finish ends the fetches that wait for nothing more.
func (c *Client[W]) finish() {
	c.fetches = slices.DeleteFunc(c.fetches, func(f *fetch[W]) bool {
		if len(f.pending) > 0 {
			return false
		}
		c.do(Done[W]{Waiter: f.waiter, Fetched: dht.Fetched{Servers: f.results}})
		return true
	})
}

// Fetches returns how many fetches are running.
func (c *Client[W]) Fetches() int { return len(c.fetches) }
