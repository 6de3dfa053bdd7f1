package main

import (
	"bufio"
	"fmt"

	"github.com/gamelan-p2p/gamelan/actors/inbox"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/config"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
)

type listenCmd struct {
	Count int  `help:"End after so many messages, and acknowledge no more than those; 0 does not end." default:"0" placeholder:"N"`
	Raw   bool `help:"Write the bodies only, as they came: one a line, and with --count 1 without a line feed after it, so that a file is what was sent."`
	All   bool `help:"Copy all that is kept and all that comes, whoever else listens, and acknowledge nothing."`
}

// Help is what gamelan listen --help says beneath the flags.
func (*listenCmd) Help() string {
	return fmt.Sprintf("The node keeps what it receives on its disk, within the settings inbox.max_bytes and inbox.max_messages, until it is acknowledged: "+
		"listen acknowledges what it has written. Several listeners share the messages; what one of them has not acknowledged when it ends, or within %s, goes to another, "+
		"so a message may be shown twice, and none is left out. When the inbox is full, plain senders wait, and messages over the DHT are dropped. "+
		"A sender that was told confirmed knows that the node has read the message: a kill -9 of the node, or a loss of power, loses at most what came in the last second before it, "+
		"and what was still in windows and credit, about 2 MiB for each peer and protocol. An orderly stop loses nothing that the inbox has, but what is still in windows. "+
		"A message over the DHT is shown with who wrote it if it is signed or encrypted, which proves that; with the peer that it came from if not, "+
		"who need not have written it; and with its type: %d, and those of the setting dht.types.", inbox.HandTimeout, config.TextType)
}

func (c *listenCmd) Run(a *app) error {
	if c.Count < 0 {
		return failure.Usage("give 0 or more", "--count cannot be %d", c.Count)
	}
	if c.Raw && a.JSON {
		return failure.Usage("leave one of them out", "choose either --json or --raw")
	}
	return a.client().Listen(a.ctx, c.Count, c.All, &listenSink{a.Output, bufio.NewWriterSize(a.Out, 64<<10), c.form()})
}

// listenSink writes messages in their form.
type listenSink struct {
	o    *render.Output
	w    *bufio.Writer
	form render.Form
}

func (s *listenSink) Write(m *inspect.Message) error { return render.Received(s.o, s.w, m, s.form) }

func (s *listenSink) Flush() error { return s.w.Flush() }

// form is how messages are written.
func (c *listenCmd) form() render.Form {
	switch {
	case c.Raw && c.Count == 1:
		return render.BareForm
	case c.Raw:
		return render.RawForm
	}
	return render.LineForm
}
