package kad

import (
	"context"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/lookup"
	"github.com/gamelan-p2p/gamelan/internal/kad/record"
)

// GetOption is an option of [Client.Get] and [Client.Closest].
type GetOption func(*getOptions)

type getOptions struct {
	quorum int
	stale  time.Duration
	traced func(Step)
	result *LookupResult
}

// Quorum is how many holders must agree on the newest version of a signed value.
func Quorum(n int) GetOption { return func(o *getOptions) { o.quorum = max(n, 1) } }

// MaxStale accepts a version of a signed value that the network confirmed at most d ago,
// without asking again.
func MaxStale(d time.Duration) GetOption { return func(o *getOptions) { o.stale = d } }

// Traced has f called for each step of the lookup as it happens, on the caller's goroutine.
func Traced(f func(Step)) GetOption { return func(o *getOptions) { o.traced = f } }

// Into has the result of the lookup written to r: why it ended, whom it asked, how long it
// took. It stays empty if the network was not asked.
func Into(r *LookupResult) GetOption { return func(o *getOptions) { o.result = r } }

// Get returns the record under a key. It fails with [ErrNotFound], also when the value was
// deleted, [ErrNoPeers], [ErrIsolated], a [*LimitError] or a [*LookupFailedError]. When ctx ends, Get
// returns at once, and the lookup ends unless others wait for it.
func (c *Client) Get(ctx context.Context, key Key, opts ...GetOption) (*Record, error) {
	o := getOptions{quorum: c.x.Params.Quorum}
	for _, f := range opts {
		f(&o)
	}
	local, err := clientAsk[localRecord](ctx, c, c.x.store, readLocal{key, o.stale})
	if err != nil {
		return nil, err
	}
	if local.enough {
		return alive(local.record)
	}
	mode := lookup.ForNewest
	if c.x.Overlay == Seed {
		mode, o.quorum = lookup.ForFirst, 0
	}
	r, err := c.look(ctx, key, mode, o)
	best := r.Record
	if local.record != nil && (best == nil || record.Compare(local.record, best) > 0) {
		best = local.record
	}
	if best != nil {
		return alive(best)
	}
	if err == nil && r.Answers == 0 {
		err = c.x.nobody()
	}
	if err == nil {
		err = fmt.Errorf("%w: %d nodes were asked", ErrNotFound, r.Asked)
	}
	return nil, err
}

// alive returns a record that is no tombstone.
func alive(r *Record) (*Record, error) {
	if r.Tombstone() {
		return nil, fmt.Errorf("%w: the value was deleted", ErrNotFound)
	}
	return r, nil
}

// Closest returns the nodes nearest to an id that answer, nearest first. It fails with
// [ErrNoPeers], [ErrIsolated], a [*LimitError] or a [*LookupFailedError].
func (c *Client) Closest(ctx context.Context, id ID, opts ...GetOption) ([]Contact, error) {
	var o getOptions
	for _, f := range opts {
		f(&o)
	}
	o.quorum = 0
	r, err := c.look(ctx, id, lookup.ForNodes, o)
	if err == nil && len(r.Nearest) == 0 {
		err = c.x.nobody()
	}
	return r.Nearest, err
}

// look runs a lookup on the caller's goroutine.
func (c *Client) look(ctx context.Context, target ID, mode lookup.Mode, o getOptions) (LookupResult, error) {
	token := c.x.ref()
	seen := 0
	var m any = startLookup{Token: token, Target: target, Mode: mode, Quorum: o.quorum, Traced: o.traced != nil}
	for {
		r, err := c.lookStep(ctx, token, m)
		if err != nil {
			return LookupResult{}, err
		}
		for _, s := range r.Steps {
			if o.traced != nil {
				c.show(token, o.traced, s)
			}
		}
		seen += len(r.Steps)
		if r.Done {
			if o.result != nil {
				*o.result = r.Result
			}
			return r.Result, r.Err
		}
		m = nextSteps{Token: token, Seen: seen}
	}
}

// show calls the caller's function. If it panics, the lookup is given up.
func (c *Client) show(token uint64, f func(Step), s Step) {
	done := false
	defer func() {
		if !done {
			c.x.tell(c.x.lookups, giveUp{token})
		}
	}()
	f(s)
	done = true
}

func (c *Client) lookStep(ctx context.Context, token uint64, m any) (*lookupReply, error) {
	r, err := clientAsk[*lookupReply](ctx, c, c.x.lookups, m)
	if err != nil {
		c.x.tell(c.x.lookups, giveUp{token})
	}
	return r, err
}
