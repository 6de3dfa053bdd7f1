package main

import (
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
)

type connsCmd struct {
	Closed bool `help:"The connections that have ended last, and why, instead of the live ones."`
}

func (c *connsCmd) Run(a *app) error {
	all, err := a.client().Connections(a.ctx, c.Closed)
	if err != nil {
		return err
	}
	return render.Connections(a.Output, all, c.Closed, time.Now())
}
