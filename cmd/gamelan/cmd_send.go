package main

import (
	"errors"
	"io"
	"net/url"
	"os"
	"strings"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/inspect"
)

type sendCmd struct {
	Peer    string   `arg:"" help:"A node id or public key that the node knows, or KEY::ADDRESS as gamelan id prints it."`
	Message []string `arg:"" optional:"" help:"Messages to send; without any, each line of standard input is one."`
	Whole   bool     `help:"Send all of standard input as one message, whatever bytes it holds."`
	File    string   `help:"Send what a file holds as one message, of at most 8 MiB." type:"path" placeholder:"PATH"`
	Resend  bool     `help:"Send again what is in doubt when a connection breaks, so that it may arrive twice."`
	Quiet   bool     `short:"q" help:"Do not write the outcome of each message."`
}

// Help is what gamelan send --help says beneath the flags.
func (*sendCmd) Help() string {
	return "A file is sent with --file PATH and received with gamelan listen --raw --count 1 > PATH; what a program writes, with --whole. " +
		"Confirmed says that the other node has read the message, not that anybody has handled it: see gamelan listen --help."
}

func (c *sendCmd) Run(a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.File != "" {
		f, err := os.Open(c.File)
		if err != nil {
			return failed("file", "choose another one", "%s cannot be read: %s", c.File, reason(err))
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return failed("file", "choose another one", "%s is a directory", c.File)
		}
		a.in, c.Whole = f, true
	}
	t := &tally{}
	err := c.send(a, t, newSendPrinter(a, c.Quiet, t))
	switch {
	case err != nil:
		return err
	case t.confirmed != t.total():
		if key, _, given := strings.Cut(c.Peer, "::"); given && t.confirmed == 0 {
			a.note("The node remembers this peer and its address; if they were wrong: %s", a.dir.command("peers forget "+key))
		}
		return errQuiet
	}
	return nil
}

// check refuses what was not meant: text that is the name of a file, above all.
func (c *sendCmd) check() error {
	if err := checkPeer(c.Peer); err != nil {
		return err
	}
	switch {
	case c.Whole && c.File != "":
		return usage("leave one of them out", "--whole sends standard input, --file a file")
	case c.Whole && len(c.Message) > 0:
		return usage("leave one of them out", "--whole sends standard input, not arguments")
	case c.File != "" && len(c.Message) > 0:
		return usage("leave one of them out", "--file sends a file, not arguments")
	}
	for _, m := range c.Message {
		if strings.Contains(m, "\n") {
			return usage("send it with --whole from standard input", "a message on the command line is one line")
		}
		if info, err := os.Stat(m); err == nil && info.Mode().IsRegular() {
			return usage("send what it holds with --file "+shellQuote(m)+", or the name itself from standard input", "%q is the name of a file", m)
		}
	}
	return nil
}

// send streams the messages to the node and their outcomes to show.
func (c *sendCmd) send(a *app, t *tally, show *sendPrinter) error {
	kind := "text/plain"
	in := a.in
	switch {
	case c.Whole:
		kind = "application/octet-stream"
	case len(c.Message) > 0:
		in = strings.NewReader(strings.Join(c.Message, "\n") + "\n")
	}
	q := url.Values{"peer": {c.Peer}}
	if c.Resend {
		q.Set("resend", "true")
	}
	lines := &lineCounter{r: in, whole: c.Whole}
	client := newClient(a.dir)
	res, err := client.do(a.ctx, "POST", "/v1/messages?"+q.Encode(), kind, lines)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	heard := bitset{}
	err = readObjects(res.Body, func(s inspect.Sent, more bool) error {
		heard.add(s.N)
		if err := show.outcome(s, more); err != nil {
			return &printError{err}
		}
		return nil
	})
	switch p := (*printError)(nil); {
	case err == nil:
		return show.end()
	case errors.As(err, &p):
		return p.error
	}
	const hint = "messages without an outcome may or may not have arrived"
	gone := &failure{exitUnreachable, "node_gone", "the node went away", hint, err}
	if a.ctx.Err() != nil {
		gone = failed("interrupted", hint, "interrupted")
	}
	return errors.Join(gone, show.rest(&heard, lines.read(), gone.message))
}

// lineCounter counts the messages in what was read of r.
type lineCounter struct {
	r       io.Reader
	whole   bool
	lines   atomic.Uint64
	partial atomic.Bool // something was read after the last line feed
}

func (l *lineCounter) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	for _, c := range p[:n] {
		if c == '\n' {
			l.lines.Add(1)
		}
	}
	if n > 0 {
		l.partial.Store(p[n-1] != '\n')
	}
	return n, err
}

// read is how many messages have been read, a begun one included.
func (l *lineCounter) read() uint64 {
	n := l.lines.Load()
	switch {
	case l.whole:
		return 1
	case l.partial.Load():
		return n + 1
	}
	return n
}

// bitset remembers which messages have had their outcome.
type bitset []uint64

func (b *bitset) add(n uint64) {
	for uint64(len(*b)) <= n/64 {
		*b = append(*b, 0)
	}
	(*b)[n/64] |= 1 << (n % 64)
}

func (b bitset) has(n uint64) bool { return n/64 < uint64(len(b)) && b[n/64]>>(n%64)&1 == 1 }
