package render

import (
	"fmt"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Connections writes a table for people, one object a line for programs.
func Connections(o *Output, conns []models.Connection, closed bool, now time.Time) error {
	if o.JSON {
		return Each(o, conns)
	}
	if len(conns) == 0 {
		if closed {
			o.Note("no connection has ended yet")
		} else {
			o.Note("no connections; see why with \"%s\", and those that ended with \"%s\"", o.Command("status"), o.Command("conns --closed"))
		}
		return nil
	}
	rows := [][]string{{"PEER", "DIRECTION", "AGE", "RTT", "PROTECTED BY", "ADDRESS"}}
	if closed {
		rows = [][]string{{"PEER", "DIRECTION", "LASTED", "ENDED", "BY", "WHY"}}
	}
	for _, c := range conns {
		age := shortAge(time.Duration(c.AgeMS) * time.Millisecond)
		row := []string{o.Who(c.Peer), c.Direction, age}
		if closed {
			row = append(row, at(c.ClosedAt), c.ClosedBy, c.CloseReason)
		} else {
			row = append(row, sign(c, now), orDash(strings.Join(c.Protected, ", ")), o.address(c.Remote))
		}
		rows = append(rows, row)
	}
	return o.Table(rows)
}

// sign returns the last sign of life of a connection: how long it has been silent if an answer
// is due, else the round trip, with its age from a minute on.
func sign(c models.Connection, now time.Time) string {
	if c.SilentMS > 0 {
		return "silent " + shortAge(time.Duration(c.SilentMS)*time.Millisecond)
	}
	s := rtt(c.RTTMS)
	if age := now.Sub(c.LastPongAt); c.RTTMS != 0 && !c.LastPongAt.IsZero() && age >= time.Minute {
		s += ", " + shortSince(c.LastPongAt, now) + " old"
	}
	return s
}

// rtt returns a round-trip time, or a dash before the first was measured.
func rtt(ms float64) string {
	switch {
	case ms == 0:
		return "-"
	case ms < 0.1:
		return "<0.1ms"
	}
	return fmt.Sprintf("%.1fms", ms)
}
