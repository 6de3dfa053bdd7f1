package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// StoreForward writes what the node stores for others, and whom it asked for messages
// that are stored for it.
func StoreForward(o *Output, s *models.StoreForward, now time.Time) error {
	b := o.lines()
	if !b.head(s.Summary, s.On) {
		return b.print(o)
	}
	if s.Server == nil {
		b.about("stores", "nothing for others: the node is a client")
	} else {
		b.about("stores", storesLines(s.Server, now)...)
		b.about("region", s.Server.Region.Text)
		b.about("refused", countsText(s.Server.Refused, "none"))
		b.about("asked by", countsText(s.Server.Requests, "nobody yet"))
		var most []string
		for _, m := range s.Server.Most {
			most = append(most, fmt.Sprintf("%s: %s, %s", o.Who(m.NodeID), inspect.Count(uint64(m.Messages), "message"), Bytes(m.Bytes)))
		}
		b.about("most for", most...)
	}
	if s.Client != nil {
		b.about("own", ownLines(s.Client)...)
	}
	if err := b.print(o); err != nil || s.Client == nil || len(s.Client.Peers) == 0 {
		return err
	}
	fmt.Fprintln(o.Out)
	return askedTable(o, s.Client, now)
}

// askedTable writes whom the node asked for its messages, when, and what was answered.
func askedTable(o *Output, c *models.StoreForwardClient, now time.Time) error {
	rows := [][]string{{"PEER", "CONNECTED", "LAST ASKED", "WHAT CAME"}}
	for i := range c.Peers {
		p := &c.Peers[i]
		rows = append(rows, []string{o.Who(p.NodeID), yesNo(p.Connected), shortSince(p.LastAt, now), inspect.Escape(peerText(p, now))})
	}
	return o.Table(rows)
}

// WhyStored writes whom the node asked for the messages that are stored for it, when, what was
// answered, or why it asks nobody.
func WhyStored(o *Output, s *models.StoreForward, now time.Time) error {
	if s.Client == nil {
		return nil
	}
	b := o.lines()
	b.sentence("Messages that other nodes store for this one:")
	b.about("asks", ownLines(s.Client)...)
	if err := b.print(o); err != nil || len(s.Client.Peers) == 0 {
		return err
	}
	return askedTable(o, s.Client, now)
}

func yesNo(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

// storesLines returns how full the store is, what is in it, and what became of the rest.
func storesLines(s *models.StoreForwardServer, now time.Time) (lines []string) {
	text := fmt.Sprintf("%s of %s, %s of %s", inspect.Count(uint64(s.Messages), "message"), inspect.Number(uint64(s.MaxMessages)), Bytes(s.Bytes), Bytes(s.MaxBytes))
	if s.Messages > 0 {
		text += fmt.Sprintf(", for %s", inspect.Count(uint64(s.Destinations), "receiver"))
		if !s.OldestAt.IsZero() {
			text += ", oldest " + ago(now, s.OldestAt)
		}
	}
	lines = append(lines, text)
	if s.Full && !s.NoStore {
		lines = append(lines, "full: new messages evict those of the source with most; raise saf.max_messages or saf.max_bytes, or delete some: gamelan saf purge")
	}
	if s.NoStore {
		lines = append(lines, "no further ones: saf.no_store is true; what is stored is still handed out")
	}
	if s.Messages > 0 {
		lines = append(lines, fmt.Sprintf("%s for known peers, %s for unknown ones, %s given to their receivers", inspect.Number(uint64(s.High)), inspect.Number(uint64(s.Low)), inspect.Number(uint64(s.Delivered))))
	}
	if s.Stored > 0 {
		lines = append(lines, fmt.Sprintf("since the start: %s stored, %s given out, %s expired, %s removed, %s evicted by others",
			inspect.Number(s.Stored), inspect.Number(s.Confirmed), inspect.Number(s.Expired), inspect.Number(s.Removed), inspect.Number(s.Evicted)))
	}
	if s.Unwritten > 0 {
		lines = append(lines, Bytes(s.Unwritten)+" wait for the disk")
	}
	if s.Error != "" {
		lines = append(lines, "last error of the disk: "+s.Error)
	}
	return lines
}

// countsText returns numbers with their words, in the order of the words, or none.
func countsText(counts map[string]uint64, none string) string {
	total, parts := counted(counts)
	if total == 0 {
		return none
	}
	return inspect.Number(total) + ": " + parts
}

// counted returns the sum of numbers, and the numbers with their words, in the order of the
// words.
func counted(counts map[string]uint64) (total uint64, text string) {
	var parts []string
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		total += counts[word]
		parts = append(parts, inspect.Number(counts[word])+" "+word)
	}
	return total, strings.Join(parts, ", ")
}

