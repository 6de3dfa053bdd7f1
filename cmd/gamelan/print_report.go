package main

import (
	"bufio"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// reportPrinter writes what became of messages over the DHT while they are sent:
// a line for each peer that one was sent to.
type reportPrinter struct {
	app      *app
	out      *bufio.Writer
	quiet    bool
	heard    bitset
	messages uint64
	nobody   uint64 // messages that were sent to nobody
	unknown  bool   // … because the receiver is not known
	repeated bool   // a message was sent in clear before
	copies   tally
	tag      string // of the last one
}

func newReportPrinter(a *app, quiet bool) *reportPrinter {
	return &reportPrinter{app: a, out: bufio.NewWriterSize(a.out, 32<<10), quiet: quiet}
}

// allConfirmed tells whether every message went to somebody and every copy is
// confirmed.
func (p *reportPrinter) allConfirmed() bool {
	return p.nobody == 0 && p.copies.confirmed == p.copies.total()
}

// report shows what became of one message; more tells that another follows at
// once.
func (p *reportPrinter) report(s inspect.SentReport, more bool) error {
	p.heard.add(s.N)
	p.messages++
	p.tag = s.Tag
	p.repeated = p.repeated || s.Repeated
	for _, c := range s.Copies {
		p.copies.add(c.Outcome)
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

func (p *reportPrinter) lines(s *inspect.SentReport) error {
	if p.app.json {
		to := *p.app
		to.out = p.out
		return to.printJSON(s)
	}
	if len(s.Copies) == 0 {
		_, err := fmt.Fprintf(p.out, "%d %s\n", s.N, inspect.Escape(s.Summary))
		return err
	}
	for _, c := range s.Copies {
		if _, err := fmt.Fprintf(p.out, "%d %s %s\n", s.N, inspect.ShortName(c.Peer), outcomeText(c.Outcome)); err != nil {
			return err
		}
	}
	return nil
}

// end writes the sum.
func (p *reportPrinter) end() error {
	if err := p.out.Flush(); err != nil {
		return err
	}
	p.app.note("%s", p)
	if p.repeated {
		p.app.note("The same bytes were sent before in clear: a node that remembers them drops them, although it confirms them. To have messages of the same text heard, give each --sign.")
	}
	switch open := p.copies.total() - p.copies.confirmed; {
	case open == 0:
	case p.messages == 1 && p.tag != "":
		p.app.note("See what happened with \"%s\".", p.app.dir.command("message "+p.tag))
	default:
		p.app.note("See what happened to each with \"%s\".", p.app.dir.command("messages"))
	}
	if p.unknown {
		p.app.note("A receiver that the node does not know is added with gamelan peers add KEY::ADDRESS, or reached through others with --encrypt --strategy propagate.")
	}
	return nil
}

// String is the last line: "1 message to 3 peers: 2 confirmed, 1 in doubt; tag
// 00c0ffee00c0ffee".
func (p *reportPrinter) String() string {
	text := inspect.Count(p.messages, "message")
	switch total := p.copies.total(); {
	case p.messages == 0:
	case total == 0:
		text += " to nobody"
	case p.messages == 1:
		text += " to " + inspect.Count(total, "peer") + ": " + p.copies.counts()
	default:
		text += ", " + copiesText(total) + ": " + p.copies.counts()
		if p.nobody > 0 {
			text += fmt.Sprintf("; %s to nobody", inspect.Number(p.nobody))
		}
	}
	if p.messages == 1 && p.tag != "" {
		text += "; tag " + p.tag
	}
	return text
}

// rest shows the messages up to n that have had no report: nobody knows what
// became of them.
func (p *reportPrinter) rest(n uint64, why string) error {
	for i := uint64(1); i <= n; i++ {
		if p.heard.has(i) || p.quiet {
			continue
		}
		var err error
		if p.app.json {
			to := *p.app
			to.out = p.out
			err = to.printJSON(inspect.SentReport{N: i, Report: inspect.Report{Summary: "in doubt: " + why, Copies: []inspect.Copy{}}})
		} else {
			_, err = fmt.Fprintf(p.out, "%d in doubt: %s\n", i, inspect.Escape(why))
		}
		if err != nil {
			return err
		}
	}
	return p.out.Flush()
}

// longIDs are the node ids in the words of a strategy.
var longIDs = regexp.MustCompile(`\b[0-9a-f]{26}\b`)

// toText is the strategy of a message for people: what all of a kind have in
// common is left out, and node ids are as long as elsewhere.
func toText(r *inspect.Report) string {
	text, _, _ := strings.Cut(r.To, ", looked for")
	return longIDs.ReplaceAllStringFunc(text, inspect.ShortName)
}

// printReports writes a table for people, one object a line for programs; the
// newest is the last.
func printReports(a *app, all []inspect.Report) error {
	slices.SortStableFunc(all, func(x, y inspect.Report) int { return cmp.Or(x.Begin.Compare(y.Begin), strings.Compare(x.Tag, y.Tag)) })
	if a.json {
		for _, r := range all {
			if err := a.printJSON(r); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 0 {
		a.note("no messages over the DHT; send one with \"%s\"", a.dir.command("send --to KEY"))
		return nil
	}
	rows := [][]string{{"SENT", "TAG", "TO", "TYPE", "SIZE", "HOW IT ENDED"}}
	for _, r := range all {
		rows = append(rows, []string{
			r.Begin.Local().Format(time.DateTime), r.Tag, toText(&r), fmt.Sprint(r.Type), bytesText(int64(r.Size)), endText(&r),
		})
	}
	return a.table(rows)
}

// endText is how a message has ended, or that it has not.
func endText(r *inspect.Report) string {
	switch {
	case !r.End.IsZero():
		return r.Summary
	case len(r.Copies) == 0:
		return "under way: its peers are being chosen"
	case r.Summary == inspect.OutcomeOpen:
		return "under way"
	}
	return "under way: " + r.Summary
}

// printReport writes all that is known of one message.
func printReport(a *app, r *inspect.Report, now time.Time) error {
	if a.json {
		return a.printJSON(r)
	}
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-13s%s\n", name, inspect.Escape(fmt.Sprintf(format, args...)))
	}
	line("tag", "%s", r.Tag)
	line("to", "%s", toText(r))
	switch direct := strings.HasPrefix(r.To, "direct to "); {
	case r.Destination != "":
		line("destination", "%s", r.Destination)
	case !direct: // whose destination is the peer itself
		line("destination", "nobody in particular")
	}
	form := "in clear"
	if r.Encrypted {
		form = "encrypted"
	}
	line("message", "type %d, %s, %s", r.Type, bytesText(int64(r.Size)), form)
	line("sent", "%s", r.Begin.Local().Format(time.DateTime))
	if r.End.IsZero() {
		line("under way", "for %s", ago(now.Sub(r.Begin)))
	} else {
		line("ended", "%s, after %s", r.End.Local().Format(time.DateTime), r.End.Sub(r.Begin).Round(time.Millisecond))
	}
	line("outcome", "%s", endText(r))
	if _, err := fmt.Fprint(a.out, b.String()); err != nil || len(r.Copies) == 0 {
		return err
	}
	rows := [][]string{{"PEER", "TRIES", "WHEN", "OUTCOME"}}
	for _, c := range r.Copies {
		when := "-"
		if !c.At.IsZero() {
			when = c.At.Local().Format(time.TimeOnly)
		}
		rows = append(rows, []string{inspect.ShortName(c.Peer), fmt.Sprint(c.Tries), when, outcomeText(c.Outcome)})
	}
	fmt.Fprintln(a.out)
	return a.table(rows)
}
