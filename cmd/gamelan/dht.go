package main

import (
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
)

type dhtCmd struct{}

func (*dhtCmd) Run(a *app) error {
	d, err := a.client().DHT(a.ctx)
	if err != nil {
		return err
	}
	return render.DHT(a.Output, &d, time.Now())
}
