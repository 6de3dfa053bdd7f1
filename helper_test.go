package gamelan_test

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// discard is for what a test provokes.
var discard = slog.New(slog.DiscardHandler)

// slowLink is a link across the country.
var slowLink = memory.Link{Latency: 20 * time.Millisecond}

// echo gives back what it reads on its substreams.
type echo struct{}

func newEcho(*gamelan.Node) actor.Actor { return echo{} }

func (echo) Receive(c actor.Context) {
	m, ok := c.Message().(actors.SubstreamOpened)
	if !ok {
		return
	}
	if s, ok := m.Stream.Take(); ok {
		supervisor.Go(c, "copy", s, func(context.Context) error {
			if _, err := io.Copy(s, s); err != nil {
				return err
			}
			return s.CloseWrite()
		})
	}
}
