package render

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// whyParts are the parts of a score in the order of their weight.
var whyParts = []string{"reached before", "health", "rested"}

// How much of the answer is shown beside the peer itself, so that it fits on one screen. The
// JSON has all of it.
const (
	whyShown = 5 // candidates, the best ones
	whyDials = 8 // the last ones
)

// Why writes the state of the peer, its last dials, the choice as a table, the best first,
// and advice.
func Why(o *Output, w models.Why) error {
	if o.JSON {
		return o.PrintJSON(w)
	}
	for _, line := range whyState(o, w, time.Now()) {
		if err := o.Say(inspect.Escape(line)); err != nil {
			return err
		}
	}
	if err := printDials(o, w.Dials); err != nil {
		return err
	}
	if err := printChoice(o, w); err != nil {
		return err
	}
	if next := whyNext(o, w); next != "" {
		return o.Say(inspect.Escape("Next: " + next))
	}
	return nil
}

// whySinceJSON is the answer with what happened.
type whySinceJSON struct {
	models.Why
	Events []models.Event `json:"events"`
}

// WhySince is Why with what happened with the peer.
func WhySince(o *Output, w models.Why, events []models.Event) error {
	if o.JSON {
		return o.PrintJSON(whySinceJSON{w, events})
	}
	if len(events) == 0 {
		o.Note("No events of this peer are kept from that time.")
	}
	for i := range events {
		if err := Event(o, &events[i]); err != nil {
			return err
		}
	}
	return Why(o, w)
}

// whyState returns lines on the peer's ban, on its connection or the end of its last one,
// and on the next dial.
func whyState(o *Output, w models.Why, now time.Time) []string {
	var lines []string
	if !w.BannedUntil.IsZero() {
		line := fmt.Sprintf("%s is banned until %s", o.whoLong(w.NodeID, w.PublicKey), w.BannedUntil.Local().Format("2006-01-02 15:04"))
		if w.BanReason != "" {
			line += " (" + w.BanReason + ")"
		}
		lines = append(lines, line+fmt.Sprintf("; lift it with \"%s\".", o.Command("unban "+w.NodeID)))
	}
	if w.NotAdmitted {
		lines = append(lines, o.whoLong(w.NodeID, w.PublicKey)+" is not admitted: this node has connections with listed peers alone.")
	}
	line := o.whoLong(w.NodeID, w.PublicKey) + " is not connected"
	if w.Connected {
		line = fmt.Sprintf("%s is connected, %s, for %s, at %s", o.whoLong(w.NodeID, w.PublicKey), w.Direction, shortAge(now.Sub(w.Since)), w.Remote)
	}
	if w.SilentMS > 0 {
		line += fmt.Sprintf("; nothing has come from it for %s, although an answer is due", shortAge(time.Duration(w.SilentMS)*time.Millisecond))
	}
	if len(w.Protected) > 0 {
		line += ", protected by " + strings.Join(w.Protected, ", ")
	}
	lines = append(lines, line+".")
	if w.MovedFrom != "" {
		lines = append(lines, fmt.Sprintf("Its last connection was with another address, %s, and ended %s ago, at %s.", w.MovedFrom, shortAge(now.Sub(w.MovedAt)), w.MovedAt.Local().Format(time.TimeOnly)))
	}
	if d := w.Dialling; d != nil {
		at := ""
		if d.Address != "" {
			at = " at " + d.Address
		}
		lines = append(lines, fmt.Sprintf("It is being dialled%s, without an answer so far: since %s, %s ago.", at, d.Since.Local().Format(time.TimeOnly), shortAge(now.Sub(d.Since))))
	}
	lines = append(lines, poolLines(w, now)...)
	lines = append(lines, storedLines(w.Stored, now)...)
	lines = append(lines, w.Kad...)
	for _, text := range w.NotTaken {
		lines = append(lines, Plain(text)+".")
	}
	if w.Lost != "" {
		lines = append(lines, fmt.Sprintf("Its last connection ended %s ago, at %s: %s.", shortAge(now.Sub(w.LostAt)), w.LostAt.Local().Format(time.TimeOnly), w.Lost))
	}
	if w.Tor != "" {
		lines = append(lines, w.Tor)
	}
	if w.NextDialAt.After(now) {
		lines = append(lines, fmt.Sprintf("It is dialled again at %s, in %s.", w.NextDialAt.Local().Format(time.TimeOnly), shortAge(w.NextDialAt.Sub(now))))
	}
	return lines
}

