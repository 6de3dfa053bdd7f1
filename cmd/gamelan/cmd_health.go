package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
)

type healthCmd struct {
	Timeout time.Duration `help:"How long the node may take to answer." default:"5s" placeholder:"TIME"`
}

// Help is what gamelan health --help says beneath the flags.
func (*healthCmd) Help() string {
	return "A node that runs and answers is healthy, also one that is offline: starting it again would not help. The exit code is 0 or 1, and 1 also when no node runs."
}

// healthJSON is what health says with --json.
type healthJSON struct {
	OK    bool   `json:"ok"`
	Cause string `json:"cause"`
}

// Run prints one line; the exit code is 1 when the node does not work, or
// cannot be asked.
func (c *healthCmd) Run(a *app) error {
	if c.Timeout <= 0 {
		return usage("give a positive duration, such as 5s", "--timeout cannot be %s", c.Timeout)
	}
	ctx, cancel := context.WithTimeout(a.ctx, c.Timeout)
	defer cancel()
	v, err := askHealth(ctx, newClient(a.dir))
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

// askHealth asks the node; that it cannot be asked is an answer, too. The
// error is the cause of that.
func askHealth(ctx context.Context, c *client) (v healthJSON, err error) {
	h, err := c.health(ctx)
	var n inspect.Node
	if err == nil && h.OK {
		err = c.getJSON(ctx, "/v1/node", &n)
	}
	switch f := (*failure)(nil); {
	case errors.As(err, &f):
		v.Cause = f.message
	case err != nil:
		v.Cause = oneLine(err.Error())
	case !h.OK:
		v.Cause = strings.Join(h.Reasons, ", ")
	default:
		v.OK, v.Cause = true, stateText(n.Status, n.Cause)
	}
	return v, err
}

func printHealth(a *app, v healthJSON) error {
	if a.json {
		return a.printJSON(v)
	}
	word := "unhealthy"
	if v.OK {
		word = "healthy"
	}
	_, err := fmt.Fprintf(a.out, "%s: %s\n", word, inspect.Escape(v.Cause))
	return err
}
