package main

import (
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/protocol"
)

type initCmd struct {
	Network string `help:"Network of the identity: localnet, mainnet, stagenet, nextnet, igor or esmeralda, or the file of a private one (default: that of the settings, else localnet)." placeholder:"NAME"`
}

func (c *initCmd) Run(a *app) error {
	network, private, err := c.network(a)
	if err != nil {
		return err
	}
	id, err := a.dir.Create(network, private)
	if err != nil {
		return err
	}
	return render.Made(a.Output, a.dir.Path, render.NewIdentity(id.Secret.PublicKey(), id.NetworkName(), nil))
}

// network returns the network of the flag, or else of the settings.
func (c *initCmd) network(a *app) (n protocol.Network, private string, err error) {
	if c.Network == "" {
		l := a.load(nil)
		if len(l.Problems) > 0 {
			return 0, "", daemonconfig.Problems(l.Problems)
		}
		return daemonconfig.Network(l)
	}
	n, private, err = daemonconfig.NetworkNamed(c.Network)
	switch {
	case err == nil:
	case config.IsNetworkFile(c.Network):
		err = networkFileError(c.Network, err)
	default:
		err = networkUsage(c.Network)
	}
	return n, private, err
}

func networkUsage(name string) error {
	return failure.Usage("use localnet, mainnet, stagenet, nextnet, igor or esmeralda, or the path of the file of a private network", "unknown network %q", name)
}
