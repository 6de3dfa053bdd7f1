package main

import (
	"context"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

type banCmd struct {
	Peer   []string      `arg:"" peer:"" help:"A name or public key that gamelan peers lists, or ${seed}."`
	For    time.Duration `help:"How long." default:"2h" placeholder:"TIME"`
	Reason string        `help:"Why; gamelan why and gamelan peers --json show it." default:"banned by the operator" placeholder:"TEXT"`
}

// Help returns the text of gamelan ban --help below the flags.
func (*banCmd) Help() string {
	return "A ban never shortens an earlier one; gamelan unban lifts it."
}

// Run makes the node ban each peer. A peer on the allow list is not banned.
func (c *banCmd) Run(a *app) error {
	if c.For <= 0 {
		return failure.Usage("give a positive duration, such as 2h", "--for cannot be %s", c.For)
	}
	return doToPeers(a, c.Peer, api.CheckPeer, "banned", func(node *client.Client, ctx context.Context, peer string) (models.PeerDone, error) {
		p, err := node.Ban(ctx, peer, c.For, c.Reason)
		if err == nil && p.BannedUntil.After(time.Now().Add(c.For+time.Second)) {
			a.Note("An earlier ban lasts longer. To shorten it: %s, then ban again.", a.Command("unban "+p.NodeID))
		}
		return p, err
	})
}

type unbanCmd struct {
	Peer []string `arg:"" peer:"" help:"A name or public key that gamelan peers lists."`
}

// Run makes the node lift the ban of each peer.
func (c *unbanCmd) Run(a *app) error {
	return doToPeers(a, c.Peer, api.CheckKnownPeer, "unbanned", (*client.Client).Unban)
}
