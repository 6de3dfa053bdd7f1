package kad

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Client is a running client of the key-value DHT. All methods may be called from any
// goroutine. Those with a context wait, at most until it ends, so an actor calls them in a
// task.
type Client struct {
	x      *core
	closed sync.Once
	err    error
}

// ask asks an actor of the client and waits for its reply.
func clientAsk[R any](ctx context.Context, c *Client, pid *actor.PID, m any) (R, error) {
	var none R
	if c.x.closing.Load() {
		return none, ErrClosed
	}
	r, err := supervisor.Ask[R](ctx, c.x.host.System(), pid, m)
	switch {
	case err == nil:
	case c.x.closing.Load():
		return none, ErrClosed
	case errors.Is(err, supervisor.ErrNoActor), errors.Is(err, supervisor.ErrFailed):
		return none, fmt.Errorf("%w: %w", ErrRestarted, err)
	}
	return r, err
}

// Name returns the client's name.
func (c *Client) Name() string { return c.x.Name }

// ID returns the client's id.
func (c *Client) ID() ID { return c.x.self }

// IDLen returns the length of ids in the client's overlay, in bytes.
func (c *Client) IDLen() int { return c.x.idLen() }

// Overlay returns the client's overlay.
func (c *Client) Overlay() Overlay { return c.x.Overlay }

// NetworkName returns the name of the network that the client's settings name; "" is the common one.
func (c *Client) NetworkName() string { return c.x.Network }

// PID returns the client's actor.
func (c *Client) PID() *actor.PID { return c.x.client }

// View returns the routing table of now. It never changes, and nobody waits for it.
func (c *Client) View() *View { return c.x.view.Load().View }

// Mode returns the present mode.
func (c *Client) Mode() Mode { return c.x.modeNow() }

// SetMode changes the mode of the running client.
func (c *Client) SetMode(ctx context.Context, m Mode) error {
	if m > ClientOnly {
		return fmt.Errorf("%w: mode %d", ErrConfig, m)
	}
	_, err := clientAsk[modeSet](ctx, c, c.x.client, setMode{m})
	return err
}

// State returns what the client is doing about its network.
func (c *Client) State() State { return State(c.x.state.Load()) }

// Addresses returns the addresses that lead to the client.
func (c *Client) Addresses() (all []Address) {
	for _, g := range c.x.gates {
		if own := g.own.Load(); own != nil {
			all = append(all, *own...)
		}
	}
	return all
}

// Events returns the events from now on, until ctx ends or the client is closed.
func (c *Client) Events(ctx context.Context) iter.Seq[Event] {
	first, err := clientAsk[eventsRead](ctx, c, c.x.client, firstEvent{})
	next := first.next
	return func(yield func(Event) bool) {
		for err == nil {
			var r eventsRead
			if r, err = clientAsk[eventsRead](ctx, c, c.x.client, awaitEvents{next}); errors.Is(err, ErrRestarted) {
				err = nil // the actor failed, and has its events
				continue
			}
			if err != nil || r.closed {
				return
			}
			for _, e := range r.events {
				if !yield(e) {
					return
				}
			}
			next = r.next
		}
	}
}

// Close ends the client: calls under way fail with [ErrClosed], lookups end, what is not on the
// disk yet is written, and what a put has said to be sent leaves. It is idempotent, and takes until ctx ends at most.
func (c *Client) Close(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, closeTimeout)
		defer cancel()
	}
	c.closed.Do(func() { c.err = c.close(ctx) })
	return c.err
}

func (c *Client) close(ctx context.Context) error {
	x := c.x
	x.closing.Store(true)
	defer x.host.registry().remove(x.Name)
	err := c.end(ctx)
	for _, t := range []*turn{x.commits, x.saves} { // a task of an incarnation that failed may still write
		t.next()
		if t.wait(ctx) == nil {
			t.release()
		}
	}
	return errors.Join(err, closeKeeper(x.Keeper))
}

// end has the client's actors finish their work, and waits until they have stopped.
func (c *Client) end(ctx context.Context) error {
	sys, x := c.x.host.System(), c.x
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = x.host.Now().Add(closeTimeout)
	}
	_, err := supervisor.Ask[supervisor.Drained](ctx, sys, x.client, supervisor.Drain{Deadline: deadline})
	if errors.Is(err, supervisor.ErrNoActor) { // it has failed, or its host has ended
		err = nil
	}
	sys.Root.Send(x.host.Group(), supervisor.Detach{Name: x.Name})
	for _, pid := range []*actor.PID{x.host.Group(), x.client} { // the group has read Detach; the client has stopped
		_, gone := supervisor.Ask[supervisor.Drained](ctx, sys, pid, hasRead{})
		if ctx.Err() != nil && gone != nil {
			err = errors.Join(err, fmt.Errorf("kad: close client %s: %w", x.Name, ctx.Err()))
			break
		}
	}
	return err
}

// closeTimeout bounds a Close without a deadline.
const closeTimeout = 10 * time.Second
