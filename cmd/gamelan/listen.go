package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/outlast"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/outlet"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/inboxpart"
)

type listenCmd struct {
	Count int  `help:"End after N messages, and acknowledge only those; 0 is without end." default:"0" placeholder:"N"`
	Raw   bool `help:"Write only the unchanged bodies: one a line, but with --count 1 without a line feed, so that a file arrives unchanged."`
	All   bool `help:"Copy all kept and new messages, even those for other listeners, and acknowledge none."`

	Topic string `help:"Take messages with this topic alone. Without it listen takes those that have none, and with --all copies all." placeholder:"WORD"`
}

// Help returns the text of gamelan listen --help below the flags.
func (*listenCmd) Help() string {
	return fmt.Sprintf("The node keeps received messages on its disk until they are acknowledged. "+
		"listen acknowledges the messages that its reader has taken: those that are in a file or on a terminal, or were read from a pipe. "+
		"What lies in a pipe when its reader ends comes again. Only Linux tells listen what that is; elsewhere it takes the last %s for it.\n\n"+
		"Several listeners share the messages. A message that one of them has not acknowledged when it ends, or within %s, goes to another. "+
		"So a message may be shown twice, but none is lost.\n\n"+
		"The settings inbox.max_bytes and inbox.max_messages limit what is kept. When the inbox is full, connected senders wait. "+
		"A message over the DHT is dropped when its peer or its author has its share of the room already.\n\n"+
		"Confirmed tells a sender that the node has read the message. An orderly stop of the node loses none, even if the inbox is full. "+
		"A kill -9 or a loss of power loses at most the messages of the last second, and those on their way into the inbox. "+
		"These are about 2 MiB for each peer and protocol.\n\n"+
		"When the node goes away, listen says so, waits for it, and goes on where it was. It shows no message again that it has shown. Ctrl-C ends it.\n\n"+
		"A signed or encrypted message over the DHT is shown with its author, proven by the signature. Any other one is shown with the peer from which it came, "+
		"which need not be the author. Both have their name, or the beginning of their key.\n\n"+
		"A message over the DHT also shows its type: text, or the number of one of the setting dht.types. "+
		"It shows when it was sent, too, by its author's clock: three hours before it expires, as nodes have it.", render.Bytes(outlet.Late), inboxpart.HandTimeout)
}

func (c *listenCmd) Run(a *app) error {
	if c.Count < 0 {
		return failure.Usage("give 0 or more", "--count cannot be %d", c.Count)
	}
	if c.Raw && a.JSON {
		return failure.Usage("leave one of them out", "choose either --json or --raw")
	}
	if err := checkTopic(c.Topic); err != nil {
		return err
	}
	if !c.All { // a write after the end of the reader fails, so that what it has left goes back
		broken := make(chan os.Signal, 1)
		signal.Notify(broken, syscall.SIGPIPE)
		defer signal.Stop(broken)
	}
	a.Names = a.namesNow()
	if n, ok := a.diskTrouble(); ok {
		a.Note("Nothing can be acknowledged now: %s.", inspect.Escape(render.Notice(n)))
	}
	err := outlast.Listen(a.ctx, a.client(), inspect.Listening{Most: c.Count, All: c.All, Topic: c.Topic}, newListenSink(a.Output, c.form()), a.tellNodeAway())
	if errors.Is(err, syscall.EPIPE) {
		endAtBrokenPipe()
	}
	if a.interrupted(err) && c.Count > 0 {
		hint := "what it has not acknowledged comes again"
		if c.All { // which acknowledges nothing
			hint = ""
		}
		return failure.New(client.CodeInterrupted, hint, "interrupted before the last message")
	}
	err = a.unlessInterrupted(err)
	if f, ok := errors.AsType[*failure.Error](err); ok && f.Kind == outlast.NotAcknowledged {
		if n, ok := a.diskTrouble(); ok {
			return failure.New(f.Kind, n.Step+"; "+f.Hint, "%s: %s", f.Message, n.What).Because(err)
		}
	}
	return err
}

// tellNodeAway returns functions that say on standard error that the node is away.
func (a *app) tellNodeAway() outlast.NodeAway {
	return outlast.NodeAway{
		Begin: func() { a.Note("The node went away. Waiting until it is back; Ctrl-C ends the wait.") },
		Over:  func() { a.Note("The node is back.") },
	}
}

// troubleAsked is how long the node may take to say what is wrong with its disk.
const troubleAsked = 2 * time.Second

// diskTrouble returns why the inbox cannot be written, if it cannot: the disk is full, or fails.
func (a *app) diskTrouble() (models.Notice, bool) {
	ctx, cancel := context.WithTimeout(a.ctx, troubleAsked)
	defer cancel()
	h, err := a.client().AtOnce().Health(ctx) // that it does not answer is the verb's to say
	if err != nil {
		return models.Notice{}, false
	}
	of := func(code *codes.Code) int {
		return slices.IndexFunc(h.Degraded, func(n models.Notice) bool { return n.Code == code.Name })
	}
	failed, full := of(codes.InboxFailed), of(codes.DiskFull)
	switch {
	case failed < 0:
		return models.Notice{}, false
	case full >= 0:
		return h.Degraded[full], true
	}
	return h.Degraded[failed], true
}

// listenSink writes messages in their form.
type listenSink struct {
	*outlet.Outlet
	o       *render.Output
	w       *bufio.Writer
	form    render.Form
	written int64
}

func newListenSink(o *render.Output, form render.Form) *listenSink {
	s := &listenSink{Outlet: outlet.New(o.Out), o: o, form: form}
	s.w = bufio.NewWriterSize(s.Outlet, 64<<10)
	return s
}

func (s *listenSink) Write(m *models.Message) error {
	return render.Received(s.o, counting{s}, m, s.form)
}

func (s *listenSink) Flush() error { return s.w.Flush() }

func (s *listenSink) Written() int64 { return s.written }

// counting counts what is given to the buffer of a sink.
type counting struct{ *listenSink }

func (c counting) Write(p []byte) (int, error) {
	c.written += int64(len(p))
	return c.w.Write(p)
}

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