// poolLines returns lines on the peer's part in the network of this node.
func poolLines(w models.Why, now time.Time) (lines []string) {
	words := map[string]string{
		"neighbour": "a neighbour: one of the known nodes closest to this one",
		"random":    "one of the nodes chosen at random to stay connected to",
		"seed":      "a seed",
	}
	for i, pool := range w.Pools {
		verb := "It is "
		if i > 0 {
			verb = "It is also "
		}
		lines = append(lines, verb+words[pool]+".")
	}
	switch s := w.Asked; {
	case s == nil:
	case s.At.IsZero():
		lines = append(lines, "It was not asked for peers yet.")
	case s.Answered:
		line := fmt.Sprintf("Asked for peers %s ago, it told of %s", shortAge(now.Sub(s.At)), inspect.Number(uint64(s.Peers)))
		if s.New != nil {
			line += fmt.Sprintf(", of which %s were new", inspect.Number(uint64(*s.New)))
		}
		lines = append(lines, line+".")
	default:
		lines = append(lines, fmt.Sprintf("Asked for peers %s ago, it did not answer: %s.", shortAge(now.Sub(s.At)), orUnknown(s.Error)))
	}
	return lines
}

// whyNext returns advice on a peer that is not connected.
func whyNext(o *Output, w models.Why) string {
	key := cmp.Or(w.PublicKey, "KEY")
	elsewhere := fmt.Sprintf("\"%s\"", o.Command("dial "+key+"::ADDRESS"))
	var failure string
	if n := len(w.Dials); n > 0 && w.Dials[n-1].At.After(w.LostAt) {
		failure = w.Dials[n-1].Error
	}
	switch {
	case w.Connected:
		return ""
	case w.Dialling != nil:
		return "wait for the dial to end; then this command says how."
	case !w.BannedUntil.IsZero():
		return fmt.Sprintf("\"%s\" lifts the ban; until then neither side can connect.", o.Command("unban "+w.NodeID))
	case w.NotAdmitted:
		return fmt.Sprintf("let it in with \"%s\".", o.Command("peers admit "+key))
	case w.Addresses == 0:
		return "no address of it is known; give one with " + elsewhere + "."
	case failure != "":
		if _, remedy, ok := strings.Cut(failure, "; "); ok {
			return strings.TrimSuffix(remedy, ".") + "; or give another address with " + elsewhere + "."
		}
		return "check that it runs and listens there, or give another address with " + elsewhere + "."
	}
	return fmt.Sprintf("connect to it with \"%s\".", o.Command("dial "+w.NodeID))
}

// printDials writes the last dials, the newest last.
func printDials(o *Output, dials []models.WhyDial) error {
	if len(dials) == 0 {
		return nil
	}
	rows := [][]string{{"DIALLED", "ADDRESS", "BY", "TOOK", "ENDED"}}
	for _, d := range dials[max(0, len(dials)-whyDials):] {
		end := "connected"
		if d.Error != "" {
			end, _, _ = strings.Cut(strings.TrimPrefix(Plain(d.Error), d.Addr+": "), "; ") // the row has the address, and the last line the advice
			if cause, ok := strings.CutPrefix(end, "set-up failed: "); ok {
				end = "set-up failed at " + d.Stage + ": " + cause
			}
		}
		rows = append(rows, []string{d.At.Local().Format(time.TimeOnly), d.Addr, d.By, fmt.Sprintf("%.1fms", d.TookMS), end})
	}
	return o.Table(rows)
}

// printChoice writes the last choice that considered the peer.
func printChoice(o *Output, w models.Why) error {
	if len(w.Candidates) == 0 {
		return o.Say("No remembered choice has considered this peer: the node dials automatically only while it has too few connections.")
	}
	if err := o.Say(fmt.Sprintf("The last %s at %s had %s for up to %d dials; missing: %s.",
		inspect.Escape(w.Purpose), w.At.Local().Format(time.TimeOnly), inspect.Count(uint64(w.Considered), "candidate"), w.Wanted, inspect.Count(uint64(w.Missing), "connection"))); err != nil {
		return err
	}
	rows := [][]string{{"RANK", "PEER", "SCORE", "PARTS", "VERDICT"}}
	for _, c := range w.Candidates {
		if c.NodeID != w.NodeID && c.Rank > whyShown {
			continue
		}
		var parts []string
		for _, name := range whyParts {
			parts = append(parts, fmt.Sprintf("%s %.2f", name, c.Parts[name]))
		}
		rows = append(rows, []string{fmt.Sprint(c.Rank), o.Who(c.NodeID), fmt.Sprintf("%.2f", c.Score), strings.Join(parts, ", "), c.Verdict})
	}
	return o.Table(rows)
}
