package main

import (
	"fmt"

	"github.com/gamelan-p2p/gamelan"
)

func printInit(a *app, id gamelan.Identity) error {
	i := identityOf(id, nil)
	if a.json {
		return a.printJSON(i)
	}
	_, err := fmt.Fprintf(a.out, "Made a new identity in %s.\n  node id     %s\n  public key  %s\n  network     %s\nNext: %s\n",
		a.dir.path, i.NodeID, i.PublicKey, i.Network, a.dir.command("node"))
	return err
}

func printID(a *app, i identityJSON) error {
	if a.json {
		return a.printJSON(i)
	}
	fmt.Fprintf(a.out, "node id     %s\npublic key  %s\nnetwork     %s\n", i.NodeID, i.PublicKey, i.Network)
	for _, s := range i.Seeds {
		fmt.Fprintf(a.out, "address     %s\n", s)
	}
	switch {
	case !i.Running:
		fmt.Fprintf(a.out, "address     none: the node is not running; start it with: %s\n", a.dir.command("node"))
	case len(i.Seeds) == 0:
		fmt.Fprintf(a.out, "address     none: the node does not listen; start it with --listen ADDRESS\n")
	}
	return nil
}

func printSeeds(a *app, i identityJSON) error {
	if len(i.Seeds) == 0 {
		return failed("no_address", "start it with --listen ADDRESS", "the node does not listen")
	}
	for _, s := range i.Seeds {
		if _, err := fmt.Fprintln(a.out, s); err != nil {
			return err
		}
	}
	return nil
}
