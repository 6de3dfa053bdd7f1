package main

import (
	"bufio"
	"fmt"

	"github.com/gamelan-p2p/gamelan/actors/inbox"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/config"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

type listenCmd struct {
	Count int  `help:"End after N messages, and acknowledge only those; 0 is without end." default:"0" placeholder:"N"`
	Raw   bool `help:"Write only the unchanged bodies: one a line, but with --count 1 without a line feed, so that a file arrives unchanged."`
	All   bool `help:"Copy all kept and new messages, even those for other listeners, and acknowledge none."`
}

// Help returns the text of gamelan listen --help below the flags.
func (*listenCmd) Help() string {
	return fmt.Sprintf("The node keeps received messages on its disk, within the settings inbox.max_bytes and inbox.max_messages, until they are acknowledged: "+
		"listen acknowledges the messages that it has written. Several listeners share the messages; a message that one of them has not acknowledged when it ends, or within %s, goes to another, "+
		"so a message may be shown twice, but none is lost. When the inbox is full, plain senders wait; a message over the DHT is dropped when its peer or its author has its share of the room already. "+
		"Confirmed tells a sender that the node has read the message. A kill -9 of the node, or a loss of power, loses at most the messages of the last second, "+
		"and those that are still on their way into the inbox, about 2 MiB for each peer and protocol. An orderly stop loses none, even if the inbox is full. "+
		"A signed or encrypted message over the DHT is shown with its author, proven by the signature; any other one with the peer from which it came, "+
		"which need not be the author. A message over the DHT also shows its type: %d, or one of the setting dht.types.", inbox.HandTimeout, config.TextType)
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

func (s *listenSink) Write(m *models.Message) error { return render.Received(s.o, s.w, m, s.form) }

func (s *listenSink) Flush() error { return s.w.Flush() }

// form returns the form in which messages are written.
func (c *listenCmd) form() render.Form {
	switch {
	case c.Raw && c.Count == 1:
		return render.BareForm
	case c.Raw:
		return render.RawForm
	}
	return render.LineForm
}
