package main

import (
	"context"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

type dialCmd struct {
	Peer []string `arg:"" peer:"" help:"A name or public key that gamelan peers lists, or ${seed}."`
}

// Help returns the text of gamelan dial --help below the flags.
func (*dialCmd) Help() string {
	return givenHelp + "\n\nThe exit code is 1 if a peer could not be reached; \"gamelan why PEER\" then shows what the node has tried."
}

// Run makes the node connect to each peer.
func (c *dialCmd) Run(a *app) error {
	return doToPeers(a, c.Peer, api.CheckPeer, "connected to", func(node *client.Client, ctx context.Context, peer string) (models.PeerDone, error) {
		a.tellConnected(peer)
		defer tellDialling(a, peer).stop()
		return node.Dial(ctx, peer)
	})
}

type disconnectCmd struct {
	Peer []string `arg:"" peer:"" help:"A name or public key that gamelan conns lists."`
}

// Run makes the node close the connection to each peer cleanly.
func (c *disconnectCmd) Run(a *app) error {
	return doToPeers(a, c.Peer, api.CheckKnownPeer, "disconnected", (*client.Client).Disconnect)
}
