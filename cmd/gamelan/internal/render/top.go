package render

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// Top writes the nth look at the busiest of all actors. On a terminal it replaces the one before.
func Top(o *Output, actors []inspect.Actor, all, n int) error {
	if o.JSON {
		return o.PrintJSON(struct {
			Items []inspect.Actor `json:"items"`
			Total int             `json:"total"` // of all actors
		}{actors, all})
	}
	rows := [][]string{{"MSG/S", "BUSY", "QUEUE", "WAIT", "HANDLED", "RESTARTS", "STATE", "ACTOR"}}
	for i := range actors {
		a := &actors[i]
		rows = append(rows, []string{
			optional(a.Rate, "%.1f"), optional(a.BusyPct, "%.1f%%"), fmt.Sprint(a.Mailbox.Depth), wait(a.Mailbox.OldestAgeMS), inspect.Number(a.Processed),
			fmt.Sprint(a.Restarts), string(a.State), o.actorPath(a.ID),
		})
	}
	var b bytes.Buffer
	if n > 1 && !o.Moves() {
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%s, at %s\n", inspect.Count(uint64(all), "actor"), at(time.Now()))
	inner := *o
	inner.Out, inner.Columns = &b, o.columns()
	if err := inner.Table(rows); err != nil {
		return err
	}
	if o.Moves() {
		return o.redraw(b.Bytes())
	}
	return Styled(o.Out, b.String())
}

// actorPath returns the path of an actor as gamelan tree shows it, with the names of peers.
func (o *Output) actorPath(id string) string {
	_, path, below := strings.Cut(id, "/")
	if !below {
		path = id
	}
	return o.Named(path)
}

func optional(v *float64, format string) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf(format, *v)
}

func wait(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return (time.Duration(ms) * time.Millisecond).String()
}

// Failures writes failures of actors.
func Failures(o *Output, all []inspect.Failure) error {
	switch {
	case o.JSON:
		return Each(o, all)
	case len(all) == 0:
		return o.Say("No actor has failed.")
	}
	rows := [][]string{{"TIME", "ACTOR", "WHERE", "MESSAGE", "WHY"}}
	for _, f := range all {
		rows = append(rows, []string{at(f.At), o.actorPath(f.Actor), orDash(f.Where), orDash(f.MessageType), f.Reason})
	}
	return o.Table(rows)
}

// DeadLetters writes messages that have reached no actor.
func DeadLetters(o *Output, all []inspect.DeadLetter) error {
	switch {
	case o.JSON:
		return Each(o, all)
	case len(all) == 0:
		return o.Say("Every message has reached its actor.")
	}
	rows := [][]string{{"TIME", "MESSAGE", "TO", "FROM"}}
	for _, l := range all {
		rows = append(rows, []string{at(l.At), l.MessageType, o.actorPath(l.Target), orDash(o.actorPath(l.Sender))})
	}
	return o.Table(rows)
}
