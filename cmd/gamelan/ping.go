package main

import (
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/phrases"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
)

type pingCmd struct {
	Peer     string        `arg:"" peer:"" help:"A name or public key that gamelan peers lists, or ${seed}."`
	Count    int           `short:"c" help:"How many rounds; 0 goes on until Ctrl-C." default:"5" placeholder:"N"`
	Interval time.Duration `help:"How long to wait between two rounds." default:"1s" placeholder:"TIME"`
	Timeout  time.Duration `help:"How long a round may take, the first with the set-up of the connection (default: ${ping_timeout} for the answer, and for the connection as long as a dial may take)." placeholder:"TIME"`
}

// Help returns the text of gamelan ping --help below the flags.
func (*pingCmd) Help() string {
	return "The running node connects to the peer if it is not connected, and the peer's node answers, not a program there. " +
		"At the end stand the way to the peer, how many rounds were answered, and the least, median and greatest round trip. The exit code is 1 if no round was answered.\n\n" + givenHelp
}

// Run makes the node ping the peer again and again.
func (c *pingCmd) Run(a *app) error {
	switch {
	case c.Count < 0:
		return failure.Usage("give 0 or more", "--count cannot be %d", c.Count)
	case c.Interval < 0:
		return failure.Usage("give 0s or more", "--interval cannot be %s", c.Interval)
	case c.Timeout < 0:
		return failure.Usage("give a positive duration, such as 5s", "--timeout cannot be %s", c.Timeout)
	}
	peer, err := a.named(c.Peer)
	if err != nil {
		return err
	}
	if err := api.CheckPeer(peer); err != nil {
		return err
	}
	node := a.client()
	a.tellConnected(peer)
	show, slow := render.NewPings(a.Output), tellDialling(a, peer)
	defer slow.stop()
	misaddressed := false
	for n := 1; ; n++ {
		pong, err := node.Ping(a.ctx, peer, c.Timeout)
		slow.report()
		if a.ctx.Err() != nil {
			break
		}
		f := (*failure.Error)(nil)
		if err != nil {
			if client.CodeOf(err) != inspect.CodeNoAnswer {
				return err
			}
			f = phrases.Of(err, a.dir, a.patience)
			misaddressed = misaddressed || phrases.Misaddressed(err)
		}
		if err := show.Round(pong, f); err != nil {
			return err
		}
		if n == c.Count {
			break
		}
		if !a.pause(c.Interval) {
			break
		}
	}
	if err := show.End(); err != nil {
		return err
	}
	if show.Answered() == 0 {
		if step := show.Step(); step != "" {
			a.Note("%s", a.Named("Next: "+step+"."))
		}
		a.noteUnreached(peer, misaddressed)
		return errQuiet
	}
	return nil
}
