package main

import (
	"bufio"
	"fmt"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// tally counts outcomes.
type tally struct{ confirmed, inDoubt, failed, refused uint64 }

func (t *tally) add(o inspect.Outcome) {
	switch o.Outcome {
	case inspect.OutcomeConfirmed:
		t.confirmed++
	case inspect.OutcomeInDoubt:
		t.inDoubt++
	default:
		t.failed++
		if o.Reason == protocol.Refused.String() {
			t.refused++
		}
	}
}

func (t *tally) total() uint64 { return t.confirmed + t.inDoubt + t.failed }

// String is the last line of send: "3 messages: 2 confirmed, 1 failed".
func (t *tally) String() string {
	head := inspect.Count(t.total(), "message")
	if t.total() == 0 {
		return head
	}
	return head + ": " + t.counts()
}

// counts is "all confirmed", or how many have which outcome.
func (t *tally) counts() string {
	if t.confirmed == t.total() {
		return "all confirmed"
	}
	var parts []string
	for _, p := range []struct {
		n    uint64
		word string
	}{{t.confirmed, "confirmed"}, {t.inDoubt, "in doubt"}, {t.failed, "failed"}} {
		if p.n > 0 {
			parts = append(parts, inspect.Number(p.n)+" "+p.word)
		}
	}
	return strings.Join(parts, ", ")
}

// progressEvery is how often the count on a terminal is brought up to date.
const progressEvery = 100 * time.Millisecond

// sendPrinter writes outcomes to standard output and a running count to
// standard error when that is a terminal and the outcomes go elsewhere.
type sendPrinter struct {
	app      *app
	out      *bufio.Writer
	quiet    bool
	progress bool
	shown    time.Time
	tally    *tally
}

func newSendPrinter(a *app, quiet bool, t *tally) *sendPrinter {
	return &sendPrinter{
		app: a, out: bufio.NewWriterSize(a.out, 32<<10), quiet: quiet, tally: t,
		progress: a.errTerminal && !a.json && (quiet || !a.outTerminal),
	}
}

// outcome shows what became of one message; more tells that another outcome
// follows at once.
func (p *sendPrinter) outcome(s inspect.Sent, more bool) error {
	p.tally.add(s.Outcome)
	now := time.Now()
	if p.progress && now.Sub(p.shown) >= progressEvery {
		p.shown = now
		fmt.Fprintf(p.app.err, "\r\x1b[K%s", p.tally)
	}
	if p.quiet {
		return nil
	}
	var err error
	if p.app.json {
		err = p.json(s)
	} else {
		_, err = fmt.Fprintf(p.out, "%d %s\n", s.N, outcomeText(s.Outcome))
	}
	if err == nil && !more {
		err = p.out.Flush()
	}
	return err
}

func (p *sendPrinter) json(s inspect.Sent) error {
	to := *p.app
	to.out = p.out
	return to.printJSON(s)
}

// rest shows the messages up to n that have had no outcome: nobody knows what
// became of them.
func (p *sendPrinter) rest(heard *bitset, n uint64, why string) error {
	for i := uint64(1); i <= n; i++ {
		if !heard.has(i) {
			if err := p.outcome(inspect.Sent{N: i, Outcome: inspect.Outcome{Outcome: inspect.OutcomeInDoubt, Detail: why}}, true); err != nil {
				return err
			}
		}
	}
	p.clear()
	return p.out.Flush()
}

// end writes the summary.
func (p *sendPrinter) end() error {
	p.clear()
	if err := p.out.Flush(); err != nil {
		return err
	}
	p.app.note("%s", p.tally)
	return nil
}

func (p *sendPrinter) clear() {
	if p.progress && !p.shown.IsZero() {
		fmt.Fprint(p.app.err, "\r\x1b[K")
	}
}

// outcomeText is an outcome for people: "failed: dial failed: refused".
func outcomeText(o inspect.Outcome) string {
	text := o.Outcome
	if text == inspect.OutcomeInDoubt {
		text = "in doubt"
	}
	if o.Reason != "" {
		text += ": " + o.Reason
	}
	if o.Detail != "" {
		text += ": " + o.Detail
	}
	return inspect.Escape(text)
}
