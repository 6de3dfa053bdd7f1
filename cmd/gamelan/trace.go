package main

import (
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

type traceCmd struct {
	Actor   traceActorCmd   `cmd:"" help:"Show each message that an actor handles: its type, its sender, how long it took."`
	Peer    tracePeerCmd    `cmd:"" help:"Show what happens with a peer: connections, messages, outcomes."`
	Message traceMessageCmd `cmd:"" help:"Show what happens with a message of the DHT, by its tag."`
}

// traceBounds are the flags of all traces.
type traceBounds struct {
	Limit int           `help:"End after so many lines." default:"100" placeholder:"N"`
	For   time.Duration `help:"End after this time." default:"10s" placeholder:"TIME"`
}

type traceActorCmd struct {
	Path string `arg:"" help:"The actor, as gamelan tree shows it, or the end of its path, such as services/rpc."`
	traceBounds
}

// Help returns the text of gamelan trace actor --help below the flags.
func (*traceActorCmd) Help() string {
	return "The trace ends by itself. While it lasts, each message of that actor costs about a microsecond more. Contents are not shown."
}

// Run traces an actor.
func (c *traceActorCmd) Run(a *app) error {
	return c.trace(a, "actor", a.actorPath(strings.Trim(c.Path, "/")))
}

type tracePeerCmd struct {
	Peer string `arg:"" peer:"" help:"A name or public key that gamelan peers lists."`
	traceBounds
}

// Run traces a peer.
func (c *tracePeerCmd) Run(a *app) error {
	peer, err := a.named(c.Peer)
	if err != nil {
		return err
	}
	return c.trace(a, "peer", peer)
}

type traceMessageCmd struct {
	Tag string `arg:"" help:"The tag in hexadecimal digits, as gamelan messages shows it."`
	traceBounds
}

// Help returns the text of gamelan trace message --help below the flags.
func (*traceMessageCmd) Help() string {
	return "Choose a tag such as 2a, begin the trace, and send the message elsewhere: gamelan send --to bob --tag 2a hello. Begin the trace before the message is sent, or at a node that it has still to reach: the tag is the same at all nodes."
}

// Run traces a message.
func (c *traceMessageCmd) Run(a *app) error { return c.trace(a, "message", c.Tag) }

// trace shows the lines of a trace as they come.
func (b traceBounds) trace(a *app, kind, of string) error {
	switch {
	case b.Limit < 1 || b.Limit > models.MostTraced:
		return failure.Usage("give 1 to "+inspect.Number(models.MostTraced), "--limit cannot be %d", b.Limit)
	case b.For <= 0 || b.For > models.LongestTrace:
		return failure.Usage("give a time up to "+models.LongestTrace.String(), "--for cannot be %s", b.For)
	}
	a.Note("Tracing for %s, or %s. Ctrl-C ends it.", b.For, inspect.Count(uint64(b.Limit), "line"))
	return a.unlessInterrupted(a.client().Trace(a.ctx, kind, of, b.Limit, b.For, func(m *models.Traced) error { return render.Traced(a.Output, m) }))
}
