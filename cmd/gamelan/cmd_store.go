package main

import (
	"fmt"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

type storeCmd struct {
	Check storeCheckCmd `cmd:"" help:"Look at the store of a node that does not run, and say what starting it will do; nothing is changed."`
}

type storeCheckCmd struct{}

// storeJSON is what store check says with --json.
type storeJSON struct {
	Exists  bool   `json:"exists"`
	Schema  int    `json:"schema"`  // of the store
	Current int    `json:"current"` // of this release
	Peers   int    `json:"peers"`
	Damaged int    `json:"damaged"`
	Bytes   int64  `json:"bytes"`
	Upgrade bool   `json:"upgrade"`
	Backup  string `json:"backup,omitempty"` // where it is copied to before
}

func (*storeCheckCmd) Run(a *app) error {
	r, err := gamelan.CheckStore(a.dir.path)
	if err != nil {
		return &failure{code: exitFailed, kind: "store", message: withoutPrefix(err), err: err}
	}
	if err := printStore(a, r); err != nil {
		return err
	}
	if r.Damaged > 0 {
		return errQuiet
	}
	return nil
}

func printStore(a *app, r peerstore.Report) error {
	if a.json {
		return a.printJSON(storeJSON(r))
	}
	if !r.Exists {
		_, err := fmt.Fprintf(a.out, "There is no store in %s; starting a node makes one.\n", a.dir.path)
		return err
	}
	fmt.Fprintf(a.out, "peers    %s, %s\nschema   %d\n", inspect.Number(uint64(r.Peers)), bytesText(r.Bytes), r.Schema)
	if r.Damaged > 0 {
		fmt.Fprintf(a.out, "damaged  %s that cannot be read; a node leaves them as they are and does without\n", plural(uint64(r.Damaged), "record"))
	}
	next := "nothing: starting a node takes it as it is"
	if r.Upgrade {
		next = fmt.Sprintf("starting a node copies it to %s and upgrades it to schema %d", r.Backup, r.Current)
	}
	_, err := fmt.Fprintf(a.out, "upgrade  %s\n", next)
	return err
}
