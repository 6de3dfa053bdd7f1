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
	"github.com/gamelan-p2p/gamelan/internal/words"
)

type healthCmd struct {
	Strict  bool          `help:"End with exit code 1 when the node is degraded, too: for alerts."`
	Timeout time.Duration `help:"How long the node may take to answer." default:"${patience}" placeholder:"TIME"`
}

// Help returns the text of gamelan health --help below the flags.
func (*healthCmd) Help() string {
	return "The line begins with ok, degraded or failed, and the cause follows.\n\n" +
		"A node is degraded when it runs and does not work as it should. It is offline for longer than health.offline_after, for instance, " +
		"its disk or its inbox is nearly full, or an actor fails again and again. docs/trouble.md lists all causes with their codes, and the section health of the settings has the thresholds.\n\n" +
		"The exit code of a degraded node is 0, as a restart would not help, and 1 with --strict. When the node has failed, or none runs, it is 1.\n\n" +
		"Warnings are counted, and leave the node ok: gamelan status shows them. health.degraded_by names those with which it is degraded."
}

// healthJSON is the output of health with --json.
type healthJSON struct {
	OK    bool               `json:"ok"`    // it has not failed
	State models.HealthState `json:"state"` // ok, degraded or failed
	Cause string             `json:"cause"`

	Reasons  models.Notices `json:"reasons"` // why it is not ok, the cause first
	Warnings models.Notices `json:"warnings"`

	Discovery string        `json:"discovery,omitempty"` // how well the node has found others, in words
	Stored    string        `json:"saf,omitempty"`       // about stored messages, in words
	Kad       string        `json:"kad,omitempty"`       // about the key-value DHT, in words
	Inbox     *models.Inbox `json:"inbox,omitempty"`
}

// Run prints one line. The exit code is 1 when the node does not work or cannot be
// reached, and with --strict when it is degraded.
func (c *healthCmd) Run(a *app) error {
	if c.Timeout <= 0 {
		return failure.Usage("give a positive duration, such as 5s", "--timeout cannot be %s", c.Timeout)
	}
	ctx, cancel := context.WithTimeout(a.ctx, c.Timeout)
	defer cancel()
	v, err := askHealth(ctx, a.asks(client.Options{Answer: c.Timeout}), a)
	if err != nil && a.ctx.Err() != nil {
		return err
	}
	if err := printHealth(a, v); err != nil {
		return err
	}
	if !v.OK || c.Strict && v.State == models.HealthDegraded {
		return errQuiet
	}
	return nil
}

// askHealth asks the node for its health. It also returns an answer for a node that cannot
// be reached; err is then the cause.
func askHealth(ctx context.Context, c *client.Client, a *app) (v healthJSON, err error) {
	h, err := c.Health(ctx)
	v.State, v.Reasons, v.Warnings = models.HealthFailed, models.Notices{}, models.Notices{}
	var n models.Node
	if err == nil && h.OK {
		n, err = c.Node(ctx)
	}
	if err != nil {
		v.Cause = phrases.Of(err, a.dir, "").Message
		return v, err
	}
	v.State, v.Warnings = models.StateOf(h.Reasons, h.Degraded), h.Warnings
	switch v.State {
	case models.HealthFailed:
		v.Reasons, v.Cause = h.Reasons, strings.Join(render.Notices(h.Reasons), ", ")
		return v, nil
	case models.HealthDegraded:
		v.OK, v.Reasons, v.Cause = true, h.Degraded, render.HealthText(h.Degraded)
	default:
		cause, _, _ := strings.Cut(n.Cause, ";")
		status := n.Status
		if status == "offline" {
			status += " for " + words.Long(time.Since(n.Since))
			if n.Tried != nil {
				cause = n.Tried.What
			}
		}
		v.OK, v.Cause = true, render.State(status, cause)
	}
	if v.Inbox = n.Inbox; n.Inbox != nil {
		v.Cause += inboxLevel(n.Inbox)
	}
	if len(v.Warnings) > 0 && v.State == models.HealthOK {
		v.Cause += "; " + inspect.Count(uint64(len(v.Warnings)), "warning")
		if len(v.Warnings) == 1 {
			what, _, _ := strings.Cut(v.Warnings[0].What, ": ")
			v.Cause += ": " + what
		}
		v.Cause += ", see gamelan status"
	}
	if network, err := c.Network(ctx); err == nil && network.On {
		v.Discovery = network.Summary
	}
	if stored, err := c.StoreForward(ctx); err == nil && stored.On {
		v.Stored = stored.Summary
	}
	if kad, err := c.Kad(ctx); err == nil && len(kad.Clients) > 0 {
		v.Kad = render.KadText(&kad)
	}
	return v, nil
}

// inboxLevel returns how full an inbox is, unless a reason says it, or it is empty.
func inboxLevel(in *models.Inbox) string {
	if in.Messages == 0 || in.Trouble != "" || in.Full {
		return ""
	}
	messages := inspect.Count(uint64(in.Messages), "message")
	if level := fmt.Sprintf("%.0f%%", 100*in.Level()); level != "0%" {
		return "; inbox " + level + " full, " + messages
	}
	return "; " + messages + " in the inbox"
}

func printHealth(a *app, v healthJSON) error {
	if a.JSON {
		return a.PrintJSON(v)
	}
	return render.Health(a.Output, v.State, v.Cause)
}
