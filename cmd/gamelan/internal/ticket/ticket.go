// Package ticket gathers what somebody needs who helps with a node, in one file: without secrets, without the
// text of messages, and with pseudonyms for keys and addresses.
package ticket

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/disguise"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Options say what a ticket is about.
type Options struct {
	Dir  nodedir.Dir
	Node *client.Client // nil: that of Dir
	// Elsewhere says that Node is on another machine: nothing of this one is in the ticket.
	Elsewhere bool
	Loaded    *daemonconfig.Loaded // the settings that a node would have
	Version   any                  // of the command
	Now       time.Time
	Doctor    time.Duration // how long the examination of the node may take; 0: there is none
}

// Limits of a ticket, in bytes before it is compressed.
const (
	maxEntry = 4 << 20
	maxList  = 1000 // entries of a list
)

// Entry is a file of a ticket.
type Entry struct {
	Name  string `json:"name"`
	About string `json:"about"`
	Bytes int    `json:"bytes"`
	data  []byte
}

// Ticket is what was gathered.
type Ticket struct {
	Running bool     // the node has answered
	Entries []Entry  // the first one explains the others
	Missing []string // what could not be gathered, and why
	at      time.Time
}

// ErrSecret reports a ticket that would have held a secret. There is no such ticket.
var ErrSecret = errors.New("ticket: a secret was left in it")

// gatherer gathers one ticket.
type gatherer struct {
	Options
	Ticket
	node   *client.Client
	hide   *disguise.Disguise
	peers  []models.Peer
	drafts []draft
	missed []string // as it was said
}

// draft is an entry with all that it holds.
type draft struct {
	name, about string
	value       json.RawMessage
}

