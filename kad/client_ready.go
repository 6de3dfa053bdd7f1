package kad

import (
	"context"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

// WaitReady returns nil when the client has entered its network and has a contact that it
// may ask: at once, or as soon as that is so. Otherwise it waits until ctx ends. Then the
// error wraps ctx's and says what is missing: [ErrNoPeers], [ErrIsolated], or that the
// client is still looking for its place. If the client is closed, it fails with [ErrClosed].
func (c *Client) WaitReady(ctx context.Context) error {
	for {
		events := c.Events(ctx) // before the first look, so that no change is missed
		if c.ready() {
			return nil
		}
		for range events {
			if c.ready() {
				return nil
			}
		}
		switch {
		case c.x.closing.Load():
			return ErrClosed
		case ctx.Err() != nil:
			return c.notReady(ctx.Err())
		}
		_ = supervisor.Sleep(ctx, eventsAgain) // ctx is looked at in the next round
	}
}

// eventsAgain is the pause after events that could not be read: the actor restarts.
const eventsAgain = 50 * time.Millisecond

func (c *Client) ready() bool { return c.State() == Ready && c.View().Len() > 0 }

// notReady returns what a client lacks to be ready.
func (c *Client) notReady(ended error) error {
	switch n := c.View().Len(); {
	case n > 0:
		return fmt.Errorf("kad: client %s is not ready: it knows %d contacts and still looks for its place in the network (%s): %w", c.Name(), n, c.State(), ended)
	}
	return fmt.Errorf("kad: client %s is not ready: %w: %w", c.Name(), c.x.nobody(), ended)
}
