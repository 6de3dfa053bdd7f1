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
	Peer    *string  `arg:"" optional:"" help:"A node id or public key that the node knows, or KEY::ADDRESS as gamelan id prints it. With --to or --strategy it is a message like the others."`
	Message []string `arg:"" optional:"" help:"Messages to send; without any, each line of standard input is one."`
	Whole   bool     `help:"Send all of standard input as one message, whatever bytes it holds."`
	File    string   `help:"Send what a file holds as one message, of at most 8 MiB, over the DHT ${dht_body} bytes." type:"path" placeholder:"PATH"`
	Resend  bool     `help:"Send again what is in doubt when a connection breaks, so that it may arrive twice. Over the DHT that is always done."`
	Quiet   bool     `short:"q" help:"Do not write the outcome of each message."`

	To       string `help:"Send over the DHT, to the holder of this public key, who may also be named as a PEER is." placeholder:"KEY"`
	Strategy string `help:"Send over the DHT, to these peers: ${strategies}. Default: direct." placeholder:"STRATEGY"`
	Encrypt  bool   `help:"Over the DHT: only the holder of the key can read it, and learns who wrote it."`
	Clear    bool   `help:"Over the DHT: have the nodes that a strategy chooses read a message that is for the holder of a key."`
	Sign     bool   `help:"Over the DHT: everybody who reads it learns who wrote it. What is encrypted says so in any case, to its reader alone."`
	Type     *int32 `help:"Over the DHT: the type of the messages, by which the receiver chooses who hears them. Default: ${text_type}." placeholder:"N"`
}

// Help is what gamelan send --help says beneath the flags.
func (*sendCmd) Help() string {
	return "A file is sent with --file PATH and received with gamelan listen --raw --count 1 > PATH; what a program writes, with --whole. " +
		"Confirmed says that the other node has read the message, not that anybody has handled it: see gamelan listen --help. " + dhtSendHelp
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
		if err := c.checkFile(f); err != nil {
			return err
		}
		a.in, c.Whole = f, true
	}
	if c.overDHT() {
		return c.runDHT(a)
	}
	t := &tally{}
	err := c.send(a, t, newSendPrinter(a, c.Quiet, t))
	switch {
	case err != nil:
		return err
	case t.confirmed != t.total():
		key, _, given := strings.Cut(*c.Peer, "::")
		switch {
		case t.refused > 0:
			a.note("If the peer has the DHT: %s", a.dir.command("send --to "+key))
		case given && t.confirmed == 0:
			a.note("The node remembers this peer and its address; if they were wrong: %s", a.dir.command("peers forget "+key))
		}
		return errQuiet
	}
	return nil
}

// checkFile refuses a file that cannot be sent, before any of it is read.
func (c *sendCmd) checkFile(f *os.File) error {
	most := uint64(inspect.DefaultMaxBody)
	if c.overDHT() {
		most = maxDHTBody
	}
	switch info, err := f.Stat(); {
	case err != nil: // reading says why
		return nil
	case info.IsDir():
		return failed("file", "choose another one", "%s is a directory", c.File)
	case info.Mode().IsRegular() && uint64(info.Size()) > most:
		return failed("file", "send it in parts", "%s has %s bytes, and a message at most %s", c.File, inspect.Number(uint64(info.Size())), inspect.Number(most))
	}
	return nil
}

// check refuses what was not meant: text that is the name of a file, above all.
func (c *sendCmd) check() error {
	if c.overDHT() {
		if err := c.checkDHT(); err != nil {
			return err
		}
	} else if err := c.checkPlain(); err != nil {
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

func (c *sendCmd) checkPlain() error {
	switch {
	case c.Encrypt || c.Clear || c.Sign || c.Type != nil:
		return usage("name the receiver with --to KEY", "--encrypt, --clear, --sign and --type are for messages over the DHT")
	case c.Peer == nil || *c.Peer == "":
		return usage("name a peer, or --to KEY for a message over the DHT", "it is not said to whom")
	}
	return checkPeer(*c.Peer)
}

// body is what is sent, and of which kind: a message a line, or one in all.
func (c *sendCmd) body(a *app) (r io.Reader, kind string) {
	switch {
	case c.Whole:
		return a.in, "application/octet-stream"
	case len(c.Message) > 0:
		return strings.NewReader(strings.Join(c.Message, "\n") + "\n"), "text/plain"
	}
	return a.in, "text/plain"
}

// send streams the messages to the node and their outcomes to show.
func (c *sendCmd) send(a *app, t *tally, show *sendPrinter) error {
	q := url.Values{"peer": {*c.Peer}}
	if c.Resend {
		q.Set("resend", "true")
	}
	heard := bitset{}
	return transmit(a, c, "/v1/messages?"+q.Encode(), transmission[inspect.Sent]{
		line: func(s inspect.Sent, more bool) error {
			heard.add(s.N)
			return show.outcome(s, more)
		},
		end:  show.end,
		rest: func(n uint64, why string) error { return show.rest(&heard, n, why) },
	})
}

// transmission is what is done with the answer to messages.
type transmission[T any] struct {
	line func(v T, more bool) error        // what became of one message
	end  func() error                      // of all
	rest func(sent uint64, w string) error // the node went away when so many were sent
}

// transmit streams messages to the node and the answer to t.
func transmit[T any](a *app, c *sendCmd, path string, t transmission[T]) error {
	in, kind := c.body(a)
	lines := &lineCounter{r: in, whole: c.Whole}
	res, err := a.client().do(a.ctx, "POST", path, kind, lines)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	err = readObjects(res.Body, func(v T, more bool) error {
		if err := t.line(v, more); err != nil {
			return &printError{err}
		}
		return nil
	})
	switch p := (*printError)(nil); {
	case err == nil:
		return t.end()
	case errors.As(err, &p):
		return p.error
	}
	const hint = "messages without an outcome may or may not have arrived"
	gone := &failure{exitUnreachable, "node_gone", "the node went away", hint, err}
	if a.ctx.Err() != nil {
		gone = failed("interrupted", hint, "interrupted")
	}
	return errors.Join(gone, t.rest(lines.read(), gone.message))
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
