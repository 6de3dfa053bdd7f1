package render

import (
	"bufio"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/bitset"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Reports writes the reports of messages over the DHT while they are sent: a line for each
// peer to which a message was sent.
type Reports struct {
	o        *Output
	out      *bufio.Writer
	quiet    bool
	store    bool // nodes were asked to store the messages of an absent receiver
	heard    bitset.Set
	messages uint64
	nobody   uint64 // messages that were not sent to any peer
	unknown  bool   // … because the receiver is not known
	repeated bool   // the same bytes were sent before, unsigned and unencrypted
	toStore  uint64 // messages that went to nodes that may store them
	direct   uint64 // with store: messages that went to the receiver itself
	missed   uint64 // messages that no peer has confirmed
	stored   string // what happened to the last message of toStore
	copies   Tally
	tag      string // of the last one
}

// NewReports returns a Reports that writes to o; with quiet it writes only the sum. With
// store, nodes near an absent receiver were asked to store the messages.
func NewReports(o *Output, quiet, store bool) *Reports {
	return &Reports{o: o, out: bufio.NewWriterSize(o.Out, 32<<10), quiet: quiet, store: store}
}

// AllConfirmed reports whether every message was sent to at least one peer and every copy is
// confirmed.
func (p *Reports) AllConfirmed() bool {
	return p.nobody == 0 && p.copies.AllConfirmed()
}

// Reached reports whether every message was confirmed by at least one peer.
func (p *Reports) Reached() bool { return p.missed == 0 }

// Add shows the report of one message; more means that another follows at once.
func (p *Reports) Add(s models.SentReport, more bool) error {
	p.heard.Add(s.N)
	p.messages++
	p.tag = s.Tag
	p.repeated = p.repeated || s.Repeated
	for _, c := range s.Copies {
		p.copies.add(c.Outcome)
	}
	if s.Count(models.OutcomeConfirmed) == 0 {
		p.missed++
	}
	switch {
	case s.ToStore:
		p.toStore, p.stored = p.toStore+1, s.Summary
	case p.store && len(s.Copies) > 0:
		p.direct++
	}
	if len(s.Copies) == 0 {
		p.nobody++
		p.unknown = p.unknown || s.Reason == dht.DiscoveryFailed.String()
	}
	if p.quiet {
		return nil
	}
	err := p.lines(&s)
	if err == nil && !more {
		err = p.out.Flush()
	}
	return err
}

func (p *Reports) lines(s *models.SentReport) error {
	if p.o.JSON {
		return p.o.to(p.out).PrintJSON(s)
	}
	if len(s.Copies) == 0 {
		return p.o.sayTo(p.out, fmt.Sprintf("%d %s", s.N, inspect.Escape(p.o.Named(Plain(s.Summary)))))
	}
	copies, away := s.Copies, ""
	if p.store { // those near an absent receiver may be away as well
		copies, away = p.o.present(s.Copies)
	}
	for _, c := range copies {
		if err := p.o.sayTo(p.out, fmt.Sprintf("%d %s %s", s.N, inspect.Escape(p.o.Who(c.Peer)), p.o.outcomeText(c.Outcome))); err != nil {
			return err
		}
	}
	if away != "" {
		return p.o.sayTo(p.out, fmt.Sprintf("%d %s", s.N, away))
	}
	return nil
}

// present returns the copies without those of nodes that were not reached, if a node has the message and
// there are several, and a line about these.
func (o *Output) present(copies []models.Copy) (there []models.Copy, away string) {
	confirmed := slices.ContainsFunc(copies, func(c models.Copy) bool { return c.Outcome.Outcome == models.OutcomeConfirmed })
	var last models.Copy
	n := uint64(0)
	for _, c := range copies {
		if code := codes.Named(c.Outcome.Code); confirmed && c.Outcome.Outcome == models.OutcomeFailed && (code != nil && code.Unreached() || c.Outcome.Reason == protocol.Expired.String()) {
			n, last = n+1, c
			continue
		}
		there = append(there, c)
	}
	switch n {
	case 0:
		return there, ""
	case 1:
		return copies, ""
	}
	return there, inspect.Count(n, "other node") + " were not reached, the last one: " + o.outcomeText(last.Outcome)
}

// End writes the sum.
func (p *Reports) End() error {
	if err := p.out.Flush(); err != nil {
		return err
	}
	p.o.Note("%s", p)
	p.promise()
	if p.repeated {
		p.o.Note("The same bytes were sent before, unsigned and unencrypted: nodes that remember them drop the second copy, although they confirm it. Use --sign to send the same text again.")
	}
	switch open := p.copies.total() - p.copies.confirmed; {
	case open == 0, p.store && p.Reached():
	case p.messages == 1 && p.tag != "":
		p.o.Note("See what happened with \"%s\".", p.o.Command("message "+p.tag))
	default:
		p.o.Note("See what happened to each with \"%s\".", p.o.Command("messages"))
	}
	if p.unknown {
		p.o.Note("The receiver was not found. Check its key; if you know an address, add it with gamelan peers add KEY::ADDRESS; or let nodes near it store the message until it is back, with --store.")
	}
	return nil
}

// String returns the last line: "1 message to 3 peers: 2 confirmed, 1 in doubt; tag
// 00c0ffee00c0ffee".
func (p *Reports) String() string {
	text := inspect.Count(p.messages, "message")
	switch total := p.copies.total(); {
	case p.messages == 0:
	case total == 0:
		text += " to nobody"
	case p.messages == 1 && p.toStore == 1:
		text += " " + p.stored
	case p.messages == 1:
		text += " to " + inspect.Count(total, "peer") + ": " + p.copies.counts()
	default:
		text += ", " + copiesText(total)
		if p.toStore == p.messages {
			text += " to neighbours that may store them"
		}
		text += ": " + p.copies.counts()
		if p.nobody > 0 {
			text += fmt.Sprintf("; %s to nobody", inspect.Number(p.nobody))
		}
	}
	if p.messages == 1 && p.tag != "" {
		text += "; tag " + p.tag
	}
	return text
}

// Rest shows the messages up to n without a report: their outcome is unknown.
func (p *Reports) Rest(n uint64, why string) error {
	for i := uint64(1); i <= n; i++ {
		if p.heard.Has(i) || p.quiet {
			continue
		}
		var err error
		if p.o.JSON {
			err = p.o.to(p.out).PrintJSON(models.SentReport{N: i, Report: models.Report{Summary: "in doubt: " + why, Copies: []models.Copy{}}})
		} else {
			err = p.o.sayTo(p.out, fmt.Sprintf("%d in doubt: %s", i, inspect.Escape(why)))
		}
		if err != nil {
			return err
		}
	}
	return p.out.Flush()
}

// longIDs are the node ids in the words of a strategy.
var longIDs = regexp.MustCompile(`\b[0-9a-f]{26}\b`)

// toText returns the strategy of a message for people, without the text that is the same for
// all messages of a kind, and with names or the beginnings of keys.
func (o *Output) toText(r *models.Report) string {
	text, _, _ := strings.Cut(r.To, ", ")
	return longIDs.ReplaceAllStringFunc(text, func(id string) string {
		if id == r.DestinationID {
			return o.who(id, r.Destination, shortID)
		}
		return o.Who(id)
	})
}

// Messages writes a table for people, one object a line for programs; the
// newest is the last.
func Messages(o *Output, all []models.Report) error {
	slices.SortStableFunc(all, func(x, y models.Report) int { return cmp.Or(x.Begin.Compare(y.Begin), strings.Compare(x.Tag, y.Tag)) })
	if o.JSON {
		return Each(o, all)
	}
	if len(all) == 0 {
		o.Note("no messages over the DHT; send one with \"%s\"", o.Command("send --to KEY"))
		return nil
	}
	if o.narrow() {
		return o.Table(o.fewColumns(all, time.Now()))
	}
	rows := [][]string{{"SENT", "TAG", "TO", "TYPE", "SIZE", "HOW IT ENDED"}}
	for _, r := range all {
		rows = append(rows, []string{
			at(r.Begin), r.Tag, o.toText(&r), strings.TrimPrefix(typeText(r.Type), "type "), Bytes(int64(r.Size)), o.endText(&r),
		})
	}
	return o.Table(rows)
}

// fewColumns are the rows of Messages for a narrow terminal: how long ago it was sent, and the name or
// the id of a receiver.
func (o *Output) fewColumns(all []models.Report, now time.Time) [][]string {
	rows := [][]string{{"SENT", "TAG", "PEER", "HOW IT ENDED"}}
	for _, r := range all {
		to := strings.TrimPrefix(o.toText(&r), "direct to ")
		rows = append(rows, []string{shortSince(r.Begin, now), r.Tag[:min(leastID, len(r.Tag))], to, o.endText(&r)})
	}
	return rows
}

// endText says how a message has ended, or that it is under way.
func (o *Output) endText(r *models.Report) string {
	switch {
	case !r.End.IsZero():
		return o.Named(Plain(r.Summary))
	case len(r.Copies) == 0:
		return "under way: its peers are being chosen"
	case r.Summary == models.OutcomeOpen:
		return "under way"
	}
	return "under way: " + o.Named(r.Summary)
}

// Message writes everything about one message.
func Message(o *Output, r *models.Report, now time.Time) error {
	if o.JSON {
		return o.PrintJSON(r)
	}
	b := o.lines()
	b.names = 13 // "destination"
	line := b.aboutf
	line("tag", "%s", r.Tag)
	line("to", "%s", o.toText(r))
	switch direct := strings.HasPrefix(r.To, "direct to "); {
	case r.Destination != "":
		line("destination", "%s", o.whoLong(r.DestinationID, r.Destination))
	case !direct: // the destination of a direct message is the peer itself
		line("destination", "none")
	}
	form := "unencrypted"
	if r.Encrypted {
		form = "encrypted"
	}
	line("message", "%s, %s, %s", typeText(r.Type), Bytes(int64(r.Size)), form)
	line("sent", "%s", at(r.Begin))
	if r.End.IsZero() {
		line("under way", "for %s", long(now.Sub(r.Begin)))
	} else {
		line("ended", "%s, after %s", at(r.End), r.End.Sub(r.Begin).Round(time.Millisecond))
	}
	line("outcome", "%s", o.endText(r))
	if r.ToStore && r.Count(models.OutcomeConfirmed) > 0 {
		line("meaning", "%s", StoreMeaning)
	}
	if err := b.print(o); err != nil || len(r.Copies) == 0 {
		return err
	}
	rows := [][]string{{"PEER", "TRIES", "WHEN", "OUTCOME"}}
	for _, c := range r.Copies {
		when := "-"
		if !c.At.IsZero() {
			when = at(c.At)
		}
		rows = append(rows, []string{o.Who(c.Peer), fmt.Sprint(c.Tries), when, o.outcomeText(c.Outcome)})
	}
	fmt.Fprintln(o.Out)
	return o.Table(rows)
}
