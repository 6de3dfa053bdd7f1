package main

import (
	"context"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

type peersAdmitCmd struct {
	Peer []string `arg:"" peer:"" help:"A public key, as gamelan id prints it on the other node, or a name."`
}

// Help returns the text of gamelan peers admit --help below the flags.
func (*peersAdmitCmd) Help() string {
	return "The list counts at once, and the data directory keeps it. It has an effect on a node with the setting connections.admit = \"listed\" alone. " +
		"It counts for connections: messages of authors that are not listed still come over the DHT when listed peers relay them."
}

func (c *peersAdmitCmd) Run(a *app) error {
	return changeAdmitted(a, c.Peer, "admitted", (*client.Client).Admit)
}

type peersUnadmitCmd struct {
	Peer []string `arg:"" peer:"" help:"A public key that gamelan peers admitted lists, or a name."`
}

func (c *peersUnadmitCmd) Run(a *app) error {
	return changeAdmitted(a, c.Peer, "no longer admitted:", (*client.Client).Unadmit)
}

// changeAdmitted changes the list of admitted peers.
func changeAdmitted(a *app, peers []string, done string, change func(*client.Client, context.Context, string) (models.Admitted, error)) error {
	keys := make([]string, len(peers))
	for i, p := range peers {
		key, err := a.wholeKey(p)
		if err != nil {
			return err
		}
		keys[i] = key.String()
	}
	open := false
	for _, key := range keys {
		r, err := change(a.client(), a.ctx, key)
		if err != nil {
			return err
		}
		open = open || r.Admit != config.AdmitListed
		if err := render.Admitted(a.Output, done, &r); err != nil {
			return err
		}
	}
	if open {
		a.Note("The node admits anyone: the list has no effect before connections.admit is \"listed\" (--admit listed).")
	}
	return nil
}

// wholeKey returns the public key that a text names: a key, which the node need not know, a name, or the
// first digits of the key of a peer that the node knows.
func (a *app) wholeKey(text string) (key identity.PublicKey, err error) {
	if text, err = a.named(text); err != nil {
		return key, err
	}
	if key, err = identity.ParsePublicKey(text); err == nil {
		return key, nil
	}
	if err = api.CheckKnownPeer(text); err != nil {
		return key, err
	}
	return a.keyOf(text)
}

type peersAdmittedCmd struct{}

func (*peersAdmittedCmd) Run(a *app) error {
	return printed(a, atNow(render.Admission))(a.client().Admission(a.ctx))
}
