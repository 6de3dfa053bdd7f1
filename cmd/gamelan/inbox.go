package main

import (
	"slices"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

type inboxCmd struct {
	Dead  inboxDeadCmd  `cmd:"" default:"withargs" help:"List the messages on the shelf."`
	Retry inboxRetryCmd `cmd:"" help:"Have messages of the shelf handed out again, as if they had just come."`
	Drop  inboxDropCmd  `cmd:"" help:"Delete messages of the shelf."`
}

// Help returns the text of gamelan inbox --help below the flags.
func (*inboxCmd) Help() string {
	return "A message that was handed out inbox.max_attempts times, and never acknowledged, goes to the shelf. It stays in the inbox, and takes room there. gamelan listen shows the others."
}

type inboxDeadCmd struct{}

func (*inboxDeadCmd) Run(a *app) error {
	return printed(a, atNow(render.Shelf))(a.client().InboxShelf(a.ctx))
}

type shelved struct {
	Seq []uint64 `arg:"" optional:"" help:"Numbers of messages, as gamelan inbox lists them."`
	All bool     `help:"All messages on the shelf."`
}

// seqs returns the numbers, none with --all.
func (s *shelved) seqs() ([]uint64, error) {
	switch {
	case len(s.Seq) == 0 && !s.All:
		return nil, failure.Usage("give the numbers that gamelan inbox lists, or --all", "no message is named")
	case len(s.Seq) > 0 && s.All:
		return nil, failure.Usage("leave one of them out", "choose either numbers or --all")
	}
	return s.Seq, nil
}

// taken returns err, or says that numbers were given of messages that are not on the shelf.
func (s *shelved) taken(v models.ShelfTaken, err error) error {
	n := len(slices.Compact(slices.Sorted(slices.Values(s.Seq)))) - v.Messages
	switch {
	case err != nil || n <= 0:
		return err
	case n == 1:
		return failure.New(inspect.CodeNotFound, "see with gamelan inbox what is", "one of the messages is not on the shelf")
	}
	return failure.New(inspect.CodeNotFound, "see with gamelan inbox what is", "%d of the messages are not on the shelf", n)
}

type inboxRetryCmd struct{ shelved }

func (c *inboxRetryCmd) Run(a *app) error {
	seqs, err := c.seqs()
	if err != nil {
		return err
	}
	v, err := a.client().RetryMessages(a.ctx, seqs)
	return c.taken(v, printed(a, render.Retried)(v, err))
}

type inboxDropCmd struct {
	shelved
	Yes bool `help:"Do not refuse --all."`
}

// Help returns the text of gamelan inbox drop --help below the flags.
func (*inboxDropCmd) Help() string {
	return "Deleted messages do not come back. The outcome of one that was sent with Handled has failed then."
}

func (c *inboxDropCmd) Run(a *app) error {
	seqs, err := c.seqs()
	switch {
	case err != nil:
		return err
	case c.All && !c.Yes:
		return failure.Usage("add --yes if you mean it", "--all deletes all messages on the shelf, for good")
	}
	v, err := a.client().DropMessages(a.ctx, seqs)
	return c.taken(v, printed(a, render.DroppedOffShelf)(v, err))
}
