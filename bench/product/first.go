package product

import (
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// FirstMessage is gamelan/first-message: connect, send one message of 32 bytes, disconnect.
// The latency is that of the message alone, until it is confirmed; CPU and rate are those of
// everything.
func FirstMessage() harness.Case {
	return harness.Case{Name: "gamelan/first-message", Run: func(m *harness.Meter) (err error) {
		s := &nodes{ctx: m.Context()}
		defer func() { err = errors.Join(err, s.close()) }()
		to, err := s.start(gamelan.Config{}, handle(func(actor.Context) {}))
		if err != nil {
			return err
		}
		from, err := s.start(gamelan.Config{})
		if err != nil {
			return err
		}
		if err := introduce(s.ctx, from, to); err != nil {
			return err
		}
		body := payload(32)
		first := func() (time.Duration, error) {
			if err := dialAgain(s.ctx, from, to); err != nil {
				return 0, err
			}
			began := time.Now()
			out, err := from.Send(s.ctx, to.ID(), body)
			took := time.Since(began)
			if err == nil && out.Kind != protocol.Confirmed {
				err = fmt.Errorf("got %v, want confirmed", out)
			}
			return took, errors.Join(err, from.Disconnect(s.ctx, to.ID()))
		}
		return m.Timed(func(d time.Duration) (all []time.Duration, err error) {
			for end := time.Now().Add(d); time.Now().Before(end) || len(all) == 0; {
				took, err := first()
				if err != nil {
					return nil, err
				}
				all = append(all, took)
			}
			return all, nil
		})
	}}
}
