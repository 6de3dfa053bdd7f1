package product

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

const listeners = 25

// Idle is gamelan/idle-connections-N: 25 listening nodes, n/25 dialling ones,
// each connected to every listener, all in one actor system; the cost of one
// connection end after two seconds of rest. The nodes themselves are not
// counted.
func Idle(n int) harness.Case {
	return harness.Case{Name: fmt.Sprintf("gamelan/idle-connections-%d", n), Fresh: true, Rounds: 2, Run: func(m *harness.Meter) error {
		g, err := newGrid(m.Context(), listeners, n/listeners, gamelan.Config{})
		if err != nil {
			return err
		}
		return m.Memory(2*n, 2*time.Second, func() (func(), error) {
			return g.drop, g.connectAll()
		})
	}}
}

// drop closes what a memory case has measured; how it ends is not its business.
func (g *grid) drop() { _ = g.close() }

// IdleMessaging is gamelan/idle-messaging-N: the same after one message in each
// direction of every connection, so that a messaging substream is open each
// way, and five seconds of rest.
func IdleMessaging(n int) harness.Case {
	return harness.Case{Name: fmt.Sprintf("gamelan/idle-messaging-%d", n), Fresh: true, Rounds: 2, Run: func(m *harness.Meter) error {
		return idleAfter(m, listeners, n/listeners, 1, 32)
	}}
}

// IdleAfter is gamelan/idle-after-64MiB: fifty connections over each of which
// 64 MiB have gone, half each way, in messages of 1 KiB, and five seconds of
// rest.
func IdleAfter() harness.Case {
	return harness.Case{Name: "gamelan/idle-after-64MiB", Fresh: true, Rounds: 2, Limit: 3 * time.Minute, Run: func(m *harness.Meter) error {
		const total, one = 64 << 20, 1 << 10
		return idleAfter(m, 10, 5, total/2/one, one)
	}}
}

// idleAfter measures a grid after messages each way over every connection.
func idleAfter(m *harness.Meter, listeners, dialers, messages, n int) error {
	var received atomic.Uint64
	g, err := newGrid(m.Context(), listeners, dialers, gamelan.Config{}, count(&received))
	if err != nil {
		return err
	}
	connections := listeners * dialers
	return m.Memory(2*connections, 5*time.Second, func() (func(), error) {
		if err := g.connectAll(); err != nil {
			return nil, errors.Join(err, g.close())
		}
		body := payload(n)
		err := g.pairs(func(from *gamelan.Node, to identity.NodeID) error {
			return sendAll(m.Context(), from, to, body, messages)
		})
		if err != nil {
			return nil, errors.Join(err, g.close())
		}
		want := uint64(2 * connections * messages)
		return g.drop, until(m, func() bool { return received.Load() == want })
	})
}

// sendAll sends body so many times and returns when all are confirmed.
func sendAll(ctx context.Context, from *gamelan.Node, to identity.NodeID, body []byte, times int) error {
	var open []*gamelan.Pending[gamelan.Outcome]
	confirmed := func() error {
		out := open[0].Wait(ctx)
		open = open[1:]
		if out.Kind != protocol.Confirmed {
			return fmt.Errorf("got %v, want confirmed", out)
		}
		return nil
	}
	for range times {
		p, err := from.Submit(ctx, to, body)
		if err != nil {
			return err
		}
		if open = append(open, p); len(open) > callers(len(body))/2 {
			if err := confirmed(); err != nil {
				return err
			}
		}
	}
	for len(open) > 0 {
		if err := confirmed(); err != nil {
			return err
		}
	}
	return nil
}