// Gather gathers what can be gathered. It asks the node, or if none answers looks at the data directory. The
// error is ctx's, [ErrSecret], or that of a node elsewhere which does not answer.
func Gather(ctx context.Context, o Options) (*Ticket, error) {
	g := &gatherer{Options: o, Ticket: Ticket{at: o.Now, Missing: []string{}}, node: o.Node, hide: disguise.New()}
	if g.node == nil {
		g.node = client.New(o.Dir.Path, client.Options{})
	}
	g.constant()
	g.places()
	g.secrets()
	n, err := g.node.Node(ctx)
	if err != nil && o.Elsewhere {
		return nil, err
	}
	if err != nil && client.CodeOf(err) != client.CodeNotRunning {
		g.miss("the running node", err)
	}
	g.Running = err == nil
	g.acquaint(ctx, &n)
	g.add("version.json", "versions of the command and of the node, and what they were built with", g.versions(&n))
	if o.Elsewhere {
		g.miss("machine.json, disk.json", errors.New("the node is on another machine; gamelan report tells of it there"))
	} else {
		g.add("machine.json", "operating system, memory, clock, limits and use of the process", machine(n.PID, o.Now))
		g.add("disk.json", "room on the disk, and the files of the data directory with their sizes", g.disk())
	}
	if g.Running {
		g.ofNode(ctx)
	} else {
		g.ofDirectory()
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	g.seal()
	if err := g.check(); err != nil {
		return nil, err
	}
	g.Entries = append([]Entry{g.readme()}, g.Entries...)
	return &g.Ticket, nil
}

// seal disguises what was gathered. Names that one entry tells are disguised in those before it, too: so all is
// read once before.
func (g *gatherer) seal() {
	for _, m := range g.missed {
		g.hide.Text(m)
	}
	for _, d := range g.drafts {
		_, _ = g.hide.JSON(d.value) // an error is told below
	}
	for _, d := range g.drafts {
		g.write(d)
	}
	for _, m := range g.missed {
		g.Missing = append(g.Missing, g.hide.Text(m))
	}
}

// check looks for secrets in what depends on the node. What explains it is the same in each report.
func (g *gatherer) check() error {
	for _, e := range g.Entries {
		if g.hide.Finds(e.data) {
			return fmt.Errorf("%w: %s", ErrSecret, e.Name)
		}
	}
	if g.hide.Finds([]byte(strings.Join(g.Missing, "\n"))) {
		return fmt.Errorf("%w: what is missing", ErrSecret)
	}
	return nil
}

// miss notes what is missing, and why.
func (g *gatherer) miss(what string, why error) {
	g.missed = append(g.missed, fmt.Sprintf("%s: %s", what, why))
}

// add adds a value. One that is too large will be missing.
func (g *gatherer) add(name, about string, v any) {
	raw, err := json.Marshal(v)
	if err == nil && len(raw) > maxEntry { // to disguise it would take seconds
		err = tooLarge(len(raw))
	}
	if err != nil {
		g.miss(name, err)
		return
	}
	g.drafts = append(g.drafts, draft{name, about, raw})
}

// write makes an entry of a draft.
func (g *gatherer) write(d draft) {
	plain, err := g.hide.JSON(d.value)
	if err != nil {
		g.miss(d.name, err)
		return
	}
	b := new(bytes.Buffer)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	switch err := enc.Encode(plain); {
	case err != nil:
		g.miss(d.name, err)
	case b.Len() > maxEntry:
		g.miss(d.name, tooLarge(b.Len()))
	default:
		g.Entries = append(g.Entries, Entry{d.name, d.about, b.Len(), b.Bytes()})
	}
}

func tooLarge(size int) error { return fmt.Errorf("it has %d bytes, more than %d", size, maxEntry) }

// got adds what a request has returned, unless it has failed.
func got[T any](g *gatherer, name, about string, v T, err error) {
	if err != nil {
		g.miss(name, err)
		return
	}
	g.add(name, about, v)
}

// readme returns the entry that explains the others.
func (g *gatherer) readme() Entry {
	b := new(strings.Builder)
	fmt.Fprintf(b, "A report of a Gamelan node, made %s.\n\n", g.at.UTC().Format(time.RFC3339))
	if g.Running {
		b.WriteString("The node was running.\n\n")
	} else {
		b.WriteString("No node has answered. What stands here comes from the data directory.\n\n")
	}
	for _, e := range g.Entries {
		fmt.Fprintf(b, "%-24s %s\n", e.Name, e.About)
	}
	if len(g.Missing) > 0 {
		b.WriteString("\nNot here, because it failed:\n")
		for _, m := range g.Missing {
			fmt.Fprintf(b, "  %s\n", m)
		}
	}
	b.WriteString(explanation)
	return Entry{Name: "README.txt", About: "what each file is, and what was left out", Bytes: b.Len(), data: []byte(b.String())}
}

const explanation = `
Left out: keys and secrets, the texts of messages, values of the key-value DHT, the values of panics that are not the runtime's,
arguments of functions, reasons of bans, what the program finds wrong, why it does not admit a peer, its sections, environment variables other than settings, and names of peers.

Pseudonyms: the same one stands for the same thing in all files.
  this-node          this node: its key or its node id
  peer-N             another node: its key or its node id, in full or shortened
  address-N          an IP address; private-address-N is one of a private network
  host-N, onion-N    a DNS name, a Tor address
  digits-N           other hexadecimal digits, such as the tag of a message, or with which several ids begin
  topic-N, network-N, file-N
                     names that people have chosen
  DATA-DIR, ~        the data directory, the home directory
Addresses that mean the same on each machine, such as 127.0.0.1, stand as they are. So do chosen names that are words of these
files anyhow, such as "state".

The log is not here: a node writes it to standard error. With systemd: journalctl -u gamelan --since -1h
`

// Write writes the ticket as a ZIP archive.
func (t *Ticket) Write(w io.Writer) error {
	z := zip.NewWriter(w)
	for _, e := range t.Entries {
		f, err := z.CreateHeader(&zip.FileHeader{Name: e.Name, Method: zip.Deflate, Modified: t.at.UTC()})
		if err != nil {
			return err
		}
		if _, err := f.Write(e.data); err != nil {
			return err
		}
	}
	return z.Close()
}
