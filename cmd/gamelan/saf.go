package main

import (
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
)

type safCmd struct {
	Status safStatusCmd `cmd:"" default:"withargs" help:"Show what the node stores for others, and whom it asked for its own messages."`
	Fetch  safFetchCmd  `cmd:"" help:"Ask connected nodes now for the messages that they store for this node."`
	Purge  safPurgeCmd  `cmd:"" help:"Delete messages that this node stores for others."`
}

type safStatusCmd struct{}

func (*safStatusCmd) Run(a *app) error {
	return printed(a, atNow(render.StoreForward))(a.client().StoreForward(a.ctx))
}

type safFetchCmd struct {
	Peer []string `arg:"" peer:"" optional:"" help:"Peers to ask, at most 8: a name or public key that gamelan peers lists, or ${seed}. The node connects to them first. Default: the connected nodes closest to this one."`
}

// Help returns the text of gamelan saf fetch --help below the flags.
func (*safFetchCmd) Help() string {
	return "A node asks by itself whenever it connects to a node that may store messages; this command does it at once, and says what each has answered. " +
		"The messages arrive as any others: see gamelan listen. The exit code is 0 if at least one peer was asked and none had anything new in the end, else 1."
}

func (c *safFetchCmd) Run(a *app) error {
	var err error
	if c.Peer, err = a.allNamed(c.Peer, api.CheckPeer); err != nil {
		return err
	}
	a.Note("Asking for stored messages…")
	f, err := a.client().FetchStored(a.ctx, c.Peer)
	if err != nil {
		return err
	}
	if err := render.Fetched(a.Output, &f); err != nil {
		return err
	}
	if !f.Complete {
		return errQuiet
	}
	return nil
}

type safPurgeCmd struct {
	To  string `help:"Delete the messages for the holder of this public key. A name is possible, too." placeholder:"KEY"`
	All bool   `help:"Delete the messages for all."`
	Yes bool   `help:"Do not refuse --all."`
}

// Help returns the text of gamelan saf purge --help below the flags.
func (*safPurgeCmd) Help() string {
	return "Deleted messages do not come back, and their receivers are not told. Other nodes may store copies of them."
}

func (c *safPurgeCmd) Run(a *app) error {
	var err error
	if c.To, err = a.named(c.To); err != nil {
		return err
	}
	switch {
	case c.To == "" && !c.All:
		return failure.Usage("give --to KEY to delete the messages for one receiver, or --all --yes to delete those for everybody", "no receiver is named")
	case c.To != "" && c.All:
		return failure.Usage("leave one of them out", "choose either --to or --all")
	case c.All && !c.Yes:
		return failure.Usage("add --yes if you mean it", "--all deletes the stored messages of all receivers, for good")
	case c.To != "":
		if err := api.CheckKnownPeer(c.To); err != nil {
			return err
		}
	}
	return printed(a, render.Purged)(a.client().PurgeStored(a.ctx, c.To))
}
