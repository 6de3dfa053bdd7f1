package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/config"
	"github.com/gamelan-p2p/gamelan/inspect"
)

type listenCmd struct {
	Count int  `help:"End after so many messages; 0 does not end." default:"0" placeholder:"N"`
	Raw   bool `help:"Write the bodies only, as they came: one a line, and with --count 1 without a line feed after it, so that a file is what was sent."`
}

// Help is what gamelan listen --help says beneath the flags.
func (*listenCmd) Help() string {
	return fmt.Sprintf("While nobody listens the node keeps the last %s messages in its memory for whoever listens next: older ones are dropped, "+
		"and when the node stops, all that nobody has read are gone, although their senders were told confirmed. "+
		"Where no message may be lost, keep a listener running, or let a program handle and answer them. "+
		"A message over the DHT is shown with who wrote it if it is signed or encrypted, which proves that; with the peer that it came from if not, "+
		"who need not have written it; and with its type: %d, and those of the setting dht.types.", inspect.Number(inboxKept), config.TextType)
}

func (c *listenCmd) Run(a *app) error {
	if c.Count < 0 {
		return usage("give 0 or more", "--count cannot be %d", c.Count)
	}
	if c.Raw && a.json {
		return usage("leave one of them out", "choose either --json or --raw")
	}
	client := newClient(a.dir)
	res, err := client.get(a.ctx, "/v1/messages")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	out := bufio.NewWriterSize(a.out, 64<<10)
	n := 0
	err = readObjects(res.Body, func(m inspect.Message, more bool) error {
		n++
		last := n == c.Count
		if err := printMessage(a, out, &m, c.form()); err != nil {
			return &printError{err}
		}
		if last || !more {
			if err := out.Flush(); err != nil {
				return &printError{err}
			}
		}
		if last {
			return errEnough
		}
		return nil
	})
	switch p := (*printError)(nil); {
	case errors.Is(err, errEnough):
		return nil
	case errors.As(err, &p):
		return p.error
	case err == nil: // the node never ends this by itself
		err = io.ErrUnexpectedEOF
	}
	return client.gone(a.ctx, err)
}

// form is how messages are written.
func (c *listenCmd) form() messageForm {
	switch {
	case c.Raw && c.Count == 1:
		return bareForm
	case c.Raw:
		return rawForm
	}
	return lineForm
}

// errEnough ends reading when all that was asked for is there.
var errEnough = errors.New("gamelan: enough")

// printError is an error of our own output, not of the node.
type printError struct{ error }
