package render

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/units"
)

// Top is one look of top. On a terminal it replaces the one before.
type Top struct {
	*Output
	At     time.Time // of the look
	First  bool      // there was none before it
	Footer string    // names the keys, on a terminal; "": there are none
}

// Traffic is what passes on a connection, or on those of a peer. Rates are bytes in a second.
type Traffic struct {
	RateIn       float64 `json:"bytes_in_per_s"`
	RateOut      float64 `json:"bytes_out_per_s"`
	BytesIn      uint64  `json:"bytes_in"` // since it was connected
	BytesOut     uint64  `json:"bytes_out"`
	PendingBytes int64   `json:"pending_bytes"` // of messages to the peer without an outcome
	RTTMS        float64 `json:"rtt_ms"`
	AgeMS        int64   `json:"age_ms"`
}

// TopConn is a connection and its rates.
type TopConn struct {
	models.Connection
	RateIn  float64 `json:"bytes_in_per_s"`
	RateOut float64 `json:"bytes_out_per_s"`
}

// TrafficOf returns the traffic of a connection.
func TrafficOf(c *TopConn) Traffic {
	return Traffic{c.RateIn, c.RateOut, c.BytesIn, c.BytesOut, c.PendingBytes, c.RTTMS, c.AgeMS}
}

// TopPeer is a peer and the traffic of its connections.
type TopPeer struct {
	NodeID      string `json:"node_id"`
	PublicKey   string `json:"public_key"`
	Connections int    `json:"connections"`
	Traffic
}

// topJSON is a look for programs.
type topJSON[T any] struct {
	Items []T `json:"items"`
	Total int `json:"total"` // of all, with those that are not shown
}

// Actors writes the busiest of all actors.
func (t *Top) Actors(actors []inspect.Actor, all int) error {
	if t.JSON {
		return t.PrintJSON(topJSON[inspect.Actor]{actors, all})
	}
	rows := [][]string{{"MSG/S", "BUSY", "QUEUE", "WAIT", "HANDLED", "RESTARTS", "STATE", "ACTOR"}}
	for i := range actors {
		a := &actors[i]
		rows = append(rows, []string{
			optional(a.Rate, "%.1f"), optional(a.BusyPct, "%.1f%%"), fmt.Sprint(a.Mailbox.Depth), wait(a.Mailbox.OldestAgeMS), inspect.Number(a.Processed),
			fmt.Sprint(a.Restarts), string(a.State), t.actorPath(a.ID),
		})
	}
	return t.page(inspect.Count(uint64(all), "actor"), rows)
}

// Peers writes the peers with the most traffic, of all peers with their connections.
func (t *Top) Peers(peers []TopPeer, all, conns int) error {
	if t.JSON {
		return t.PrintJSON(topJSON[TopPeer]{peers, all})
	}
	rows := [][]string{append(trafficHeads(), "PEER")}
	for i := range peers {
		p := &peers[i]
		row := []string{"-", "-", "-", "-", "-", "-", "-"}
		if p.Connections > 0 {
			row = p.cells()
		}
		rows = append(rows, append(row, t.who(p.NodeID, p.PublicKey, shortID)))
	}
	return t.page(inspect.Count(uint64(all), "peer")+", "+inspect.Count(uint64(conns), "connection"), rows)
}

// addressFrom is the width from which connections have their addresses.
const addressFrom = 110

// Conns writes the connections with the most traffic.
func (t *Top) Conns(conns []TopConn, all int) error {
	if t.JSON {
		return t.PrintJSON(topJSON[TopConn]{conns, all})
	}
	rows := [][]string{append(trafficHeads(), "DIR", "PEER")}
	wide := t.columns() == 0 || t.columns() >= addressFrom
	if wide {
		rows[0] = append(rows[0], "ADDRESS")
	}
	for i := range conns {
		c := &conns[i]
		traffic := TrafficOf(c)
		row := append(traffic.cells(), strings.TrimSuffix(c.Direction, "bound"), t.Who(c.Peer))
		if wide {
			row = append(row, t.address(c.Remote))
		}
		rows = append(rows, row)
	}
	return t.page(inspect.Count(uint64(all), "connection"), rows)
}

func trafficHeads() []string { return []string{"IN/S", "OUT/S", "IN", "OUT", "QUEUE", "RTT", "AGE"} }

func (x *Traffic) cells() []string {
	return []string{
		units.Bytes(uint64(x.RateIn)), units.Bytes(uint64(x.RateOut)), units.Bytes(x.BytesIn), units.Bytes(x.BytesOut), units.Bytes(uint64(max(0, x.PendingBytes))),
		rtt(x.RTTMS), shortAge(time.Duration(x.AgeMS) * time.Millisecond),
	}
}

// page writes a table for people.
func (t *Top) page(what string, rows [][]string) error {
	var b bytes.Buffer
	if !t.First && !t.Moves() {
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%s, at %s\n", what, at(t.At))
	inner := *t.Output
	inner.Out, inner.Columns = &b, t.columns()
	if err := inner.Table(rows); err != nil {
		return err
	}
	if !t.Moves() {
		return Styled(t.Out, b.String())
	}
	if t.Footer == "" {
		return t.redraw(b.Bytes())
	}
	return t.redrawKeys(b.Bytes(), t.Footer)
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
