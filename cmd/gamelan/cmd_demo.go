package main

import (
	"context"
	"log/slog"
	"time"
)

type demoCmd struct {
	Messages int `help:"How many messages to send." default:"10000" placeholder:"N"`
}

// demoTimeout bounds the whole demonstration.
const demoTimeout = 60 * time.Second

func (c *demoCmd) Run(a *app) error {
	if c.Messages < 4 || c.Messages > 10_000_000 {
		return usage("give a number from 4 to 10,000,000", "--messages cannot be %d", c.Messages)
	}
	ctx, cancel := context.WithTimeout(a.ctx, demoTimeout)
	defer cancel()
	logger := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelError}))
	d, err := startDemo(ctx, logger)
	if err != nil {
		return err
	}
	defer d.close()
	show := &demoPrinter{app: a}
	show.nodes(d)
	stop := show.progress(uint64(c.Messages), d.done.Load)
	r, err := d.run(ctx, c.Messages)
	stop()
	if err == nil {
		err = d.measure(ctx, r)
	}
	if err != nil {
		return err
	}
	return show.result(r)
}
