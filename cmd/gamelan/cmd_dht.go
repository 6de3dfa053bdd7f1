package main

import (
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
)

type dhtCmd struct{}

func (*dhtCmd) Run(a *app) error {
	var d inspect.DHT
	if err := a.client().getJSON(a.ctx, "/v1/dht", &d); err != nil {
		return err
	}
	return printDHT(a, &d, time.Now())
}
