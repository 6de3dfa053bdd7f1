package main

import "github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"

type dhtCmd struct{}

func (*dhtCmd) Run(a *app) error { return printed(a, atNow(render.DHT))(a.client().DHT(a.ctx)) }
