package main

import (
	"fmt"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
)

type storeCmd struct {
	Check storeCheckCmd `cmd:"" help:"Examine the store of a node that does not run, without changing it, and say what starting the node will do."`
}

type storeCheckCmd struct{}

// storeJSON is the output of store check with --json.
type storeJSON struct {
	Exists  bool   `json:"exists"`
	Schema  int    `json:"schema"`  // of the store
	Current int    `json:"current"` // of this release
	Peers   int    `json:"peers"`
	Damaged int    `json:"damaged"`
	Bytes   int64  `json:"bytes"`
	Upgrade bool   `json:"upgrade"`
	Backup  string `json:"backup,omitempty"` // directory of the copy that is made before

	Inbox  storeMessagesJSON `json:"inbox"`
	Stored storeMessagesJSON `json:"stored"` // for others
	Kad    storeRecordsJSON  `json:"kad"`
}

// storeRecordsJSON is what a store has of the key-value DHT.
type storeRecordsJSON struct {
	Schema   int   `json:"schema"` // 0: there is nothing yet
	Current  int   `json:"current"`
	Clients  int   `json:"clients"`
	Records  int   `json:"records"` // of others
	Own      int   `json:"own"`
	Contacts int   `json:"contacts"`
	Bytes    int64 `json:"bytes"`
	Damaged  int   `json:"damaged"`
}

// storeMessagesJSON is the inbox of a store, or the messages that it keeps for others.
type storeMessagesJSON struct {
	Schema   int   `json:"schema"` // 0: there are none yet
	Current  int   `json:"current"`
	Messages int   `json:"messages"`
	Bytes    int64 `json:"bytes"`
	Damaged  int   `json:"damaged"`
}

func (*storeCheckCmd) Run(a *app) error {
	if err := a.dir.Check(); err != nil {
		return err
	}
	r, err := gamelan.CheckStore(a.dir.Path)
	if err != nil && a.dir.Used() {
		return failure.New("running", fmt.Sprintf("stop it first; while it runs, %q tells how it is", a.Command("status")), "a node is running in %s, and its store can be checked only without it", a.dir.Path).Because(err)
	}
	if err != nil {
		return failure.New("store", "", "%s", failure.Text(err)).Because(err)
	}
	if err := printStore(a, r); err != nil {
		return err
	}
	if r.Damaged+r.Inbox.Damaged+r.Stored.Damaged+r.Kad.Damaged > 0 {
		return errQuiet
	}
	return nil
}

// older reports whether a part of the store has a schema that the next write of a node replaces.
func older(schema, current int) bool { return schema > 0 && schema < current }

func printStore(a *app, r gamelan.StoreReport) error {
	if a.JSON {
		p := r.Report
		return a.PrintJSON(storeJSON{p.Exists, p.Schema, p.Current, p.Peers, p.Damaged, p.Bytes, p.Upgrade, p.Backup, storeMessagesJSON(r.Inbox), storeMessagesJSON(r.Stored), storeRecordsJSON(r.Kad)})
	}
	if !r.Exists {
		_, err := fmt.Fprintf(a.Out, "There is no store in %s; starting a node makes one.\n", a.dir.Path)
		return err
	}
	fmt.Fprintf(a.Out, "peers    %s, %s\nschema   %d\n", inspect.Number(uint64(r.Peers)), render.Bytes(r.Bytes), r.Schema)
	if r.Damaged > 0 {
		fmt.Fprintf(a.Out, "damaged  %s that cannot be read; a node leaves them as they are and does without\n", inspect.Count(uint64(r.Damaged), "record"))
	}
	if in := r.Inbox; in.Schema > 0 {
		fmt.Fprintf(a.Out, "inbox    %s, %s, schema %d\n", inspect.Count(uint64(in.Messages), "message"), render.Bytes(in.Bytes), in.Schema)
	} else {
		fmt.Fprintf(a.Out, "inbox    none yet: starting a node makes it, schema %d\n", in.Current)
	}
	if r.Inbox.Damaged > 0 {
		fmt.Fprintf(a.Out, "damaged  %s of the inbox that cannot be read; a node leaves them as they are and does without\n", inspect.Count(uint64(r.Inbox.Damaged), "record"))
	}
	if st := r.Stored; st.Schema > 0 {
		fmt.Fprintf(a.Out, "stored   %s for others, %s, schema %d\n", inspect.Count(uint64(st.Messages), "message"), render.Bytes(st.Bytes), st.Schema)
	} else {
		fmt.Fprintf(a.Out, "stored   nothing for others yet\n")
	}
	if n := r.Stored.Damaged; n > 0 {
		fmt.Fprintf(a.Out, "damaged  %s for others that cannot be read; a node deletes them\n", inspect.Count(uint64(n), "stored message"))
	}
	if k := r.Kad; k.Schema > 0 {
		fmt.Fprintf(a.Out, "kad      %s for others, publishes %s, %s, %s, schema %d\n", inspect.Count(uint64(k.Records), "record"), inspect.Number(uint64(k.Own)),
			inspect.Count(uint64(k.Contacts), "contact"), render.Bytes(k.Bytes), k.Schema)
	}
	if n := r.Kad.Damaged; n > 0 {
		fmt.Fprintf(a.Out, "damaged  %s of the key-value DHT that cannot be read; a node deletes them\n", inspect.Count(uint64(n), "record"))
	}
	next := "nothing: starting a node takes it as it is"
	switch {
	case r.Upgrade:
		next = fmt.Sprintf("starting a node copies it to %s and upgrades it to schema %d", r.Backup, r.Current)
	case older(r.Inbox.Schema, r.Inbox.Current), older(r.Stored.Schema, r.Stored.Current):
		next = fmt.Sprintf("a node that works on it writes schema %d of the inbox and %d of what it stores for others, which an older release refuses; copy the store first to go back",
			r.Inbox.Current, r.Stored.Current)
	}
	_, err := fmt.Fprintf(a.Out, "upgrade  %s\n", next)
	return err
}
