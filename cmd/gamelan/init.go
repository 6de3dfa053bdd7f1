package main

import (
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/protocol"
)

type initCmd struct {
	Network string `help:"Network of the identity: localnet, mainnet, stagenet, nextnet, igor or esmeralda (default: that of the settings, else localnet)." placeholder:"NAME"`
}

func (c *initCmd) Run(a *app) error {
	network, err := c.network(a)
	if err != nil {
		return err
	}
	id, err := a.dir.Create(network)
	if err != nil {
		return err
	}
	return render.Made(a.Output, a.dir.Path, render.NewIdentity(id.Secret.PublicKey(), id.Network, nil))
}

// network returns the network of the flag, or else of the settings.
func (c *initCmd) network(a *app) (protocol.Network, error) {
	if c.Network == "" {
		l := a.load(nil)
		if len(l.Problems) > 0 {
			return 0, daemonconfig.Problems(l.Problems)
		}
		return daemonconfig.Network(l)
	}
	n, err := protocol.ParseNetwork(c.Network)
	if err != nil {
		return n, networkUsage(c.Network)
	}
	return n, nil
}

func networkUsage(name string) error {
	return failure.Usage("use localnet, mainnet, stagenet, nextnet, igor or esmeralda", "unknown network %q", name)
}
