package product

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Restart is gamelan/actor-restart: the time from a panic in a protocol actor
// until its next incarnation has handled the message that waited behind. Each
// actor panics once: the first restart comes at once, later ones wait by design.
func Restart() harness.Case {
	return harness.Case{Name: "gamelan/actor-restart", Run: func(m *harness.Meter) (err error) {
		// The panics are logged as ever, to nowhere.
		log := gamelan.WithLogger(slog.New(slog.NewTextHandler(discard{}, &slog.HandlerOptions{Level: slog.LevelWarn})))
		n, err := gamelan.Start(m.Context(), gamelan.Config{Listen: []string{gamelan.ListenNowhere}, NoDHT: true}, log)
		if err != nil {
			return err
		}
		ns := &nodes{all: []*gamelan.Node{n}}
		defer func() { err = errors.Join(err, ns.close()) }()
		served := make(chan time.Time, 1)
		var panicked time.Time
		fresh := func(*gamelan.Node) actor.Actor {
			return receive(func(c actor.Context) {
				switch c.Message().(type) {
				case crash:
					panicked = time.Now()
					panic("on request")
				case serveOne:
					served <- time.Now()
				}
			})
		}
		var latencies []time.Duration
		for end := time.Now().Add(m.Window()); time.Now().Before(end); {
			id := protocol.ID(fmt.Sprintf("/bench/restart/%d", len(latencies)))
			if err := n.Register(m.Context(), id, fresh); err != nil {
				return err
			}
			pid, ok := n.Actor(string(id))
			if !ok {
				return fmt.Errorf("%s is not in the protocol table", id)
			}
			n.System().Root.Send(pid, crash{})
			n.System().Root.Send(pid, serveOne{})
			select {
			case at := <-served:
				latencies = append(latencies, at.Sub(panicked))
			case <-m.Context().Done():
				return m.Context().Err()
			}
			if err := n.Unregister(m.Context(), id); err != nil {
				return err
			}
		}
		return m.Latencies(latencies)
	}}
}

type (
	crash    struct{}
	serveOne struct{}
)

// discard takes what is written. Unlike io.Discard slog does not know it, and
// formats what it logs.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
