package main

import (
	"github.com/gamelan-p2p/gamelan/protocol"
)

type initCmd struct {
	Network string `help:"Network that the node belongs to: localnet, mainnet, stagenet, nextnet, igor or esmeralda (default: that of the settings, else localnet)." placeholder:"NAME"`
}

func (c *initCmd) Run(a *app) error {
	network, err := c.network(a)
	if err != nil {
		return err
	}
	id, err := a.dir.create(network)
	if err != nil {
		return err
	}
	return printInit(a, id)
}

// network is that of the flag, or of the settings.
func (c *initCmd) network(a *app) (protocol.Network, error) {
	if c.Network == "" {
		l := a.load(nil)
		if len(l.Problems) > 0 {
			return 0, problems(l.Problems)
		}
		return networkOf(l)
	}
	n, err := protocol.ParseNetwork(c.Network)
	if err != nil {
		return n, networkUsage(c.Network)
	}
	return n, nil
}

func networkUsage(name string) error {
	return usage("use localnet, mainnet, stagenet, nextnet, igor or esmeralda", "unknown network %q", name)
}
