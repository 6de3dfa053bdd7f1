package product

import (
	"context"
	"errors"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/bench/harness"
)

// Connect8 is gamelan/connect+close-8dialers: eight dialling nodes, one
// goroutine each, against one listening node: connect, which returns when the
// connection is adopted, close in order, at once again.
func Connect8() harness.Case {
	return harness.Case{Name: "gamelan/connect+close-8dialers", Run: func(m *harness.Meter) (err error) {
		g, err := newGrid(m.Context(), 1, 8, gamelan.Config{})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, g.close()) }()
		for _, d := range g.dialers {
			if err := introduce(g.ctx, d, g.listeners[0]); err != nil {
				return err
			}
		}
		return m.Parallel(8, func(i int) error {
			return connectAndClose(g.ctx, g.dialers[i], g.listeners[0])
		}, 16)
	}}
}

func connectAndClose(ctx context.Context, d, l *gamelan.Node) error {
	if err := dialAgain(ctx, d, l); err != nil {
		return err
	}
	return d.Disconnect(ctx, l.ID())
}

// dialAgain dials until it is not too early any more: the other side may not have noticed
// the end of the last connection yet, and keep that one.
func dialAgain(ctx context.Context, d, l *gamelan.Node) error {
	_, err := d.Dial(ctx, l.ID())
	for errors.Is(err, actors.ErrConnectionClosed) {
		_, err = d.Dial(ctx, l.ID())
	}
	return err
}
