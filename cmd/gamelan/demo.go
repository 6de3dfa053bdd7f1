package main

import (
	"context"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/demo"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
)

type demoCmd struct {
	Messages int `help:"How many messages to send." default:"10000" placeholder:"N"`
}

// demoTimeout bounds the whole demonstration.
const demoTimeout = 60 * time.Second

func (c *demoCmd) Run(a *app) error {
	if c.Messages < 4 || c.Messages > 10_000_000 {
		return failure.Usage("give a number from 4 to 10,000,000", "--messages cannot be %d", c.Messages)
	}
	ctx, cancel := context.WithTimeout(a.ctx, demoTimeout)
	defer cancel()
	return demo.Run(ctx, a.Output, c.Messages)
}
