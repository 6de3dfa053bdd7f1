package main

import (
	"errors"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
)

type idCmd struct {
	Seed bool `help:"Write only KEY::ADDRESS, one line for each address, for pasting into other commands."`
}

func (c *idCmd) Run(a *app) error {
	node := a.client()
	id, err := a.dir.Load()
	switch {
	case errors.Is(err, gamelan.ErrNoIdentity): // the node that is starting makes one
		node.Await(a.ctx)
		id, err = a.dir.Load()
	case err == nil && !c.Seed && !a.dir.Used(): // no node is starting, and the key file is enough
		node.WaitFor(0, nil)
	}
	if err != nil {
		return err
	}
	n, err := node.Node(a.ctx)
	key := id.Secret.PublicKey()
	if f, ok := errors.AsType[*failure.Error](err); ok && f.Code == failure.ExitUnreachable {
		if c.Seed {
			return err // without a running node there is no address
		}
		return render.ShowIdentity(a.Output, render.NewIdentity(key, id.Network, nil))
	}
	switch {
	case err != nil:
		return err
	case c.Seed:
		return render.Seeds(a.Output, render.NewIdentity(key, id.Network, &n))
	}
	return render.ShowIdentity(a.Output, render.NewIdentity(key, id.Network, &n))
}
