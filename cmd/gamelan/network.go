package main

import "github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"

type networkCmd struct {
	Status networkStatusCmd `cmd:"" default:"withargs" help:"Show how well the node has found its network: seeds, announcements, rounds, neighbours."`
	Sync   networkSyncCmd   `cmd:"" help:"Ask connected nodes and seeds now for the peers that they know."`
	Create networkCreateCmd `cmd:"" help:"Make a private network: write the file with which nodes join it."`
	Add    networkAddCmd    `cmd:"" help:"Add seeds to the file of a private network, or remove some."`
	Rotate networkRotateCmd `cmd:"" help:"Change the secret of a private network, in three steps without a gap."`
	File   networkFileCmd   `cmd:"" help:"Show what the file of a private network has, without its secret, to compare it with others."`
}

type networkStatusCmd struct{}

func (*networkStatusCmd) Run(a *app) error {
	return printed(a, atNow(render.Network))(a.client().Network(a.ctx))
}

type networkSyncCmd struct{}

// Help returns the text of gamelan network sync --help below the flags.
func (*networkSyncCmd) Help() string {
	return "A node asks by itself; this command does it at once. The exit code is 0 if at least one node answered, else 1."
}

func (*networkSyncCmd) Run(a *app) error {
	a.Note("Asking for peers…")
	stop := follow(a, render.Asking)
	s, err := a.client().Sync(a.ctx)
	stop()
	if err != nil {
		return err
	}
	return render.Synced(a.Output, &s)
}

type joinCmd struct{}

// Help returns the text of gamelan join --help below the flags.
func (*joinCmd) Help() string {
	return "The announcement goes to the connected nodes closest to this one, which pass it on. A node makes it by itself when it is online (see discovery.no_join); " +
		"this command makes one at once, for instance after an address has changed. The exit code is 0 if at least one node has it, else 1."
}

func (*joinCmd) Run(a *app) error {
	r, err := a.client().Join(a.ctx)
	if err != nil {
		return err
	}
	return render.Joined(a.Output, &r)
}
