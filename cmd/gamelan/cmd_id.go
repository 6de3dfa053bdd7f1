package main

import (
	"errors"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/inspect"
)

type idCmd struct {
	Seed bool `help:"Write only KEY::ADDRESS, one line for each address, for pasting into other commands."`
}

func (c *idCmd) Run(a *app) error {
	client := a.client()
	id, err := a.dir.load()
	switch {
	case errors.Is(err, gamelan.ErrNoIdentity): // the node that is starting makes one
		client.await(a.ctx)
		id, err = a.dir.load()
	case err == nil && !c.Seed && !a.dir.used(): // no node is starting, and what is in the file is enough
		client.wait = waiting{}
	}
	if err != nil {
		return err
	}
	var n inspect.Node
	err = client.getJSON(a.ctx, "/v1/node", &n)
	if f := (*failure)(nil); errors.As(err, &f) && f.code == exitUnreachable {
		if c.Seed {
			return err // without a running node there is no address
		}
		return printID(a, identityOf(id, nil))
	}
	switch {
	case err != nil:
		return err
	case c.Seed:
		return printSeeds(a, identityOf(id, &n))
	}
	return printID(a, identityOf(id, &n))
}

// identityJSON is what id and init say with --json. Seeds are the node's
// addresses in the form that send and node understand, KEY::ADDRESS.
type identityJSON struct {
	NodeID    string   `json:"node_id"`
	PublicKey string   `json:"public_key"`
	Network   string   `json:"network"`
	Running   bool     `json:"running"`
	Seeds     []string `json:"seeds"`
}

// identityOf joins the key file with what the running node says; nil when
// none runs.
func identityOf(id gamelan.Identity, n *inspect.Node) identityJSON {
	key := id.Secret.PublicKey()
	i := identityJSON{key.NodeID().String(), key.String(), id.Network.String(), n != nil, []string{}}
	if n != nil {
		i.Network = n.Network
		for _, addr := range n.Addresses {
			i.Seeds = append(i.Seeds, key.String()+"::"+addr)
		}
	}
	return i
}
