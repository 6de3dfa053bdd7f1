package product

import (
	"context"
	"math/rand/v2"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	wire "github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
)

// outcomeBooks has four identities have the node open books as fast as they are read. Each frame is of an epoch that nobody has
// seen: a message for another line, with a number as far ahead as the node takes, a greeting, or a question about what was never
// sent. None reaches the handler, which would be busy with them. The honest peer waits until its messages are handled. A stroke
// is a frame.
func outcomeBooks() attack {
	const identities, each = 4, 64
	return attack{
		name: "outcome-books", outcome: gamelan.Handled(),
		prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			return func(ctx context.Context, count *atomic.Uint64) error {
				return atATime(identities, func() error {
					return repeat(ctx, func() error {
						session, err := sessionNew(seed)
						if err != nil {
							return err
						}
						defer session.Close()
						w, err := writerOf(session, wire.ID)
						if err != nil {
							return err
						}
						for ctx.Err() == nil {
							if err := w.batch(bookFrames(each), count); err != nil {
								return err
							}
						}
						return nil
					})
				})
			}, nil
		},
		stage: func(_ context.Context, n *gamelan.Node) (func(*harness.Meter), error) {
			return func(m *harness.Meter) {
				v, _ := n.Inspection().Sections.Value(context.Background(), "outcomes")
				for _, f := range models.Figures(v) {
					if x, ok := f.Value.(int64); ok && f.Path == "bytes" {
						m.Report("books bytes", float64(x))
					}
				}
			}, nil
		},
	}
}

// bookFrames are n frames, each of an epoch of its own.
func bookFrames(n int) []entry {
	all := make([]entry, n)
	for i := range all {
		epoch, settled := wire.Epoch(rand.Uint64()), rand.Uint64N(1<<50)
		switch i % 3 {
		case 0:
			all[i].Body = append(wire.AppendMessage(nil, &wire.Message{Epoch: epoch, Number: settled + wire.Window, Settled: settled, Want: wire.Handled, Line: wire.Line(rand.Uint64() | 1)}), 'x')
		case 1:
			all[i].Body = wire.AppendAsk(nil, wire.Ask{Epoch: epoch})
		default:
			all[i].Body = wire.AppendAsk(nil, wire.Ask{Epoch: epoch, Line: wire.Line(rand.Uint64() | 1), Of: []wire.Range{{First: 1, Last: wire.MaxAsked}}})
		}
	}
	return all
}
