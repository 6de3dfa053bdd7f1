package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/ticket"
	"github.com/gamelan-p2p/gamelan/inspect/client"
)

type reportCmd struct {
	Output string        `short:"o" help:"Where to write it; it must not exist; - is standard output (default: gamelan-report-TIME.zip in the current directory)." placeholder:"FILE"`
	List   bool          `help:"Only list what the report would have in it."`
	Doctor time.Duration `help:"How long the node may examine itself; 0s leaves that out." default:"30s" placeholder:"TIME"`
}

// Help returns the text of gamelan report --help below the flags.
func (*reportCmd) Help() string {
	return "The report is one ZIP archive, for those who help. It has versions, settings, sections, the last events, failures with stacks, an examination, disk, clock and limits. " +
		"Secrets and the texts of messages are left out. Keys and addresses have pseudonyms, such as peer-1, the same ones everywhere. The files are listed first: read them before you send the report.\n\n" +
		"It is made of a node that does not run, too: of its data directory."
}

// reportJSON is the output of report with --json.
type reportJSON struct {
	File    string         `json:"file,omitempty"` // empty: it was not written
	Running bool           `json:"running"`
	Files   []ticket.Entry `json:"files"`
	Missing []string       `json:"missing"` // what could not be gathered
}

// Run gathers a report, lists what is in it, and writes it.
func (c *reportCmd) Run(a *app) error {
	if c.Doctor < 0 {
		return failure.Usage("give 0s or more", "--doctor cannot be %s", c.Doctor)
	}
	now := time.Now()
	if c.Output == "" {
		c.Output = "gamelan-report-" + now.UTC().Format("20060102-150405") + ".zip"
	}
	if _, err := os.Lstat(c.Output); err == nil && c.Output != "-" && !c.List {
		return reportThere(c.Output)
	}
	a.Note("Gathering the report.")
	t, err := ticket.Gather(a.ctx, ticket.Options{
		Dir: a.dir, Node: a.asks(client.Options{}), Elsewhere: a.remote != nil, Loaded: a.load(nil), Version: buildVersion(debug.ReadBuildInfo()), Now: now, Doctor: c.Doctor,
	})
	if errors.Is(err, ticket.ErrSecret) {
		return failure.New("secret", "report this as a fault of gamelan", "nothing was written: a secret would have been in the report").Because(err)
	}
	if err != nil {
		return err
	}
	switch {
	case c.List && a.JSON:
		return a.PrintJSON(reportJSON{"", t.Running, t.Entries, t.Missing})
	case c.List:
		return listTicket(a.Out, t)
	}
	if !a.JSON {
		if err := listTicket(a.Err, t); err != nil {
			return err
		}
	}
	if c.Output == "-" {
		return t.Write(a.Out)
	}
	if err := writeTicket(c.Output, t); err != nil {
		return err
	}
	if a.JSON {
		return a.PrintJSON(reportJSON{c.Output, t.Running, t.Entries, t.Missing})
	}
	_, err = fmt.Fprintf(a.Out, "Wrote %s.\nNext: look into it, then send it to those who help.\n", c.Output)
	return err
}

// listTicket lists what a ticket has.
func listTicket(w io.Writer, t *ticket.Ticket) error {
	b := new(strings.Builder)
	if !t.Running {
		b.WriteString("No node answers, so this is a report of its data directory.\n")
	}
	for _, e := range t.Entries {
		fmt.Fprintf(b, "%-24s %8s  %s\n", e.Name, render.Bytes(int64(e.Bytes)), e.About)
	}
	for _, m := range t.Missing {
		fmt.Fprintf(b, "missing: %s\n", render.Plain(m))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeTicket writes a file that must not exist, for its owner alone.
func writeTicket(path string, t *ticket.Ticket) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return reportThere(path)
	case err != nil:
		return failure.New("file", "choose another one with --output", "%s cannot be written: %s", path, failure.Reason(err)).Because(err)
	}
	if err := errors.Join(t.Write(f), f.Close()); err != nil {
		os.Remove(path)
		return failure.New("file", "choose another one with --output", "%s cannot be written: %s", path, failure.Reason(err)).Because(err)
	}
	return nil
}

// reportThere is the failure of a report whose file exists.
func reportThere(path string) error {
	return failure.New("exists", "choose another one with --output", "there is a file %s already", path)
}
