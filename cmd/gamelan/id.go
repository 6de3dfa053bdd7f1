package main

import (
	"errors"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/phrases"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

type idCmd struct {
	Address bool `help:"Write only KEY::ADDRESS, on one line, with the address that most others can reach." aliases:"seed"`
	All     bool `help:"With --address: write a line for each address, the best first."`
}

// Help returns the text of gamelan id --help below the flags.
func (*idCmd) Help() string {
	return "KEY::ADDRESS is what other nodes need to reach this one: give it to them. " +
		"For a node that is not running, --address writes where it will listen, if that is known from its settings or from its last start."
}

func (c *idCmd) Run(a *app) error {
	if c.All && !c.Address {
		return failure.Usage("leave it out, or add --address", "--all belongs to --address")
	}
	node := a.client()
	if a.remote != nil {
		return c.remote(a, node)
	}
	id, err := a.dir.Load()
	switch {
	case errors.Is(err, gamelan.ErrNoIdentity): // the node that is starting makes one
		node.Await(a.ctx)
		id, err = a.dir.Load()
	case err == nil && !c.Address && !a.dir.Used(): // no node is starting, and the key file is enough
		node = node.AtOnce()
	}
	if err != nil {
		return err
	}
	n, err := node.Node(a.ctx)
	key := id.Secret.PublicKey()
	self := render.NewIdentity(key, id.NetworkName(), nil)
	switch f := phrases.Of(err, a.dir, a.patience); {
	case err == nil:
		self = render.NewIdentity(key, id.NetworkName(), &n)
	case f.Code != failure.ExitUnreachable || f.Kind == client.CodeSilent:
		return err
	case c.Address && f.Kind != client.CodeNotRunning:
		return err
	case c.Address:
		addrs, err := a.willListen(id.Network)
		if err != nil {
			return err
		}
		self.Seeds = render.Pasteable(key, addrs)
		a.Note("The node is not running; this is where it will listen. Start it with: %s", a.Command("node"))
	}
	if c.Address {
		return render.ShowAddress(a.Output, self, c.All)
	}
	return render.ShowIdentity(a.Output, self)
}

// remote shows the identity of a node that is asked over TCP.
func (c *idCmd) remote(a *app, node *client.Client) error {
	n, err := node.Node(a.ctx)
	if err != nil {
		return err
	}
	key, err := identity.ParsePublicKey(n.PublicKey)
	if err != nil {
		return err
	}
	self := render.NewIdentity(key, n.Network, &n)
	if c.Address {
		return render.ShowAddress(a.Output, self, c.All)
	}
	return render.ShowIdentity(a.Output, self)
}

// willListen returns the addresses that the node will tell its peers once it is started, of its
// settings or on the port that it had last. It fails if the start decides on them.
func (a *app) willListen(network protocol.Network) (addrs []string, err error) {
	l := a.load(nil)
	if len(l.Problems) > 0 {
		return nil, daemonconfig.Problems(l.Problems)
	}
	c, profile := l.Config.Node, protocol.Tari(network)
	listen := c.PublicAddresses
	switch {
	case len(listen) > 0:
	case c.Transport == gamelan.TransportTor || c.Transport == gamelan.TransportSOCKS: // others see another address
	case len(c.Listen) == 1 && c.Listen[0] == gamelan.ListenNowhere:
		return nil, nil
	case len(c.Listen) > 0:
		listen = c.Listen
	case profile.TestAddresses && network != protocol.PrivateNet:
		listen = a.dir.KeptAddress()
	default:
		listen = []string{"/ip4/0.0.0.0/tcp/18189"}
	}
	policy := address.Policy{TestAddresses: profile.TestAddresses, Max: profile.Limits.Addresses}
	for _, text := range listen {
		addr, err := address.Parse(text)
		if err != nil || anyPort(addr) {
			continue
		}
		expanded, err := transport.Expand(addr)
		if err != nil {
			return nil, err
		}
		for _, e := range expanded {
			if len(addrs) < policy.Max && policy.Check([]ma.Multiaddr{e}) == nil {
				addrs = append(addrs, e.String())
			}
		}
	}
	if len(addrs) == 0 {
		return nil, failure.Unreachable("not_running", "start it with \""+a.Command("node")+"\", or choose its address with the setting node.listen",
			"no node is running in %s, and its address is known only when it runs", a.dir.Path)
	}
	return addrs, nil
}

// anyPort reports whether the system chooses the port when the node starts.
func anyPort(a ma.Multiaddr) bool {
	port, err := a.ValueForProtocol(ma.P_TCP)
	return err == nil && port == "0"
}
