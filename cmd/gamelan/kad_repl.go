package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/actors/kad"
	"github.com/gamelan-p2p/gamelan/actors/kad/seed"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/kadrepl"
)

// kadReplCmd runs a node of the overlay Seed of its own, and reads verbs from standard input.
type kadReplCmd struct {
	Listen string `help:"Multiaddr of the socket; port 0 lets the system choose." default:"/ip4/0.0.0.0/udp/12345" placeholder:"ADDR"`
}

func (*kadReplCmd) noDataDir() {}

// Help returns the text of gamelan kad repl --help below the flags.
func (*kadReplCmd) Help() string {
	return "The verbs, one in a line, are connect MULTIADDR, save KEY VALUE, query KEY, status and help. The node keeps nothing on the disk, and stops at the end of the input."
}

// replStop is how long the node of the prompt may take to stop.
const replStop = 10 * time.Second

// Run works until the end of the input.
func (c *kadReplCmd) Run(a *app) (err error) {
	if a.JSON {
		return failure.Usage("leave --json out; gamelan kad get and put have it", "the prompt is for people")
	}
	socket, err := kad.SeedUDP(kad.SeedUDPOptions{Listen: c.Listen})
	if err != nil {
		return failure.Usage("give an address such as /ip4/0.0.0.0/udp/12345", "%v", err)
	}
	s := seed.New(seed.SHA1, 0, 0, 0, 0, 0)
	if err := s.RegisterGateway(socket); err != nil {
		return err
	}
	if err := s.Start(a.ctx); err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), replStop)
		defer cancel()
		if stopped := s.Stop(ctx); err == nil {
			err = stopped
		}
	}()
	client, err := s.Client()
	if err != nil {
		return err
	}
	for _, at := range client.Addresses() {
		fmt.Fprintf(a.Out, "listening on %s\n", at)
	}
	return kadrepl.Run(a.ctx, a.in, a.Out, s)
}
