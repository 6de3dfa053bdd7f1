package main

import (
	"errors"
	"io"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/inspect"
)

type sendCmd struct {
	Peer    string   `arg:"" help:"A node id or public key that the node knows, or KEY::ADDRESS as gamelan id prints it."`
	Message []string `arg:"" optional:"" help:"Messages to send; without any, each line of standard input is one."`
	Whole   bool     `help:"Send all of standard input as one message."`
	Resend  bool     `help:"Send again what is in doubt when a connection breaks, so that it may arrive twice."`
	Quiet   bool     `short:"q" help:"Do not write the outcome of each message."`
}

func (c *sendCmd) Run(a *app) error {
	if err := checkPeer(c.Peer); err != nil {
		return err
	}
	if c.Whole && len(c.Message) > 0 {
		return usage("leave one of them out", "--whole sends standard input, not arguments")
	}
	for _, m := range c.Message {
		if strings.Contains(m, "\n") {
			return usage("send it with --whole from standard input", "a message on the command line is one line")
		}
	}
	t := &tally{}
	err := c.send(a, t, newSendPrinter(a, c.Quiet, t))
	switch {
	case err != nil:
		return err
	case t.confirmed != t.total():
		return errQuiet
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
