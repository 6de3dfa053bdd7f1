package main

import (
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/outlast"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

type eventsCmd struct {
	Follow bool     `short:"f" help:"Go on with the events that follow, until Ctrl-C."`
	Number int      `short:"n" help:"How many at most: the last ones." default:"50" placeholder:"N"`
	Peer   string   `peer:"" help:"Those of one peer: its name, or the beginning of its key." placeholder:"PEER"`
	Type   []string `help:"Those of a type, such as conn.closed, or of a kind, such as conn." placeholder:"TYPE"`
	From   string   `help:"Those since a time: 03:00, 2026-01-31 03:00, or 24h for the last 24 hours." placeholder:"TIME"`
	To     string   `help:"Those until a time." placeholder:"TIME"`
	Since  string   `help:"Those after the event with an id, oldest first." placeholder:"ID"`
}

// Help returns the text of gamelan events --help below the flags.
func (*eventsCmd) Help() string {
	return "The node keeps its last 10,000 events on the disk, over restarts. Those of the last second before a kill can be missing. " +
		"What strangers cause often is told now and then, and counted. docs/events.md lists the types. With --json each event is a line, with its id for --since.\n\n" +
		"When the node goes away, --follow says so, waits for it, and goes on after the last event. Ctrl-C ends it."
}

// mostEvents is how many events one request can ask for.
const mostEvents = inspect.MaxLimit

// Run shows events.
func (c *eventsCmd) Run(a *app) error {
	q := inspect.EventQuery{Since: c.Since, Types: c.Type, Limit: c.Number}
	if c.Number < 1 || c.Number > mostEvents {
		return failure.Usage(fmt.Sprintf("give 1 to %d", mostEvents), "--number cannot be %d", c.Number)
	}
	if err := c.times(&q, time.Now()); err != nil {
		return err
	}
	var err error
	if c.Peer != "" {
		if q.Peer, err = a.named(c.Peer); err != nil {
			return err
		}
	}
	show := func(e *models.Event) error { return render.Event(a.Output, e) }
	if !c.Follow {
		all, err := a.client().Events(a.ctx, q)
		if err != nil {
			return err
		}
		return c.show(a, &all, show)
	}
	return a.unlessInterrupted(outlast.Follow(a.ctx, a.client(), q, show, a.tellNodeAway()))
}

// show shows a list, and says what is missing of it.
func (c *eventsCmd) show(a *app, all *models.Events, each func(*models.Event) error) error {
	switch {
	case all.Reset:
		a.Note("%q is the id of another node's event, or of one whose data directory is gone. These are the oldest events.", c.Since)
	case all.Lost > 0:
		a.Note("%s before these are gone.", inspect.Count(all.Lost, "event"))
	case len(all.Events) == 0:
		a.Note("There are no such events.")
	}
	for i := range all.Events {
		if err := each(&all.Events[i]); err != nil {
			return err
		}
	}
	switch {
	case all.Earlier:
		a.Note("There are earlier ones: see more with --number.")
	case c.Since != "" && len(all.Events) == c.Number:
		a.Note("More may follow: --since %s", all.Next)
	}
	return nil
}

// times reads --from and --to.
func (c *eventsCmd) times(q *inspect.EventQuery, now time.Time) (err error) {
	if c.From != "" {
		if q.From, err = timeOf("--from", c.From, now); err != nil {
			return err
		}
	}
	if c.To == "" {
		return nil
	}
	if c.Follow {
		return failure.Usage("leave one of them out", "--to and --follow exclude each other")
	}
	q.To, err = timeOf("--to", c.To, now)
	return err
}

// timeOf reads a time as people write it: a time of the last 24 hours, a date with a time, or a duration
// before now.
func timeOf(flag, text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{time.TimeOnly, "15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			y, m, d := now.Date()
			at := time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, now.Location())
			if at.After(now) {
				at = at.AddDate(0, 0, -1)
			}
			return at, nil
		}
	}
	return time.Time{}, failure.Usage("write 03:00, 2026-01-31 03:00, or 24h", "%s cannot be %q", flag, text)
}
