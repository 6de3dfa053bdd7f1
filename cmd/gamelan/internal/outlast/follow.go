package outlast

import (
	"context"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Follow calls each with events as client.Follow does. When the node goes away later, Follow waits for it and
// goes on after the last event.
func Follow(ctx context.Context, c *client.Client, q inspect.EventQuery, each func(*models.Event) error, away NodeAway) error {
	for isAway, first := false, true; ; first = false {
		back := newReturn(isAway, away.Over)
		err := c.Follow(ctx, q, func(e *models.Event) error {
			back.say()
			if e.ID != "" {
				q.Since = e.ID
			}
			return each(e)
		})
		isAway = back.stop()
		if ctx.Err() != nil || !isGone(err) || first && client.CodeOf(err) != client.CodeGone {
			return err
		}
		if !isAway {
			away.Begin()
			isAway = true
		}
		if err := answering(ctx, c); err != nil {
			return err
		}
	}
}

// answering waits until a node that was away answers.
func answering(ctx context.Context, c *client.Client) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(nodeAgain):
		}
		if _, err := c.Node(ctx); !isGone(err) {
			return nil
		}
	}
}
