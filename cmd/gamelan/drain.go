package main

import (
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

type drainCmd struct {
	Off     bool          `help:"End it: the node connects to others again."`
	Stop    bool          `help:"Stop the node when it works on nothing any more, or after --timeout."`
	Timeout time.Duration `help:"How long to wait for the work that is under way; 0s does not wait." default:"30s" placeholder:"TIME"`
}

// Help returns the text of gamelan drain --help below the flags.
func (*drainCmd) Help() string {
	return "A node that drains accepts no connections and dials nobody. It goes on with the peers that are connected. gamelan health says degraded, and /readyz has the status 503. " +
		"The command waits until no message and no call is under way; streams that programs have opened are not waited for. The exit code is 1 if some still are. It ends with --off, or when the node is started again."
}

// drainEvery is how often the command looks whether work is under way.
const drainEvery = 200 * time.Millisecond

// Run has the node drain.
func (c *drainCmd) Run(a *app) error {
	switch {
	case c.Off && c.Stop:
		return failure.Usage("leave one of them out", "--off and --stop exclude each other")
	case c.Timeout < 0:
		return failure.Usage("give 0s or more", "--timeout cannot be %s", c.Timeout)
	}
	d, err := a.client().Drain(a.ctx, c.Off)
	if err != nil {
		return err
	}
	if c.Off {
		return c.show(a, &d, "The node connects to others again.")
	}
	for end := time.Now().Add(c.Timeout); busy(&d) && time.Now().Before(end); {
		if !a.pause(drainEvery) {
			return c.interrupted()
		}
		n, err := a.client().Node(a.ctx)
		if a.interrupted(err) {
			return c.interrupted()
		}
		if err != nil {
			return err
		}
		d.Connections, d.Calls, d.Bytes = n.Held, n.Calls, n.Credit.Used
	}
	if c.Stop {
		if err := a.client().Shutdown(a.ctx); err != nil {
			return err
		}
		return c.show(a, &d, "The node stops.")
	}
	text := fmt.Sprintf("The node makes no new connections, and has %d. Nothing is under way.", d.Connections)
	if busy(&d) {
		text = fmt.Sprintf("The node makes no new connections, and has %d. Under way: %s, and messages of %s.", d.Connections, inspect.Count(uint64(d.Calls), "call"), render.Bytes(d.Bytes))
	}
	if err := c.show(a, &d, text); err != nil {
		return err
	}
	if busy(&d) {
		return errQuiet
	}
	return nil
}

func busy(d *models.Drain) bool { return d.Calls > 0 || d.Bytes > 0 }

// interrupted is the failure of a wait that the user has ended.
func (c *drainCmd) interrupted() error {
	hint := "the node drains on; gamelan drain --off ends that"
	if c.Stop {
		hint = "the node was not stopped, and drains on; gamelan drain --off ends that"
	}
	return failure.New(client.CodeInterrupted, hint, "interrupted with work under way")
}

func (*drainCmd) show(a *app, d *models.Drain, text string) error {
	if a.JSON {
		return a.PrintJSON(d)
	}
	_, err := fmt.Fprintln(a.Out, text)
	return err
}