// ownLines returns what came of the node's own requests, or why nothing came.
func ownLines(c *models.StoreForwardClient) (lines []string) {
	how := "asks when it connects to a node that may store messages"
	if !c.Automatic {
		how = "asks only on request: gamelan saf fetch"
	}
	text := fmt.Sprintf("%s; %s, %s answered", how, inspect.Count(c.Requests, "request"), inspect.Number(c.Answers))
	if c.Unanswered > 0 {
		text += ", " + inspect.Number(c.Unanswered) + " not"
	}
	lines = append(lines, text)
	if c.Messages > 0 {
		lines = append(lines, fmt.Sprintf("%s came: %s", inspect.Count(c.Messages, "message"), cameText(c.Delivered, c.Duplicates, c.Refused, c.Skipped, c.Ahead)))
	}
	connected := slices.ContainsFunc(c.Peers, func(p models.StoreForwardPeer) bool { return p.Connected })
	if !connected {
		lines = append(lines, "nobody to ask: no connected peer may store messages; "+api.ConnectHint)
	}
	return lines
}

// cameText returns what became of messages that others had stored.
func cameText(delivered, duplicates, refused, skipped, ahead uint64) string {
	text := inspect.Number(delivered) + " delivered"
	for _, x := range []struct {
		n    uint64
		what string
	}{{duplicates, "known already"}, {refused, "not accepted here (no handler for their type, a stuck one, or a full inbox)"}, {skipped, "unreadable"}, {ahead, "of them from a clock over 5 min ahead of this one: check the clock"}} {
		if x.n > 0 {
			text += ", " + inspect.Number(x.n) + " " + x.what
		}
	}
	return text
}

// peerText returns what a peer is being asked, or has answered.
func peerText(p *models.StoreForwardPeer, now time.Time) string {
	switch {
	case p.Running != "":
		return "being asked: " + p.Running
	case p.SilentUntil.After(now):
		return fmt.Sprintf("does not answer: perhaps a release that stores no messages; asked again in %s", shortAge(p.SilentUntil.Sub(now)))
	case p.Last == nil:
		return "not asked yet"
	case p.NextAt.After(now):
		return fmt.Sprintf("%s; asked again in %s", resultText(p.Last), shortAge(p.NextAt.Sub(now)))
	}
	return resultText(p.Last)
}

func resultText(r *models.StoreForwardResult) string {
	text := "nothing"
	switch {
	case r.Messages > 0:
		text = inspect.Count(uint64(r.Messages), "message") + ": " + cameText(uint64(r.Delivered), uint64(r.Duplicates), uint64(r.Refused), uint64(r.Skipped), uint64(r.Ahead))
	case r.Error != "":
		return r.Error
	}
	if r.Error != "" {
		text += "; " + r.Error
	}
	return text
}

// storedLines returns a line on what a peer has answered to requests for stored messages.
func storedLines(p *models.StoreForwardPeer, now time.Time) []string {
	switch {
	case p == nil:
		return nil
	case p.Running != "" || p.SilentUntil.After(now):
		return []string{"Stored messages: " + peerText(p, now) + "."}
	case p.Last == nil:
		return []string{fmt.Sprintf("Asked for stored messages, it left %s unanswered.", inspect.Count(uint64(p.Unanswered), "request"))}
	}
	return []string{fmt.Sprintf("Asked for stored messages %s: %s.", ago(now, p.LastAt), resultText(p.Last))}
}

// Fetched writes what each peer has answered.
func Fetched(o *Output, f *models.StoreForwardFetched) error {
	if o.JSON {
		return o.PrintJSON(f)
	}
	rows := [][]string{{"PEER", "WHAT CAME"}}
	for i := range f.Peers {
		rows = append(rows, []string{o.Who(f.Peers[i].NodeID), inspect.Escape(resultText(&f.Peers[i]))})
	}
	if err := o.Table(rows); err != nil {
		return err
	}
	text := fmt.Sprintf("%s delivered from %s", inspect.Count(uint64(f.Delivered), "message"), inspect.Count(uint64(len(f.Peers)), "peer"))
	if !f.Complete {
		text += "; there may be more"
	}
	o.Note("%s", text)
	return nil
}

// Purged writes what was deleted.
func Purged(o *Output, p *models.StoreForwardPurged) error {
	_, err := fmt.Fprintf(o.Out, "deleted %s, %s\n", inspect.Count(uint64(p.Messages), "message"), Bytes(p.Bytes))
	return err
}
