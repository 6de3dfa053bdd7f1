package main

import (
	"fmt"

	"github.com/gamelan-p2p/gamelan"
)

// printRunning says that the node runs, and how to reach it.
func printRunning(a *app, i identityJSON) error {
	if a.json {
		return a.printJSON(i)
	}
	fmt.Fprintf(a.out, "gamelan %s on %s\n", gamelan.Version, i.Network)
	if err := printID(a, i); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "Running. Look inside with: %s\n", a.dir.command("tree"))
	return err
}
