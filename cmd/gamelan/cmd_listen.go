package main

import (
	"bufio"
	"errors"
	"io"

	"github.com/gamelan-p2p/gamelan/inspect"
)

type listenCmd struct {
	Count int  `help:"End after so many messages; 0 does not end." default:"0" placeholder:"N"`
	Raw   bool `help:"Write the bodies only, one a line, as they came."`
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
		if err := printMessage(a, out, &m, c.Raw); err != nil {
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

// errEnough ends reading when all that was asked for is there.
var errEnough = errors.New("gamelan: enough")

// printError is an error of our own output, not of the node.
type printError struct{ error }
