package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
)

type topCmd struct {
	Sort     string        `help:"What comes first: rate, queue, busy, wait or restarts." enum:"rate,queue,busy,wait,restarts" default:"rate" placeholder:"ORDER"`
	Number   int           `short:"n" help:"How many actors." default:"20" placeholder:"N"`
	Interval time.Duration `help:"How often to look." default:"2s" placeholder:"TIME"`
	Count    int           `help:"How many times to look; 0 is without end." default:"0" placeholder:"N"`
}

// Help returns the text of gamelan top --help below the flags.
func (*topCmd) Help() string {
	return "On a terminal each look replaces the one before; in a pipe they follow each other. Rates and busy times are those since the look before, and at the first one of the last minute. " +
		"WAIT is how long the oldest message of the queue has waited. Ctrl-C ends it."
}

// Run shows the busiest actors.
func (c *topCmd) Run(a *app) error {
	switch {
	case c.Number < 1:
		return failure.Usage("give 1 or more", "--number cannot be %d", c.Number)
	case c.Count < 0:
		return failure.Usage("give 0 or more", "--count cannot be %d", c.Count)
	case c.Interval < 100*time.Millisecond:
		return failure.Usage("give 100ms or more", "--interval cannot be %s", c.Interval)
	}
	var before []inspect.Actor
	var at time.Time
	for n := 1; ; n++ {
		now := time.Now()
		all, err := a.client().Actors(a.ctx)
		if err != nil {
			return err
		}
		shown := slices.Clone(all)
		sinceThen(before, shown, now.Sub(at))
		slices.SortStableFunc(shown, func(x, y inspect.Actor) int { return cmp.Compare(c.order(&y), c.order(&x)) })
		if err := render.Top(a.Output, shown[:min(len(shown), c.Number)], len(all), n); err != nil {
			return err
		}
		before, at = all, now
		if n == c.Count {
			return nil
		}
		if !a.pause(c.Interval) {
			return nil
		}
	}
}

// order returns what actors are sorted by.
func (c *topCmd) order(x *inspect.Actor) float64 {
	value := func(v *float64) float64 {
		if v == nil {
			return 0
		}
		return *v
	}
	switch c.Sort {
	case "queue":
		return float64(x.Mailbox.Depth)
	case "busy":
		return value(x.BusyPct)
	case "wait":
		return float64(x.Mailbox.OldestAgeMS)
	case "restarts":
		return float64(x.Restarts)
	}
	return value(x.Rate)
}

// sinceThen puts the rates since an earlier look in place of those of the last minute.
func sinceThen(before, now []inspect.Actor, span time.Duration) {
	old := make(map[string]*inspect.Actor, len(before))
	for i := range before {
		old[before[i].ID] = &before[i]
	}
	for i := range now {
		x, was := &now[i], old[now[i].ID]
		if was == nil || was.Incarnation != x.Incarnation || span <= 0 || x.Processed < was.Processed {
			continue
		}
		x.Rate = new(float64(x.Processed-was.Processed) / span.Seconds())
		x.BusyPct = new(100 * float64(x.BusyTotal-was.BusyTotal) / float64(span.Nanoseconds()))
	}
}

type failuresCmd struct{}

// Run lists failures of actors.
func (*failuresCmd) Run(a *app) error {
	all, err := a.client().Failures(a.ctx)
	if err != nil {
		return err
	}
	return render.Failures(a.Output, all)
}

type lettersCmd struct{}

// Help returns the text of gamelan deadletters --help below the flags.
func (*lettersCmd) Help() string {
	return "A message reaches nobody when its actor does not exist, or has ended. The node remembers the last 1,000, without their content."
}

// Run lists dead letters.
func (*lettersCmd) Run(a *app) error {
	all, err := a.client().DeadLetters(a.ctx)
	if err != nil {
		return err
	}
	return render.DeadLetters(a.Output, all)
}
