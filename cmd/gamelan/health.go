package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/phrases"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

type healthCmd struct {
	Timeout time.Duration `help:"How long the node may take to answer." default:"${patience}" placeholder:"TIME"`
}

// Help returns the text of gamelan health --help below the flags.
func (*healthCmd) Help() string {
	return "A node that runs and answers is healthy, even when it is offline: a restart would not help.\n\n" +
		"A node is degraded when its inbox, or its store of messages for others, is full. " +
		"It is degraded, too, when the disk or the log cannot be written, Tor does not work, or connections cannot be accepted. " +
		"The same holds when an actor or a service has panicked in the last ten minutes, or was stopped by a panic.\n\n" +
		"The exit code of a degraded node is 0, too: a restart would not help against what causes it. In all other cases, and when no node runs, the exit code is 1."
}

// healthJSON is the output of health with --json.
type healthJSON struct {
	OK    bool   `json:"ok"`
	State string `json:"state"` // healthy, degraded or unhealthy; ok is true with the first two
	Cause string `json:"cause"`

	Discovery string        `json:"discovery,omitempty"` // how well the node has found others, in words; not a reason to be unhealthy
	Stored    string        `json:"saf,omitempty"`       // about stored messages, in words; not a reason to be unhealthy
	Kad       string        `json:"kad,omitempty"`       // about the key-value DHT, in words; not a reason to be unhealthy
	Inbox     *models.Inbox `json:"inbox,omitempty"`
}

// Run prints one line. The exit code is 1 when the node does not work or cannot be
// reached.
func (c *healthCmd) Run(a *app) error {
	if c.Timeout <= 0 {
		return failure.Usage("give a positive duration, such as 5s", "--timeout cannot be %s", c.Timeout)
	}
	ctx, cancel := context.WithTimeout(a.ctx, c.Timeout)
	defer cancel()
	v, err := askHealth(ctx, client.New(a.dir.Path, client.Options{Answer: c.Timeout}), a)
	if err != nil && a.ctx.Err() != nil {
		return err
	}
	if err := printHealth(a, v); err != nil {
		return err
	}
	if !v.OK {
		return errQuiet
	}
	return nil
}

// askHealth asks the node for its health. It also returns an answer for a node that cannot
// be reached; err is then the cause.
func askHealth(ctx context.Context, c *client.Client, a *app) (v healthJSON, err error) {
	h, err := c.Health(ctx)
	v.State = "unhealthy"
	var n models.Node
	if err == nil && h.OK {
		n, err = c.Node(ctx)
	}
	switch {
	case err != nil:
		v.Cause = phrases.Of(err, a.dir, "").Message
	case !h.OK:
		v.Cause = strings.Join(render.Notices(h.Reasons), ", ")
	case len(h.Degraded) > 0:
		v.OK, v.State, v.Cause = true, "degraded", strings.Join(render.Notices(h.Degraded), "; ")
	default:
		v.OK, v.State, v.Cause = true, "healthy", render.State(n.Status, n.Cause)
	}
	if v.State == "healthy" {
		if network, err := c.Network(ctx); err == nil && network.On {
			v.Discovery = network.Summary
			v.Cause += "; " + network.Summary
		}
		if stored, err := c.StoreForward(ctx); err == nil && stored.On {
			v.Stored = stored.Summary
			v.Cause += "; " + stored.Summary
		}
		if kad, err := c.Kad(ctx); err == nil && len(kad.Clients) > 0 {
			v.Kad = render.KadText(&kad)
			v.Cause += "; " + v.Kad
		}
	}
	v.addInbox(n.Inbox)
	return v, err
}

// addInbox adds to the cause of a healthy node how full its inbox is. A full inbox, or one
// that cannot be written, is among the reasons of a degraded node.
func (v *healthJSON) addInbox(in *models.Inbox) {
	if v.Inbox = in; in == nil || !v.OK {
		return
	}
	if in.Messages > 0 && in.Trouble == "" && !in.Full {
		v.Cause += fmt.Sprintf("; inbox %.0f%% full, %s", 100*in.Level(), inspect.Count(uint64(in.Messages), "message"))
	}
}

func printHealth(a *app, v healthJSON) error {
	if a.JSON {
		return a.PrintJSON(v)
	}
	return a.Say(v.State + ": " + inspect.Escape(a.Named(v.Cause)))
}
