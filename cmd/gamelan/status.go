package main

import (
	"context"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
)

type statusCmd struct {
	Timeout time.Duration `help:"How long the node may take to answer." default:"10s" placeholder:"TIME"`
}

func (c *statusCmd) Run(a *app) error {
	if c.Timeout <= 0 {
		return failure.Usage("give a positive duration, such as 10s", "--timeout cannot be %s", c.Timeout)
	}
	ctx, cancel := context.WithTimeout(a.ctx, c.Timeout)
	defer cancel()
	node := a.client()
	var s render.Status
	var err error
	if s.Node, err = node.Node(ctx); err != nil {
		return err
	}
	switch d, err := node.DHT(ctx); {
	case err == nil:
		s.DHT = &d
	case !failure.Is(err, inspect.CodeNotFound): // not found: the node of a program without this section
		return err
	}
	switch n, err := node.Network(ctx); {
	case err == nil:
		s.Discovery = &n
	case !failure.Is(err, inspect.CodeNotFound):
		return err
	}
	switch f, err := node.StoreForward(ctx); {
	case err == nil:
		s.Stored = &f
	case !failure.Is(err, inspect.CodeNotFound):
		return err
	}
	switch k, err := node.Kad(ctx); {
	case err == nil:
		s.Kad = &k
	case !failure.Is(err, inspect.CodeNotFound):
		return err
	}
	h, err := node.Health(ctx)
	if err != nil {
		return err
	}
	s.Healthy, s.Reasons = h.OK, h.Reasons
	s.Warnings = append(s.Warnings, h.Warnings...)
	s.Warnings = append(s.Warnings, render.Unheard(s.DHT, time.Now())...)
	return render.ShowStatus(a.Output, s, time.Now())
}
