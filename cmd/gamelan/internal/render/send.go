package render

import (
	"bufio"
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/bitset"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Tally counts outcomes.
type Tally struct {
	confirmed, inDoubt, failed, refused, unreached, misaddressed, turnedAway, notAdmitted uint64

	word string // in place of confirmed; empty: that one
}

// AllConfirmed reports whether every outcome is confirmed.
func (t *Tally) AllConfirmed() bool { return t.confirmed == t.total() }

// OnlyInDoubt reports whether messages are in doubt, and none has failed.
func (t *Tally) OnlyInDoubt() bool { return t.inDoubt > 0 && t.failed == 0 }

// Confirmed returns the number of confirmed messages.
func (t *Tally) Confirmed() uint64 { return t.confirmed }

// TurnedAway reports whether a message has failed because the peer has proven its key and
// then refused the connection, as after a ban.
func (t *Tally) TurnedAway() bool { return t.turnedAway > 0 }

// Unreached reports whether a message has failed because there was no connection to the
// peer, for another reason than [Tally.TurnedAway].
func (t *Tally) Unreached() bool { return t.unreached > 0 }

// Misaddressed reports whether the address of the peer is a likely cause of [Tally.Unreached].
func (t *Tally) Misaddressed() bool { return t.misaddressed > 0 }

// NotAdmitted reports whether a message has failed because this node does not admit the peer.
func (t *Tally) NotAdmitted() bool { return t.notAdmitted > 0 }

// Refused returns the number of messages that the peer does not accept. It leaves out those
// of a peer that refuses the connection.
func (t *Tally) Refused() uint64 { return t.refused }

func (t *Tally) add(o models.Outcome) {
	switch o.Outcome {
	case models.OutcomeConfirmed:
		t.confirmed++
	case models.OutcomeInDoubt:
		t.inDoubt++
	default:
		t.failed++
		switch code := codes.Named(o.Code); {
		case code == codes.DialTurnedAway:
			t.turnedAway++
		case code == codes.DialSecret: // with its own advice
		case code != nil && code.Unreached(), o.Reason == protocol.DialFailed.String():
			if t.unreached++; code != nil && code.Misaddressed() {
				t.misaddressed++
			}
		case o.Reason == protocol.NotAdmitted.String():
			t.notAdmitted++
		case o.Reason == protocol.Refused.String():
			t.refused++
		}
	}
}

func (t *Tally) total() uint64 { return t.confirmed + t.inDoubt + t.failed }

// String returns the last line of send: "3 messages: 2 confirmed, 1 failed".
func (t *Tally) String() string {
	head := inspect.Count(t.total(), "message")
	if t.total() == 0 {
		return head
	}
	return head + ": " + t.counts()
}

// counts returns "all confirmed", or the number of messages with each outcome.
func (t *Tally) counts() string {
	if t.AllConfirmed() {
		return "all " + cmp.Or(t.word, models.OutcomeConfirmed)
	}
	var parts []string
	for _, p := range []struct {
		n    uint64
		word string
	}{{t.confirmed, cmp.Or(t.word, models.OutcomeConfirmed)}, {t.inDoubt, "in doubt"}, {t.failed, "failed"}} {
		if p.n > 0 {
			parts = append(parts, inspect.Number(p.n)+" "+p.word)
		}
	}
	return strings.Join(parts, ", ")
}

// progressEvery is how often the count on a terminal is updated.
const progressEvery = 100 * time.Millisecond

// Outcomes writes outcomes to standard output and a running count to
// standard error when that is a terminal and the outcomes go elsewhere.
type Outcomes struct {
	o        *Output
	out      *bufio.Writer
	quiet    bool
	progress bool
	shown    time.Time
	heard    bitset.Set // messages that have their outcome
	Tally
}

// NewOutcomes returns an Outcomes that writes to o; with quiet it writes only the summary. For people the
// word stands in place of confirmed, unless it is empty.
func NewOutcomes(o *Output, quiet bool, word string) *Outcomes {
	return &Outcomes{
		o: o, out: bufio.NewWriterSize(o.Out, 32<<10), quiet: quiet, Tally: Tally{word: word},
		progress: o.ErrMoves() && !o.JSON && (quiet || !o.OutTerminal),
	}
}

// Add shows the outcome of one message; more means that another follows at once.
func (p *Outcomes) Add(s models.Sent, more bool) error {
	p.heard.Add(s.N)
	p.add(s.Outcome)
	now := time.Now()
	if p.progress && now.Sub(p.shown) >= progressEvery {
		p.shown = now
		_ = Control(p.o.Err, "\r\x1b[K"+shown(p.Tally.String()))
	}
	if p.quiet {
		return nil
	}
	var err error
	if p.o.JSON {
		err = p.o.to(p.out).PrintJSON(s)
	} else {
		err = p.o.sayTo(p.out, fmt.Sprintf("%d %s", s.N, p.text(s.Outcome)))
	}
	if err == nil && !more {
		err = p.out.Flush()
	}
	return err
}

func (p *Outcomes) text(o models.Outcome) string {
	if o.Outcome == models.OutcomeConfirmed {
		o.Outcome = cmp.Or(p.word, o.Outcome)
	}
	return p.o.outcomeText(o)
}

// Rest shows the messages up to n without an outcome: theirs is unknown.
func (p *Outcomes) Rest(n uint64, why string) error {
	for i := uint64(1); i <= n; i++ {
		if !p.heard.Has(i) {
			if err := p.Add(models.Sent{N: i, Outcome: models.Outcome{Outcome: models.OutcomeInDoubt, Detail: why}}, true); err != nil {
				return err
			}
		}
	}
	p.clear()
	return p.out.Flush()
}

// End writes the summary.
func (p *Outcomes) End() error {
	p.clear()
	if err := p.out.Flush(); err != nil {
		return err
	}
	if p.total() != 1 || p.quiet || p.AllConfirmed() { // else its line has said it
		p.o.Note("%s", &p.Tally)
	}
	return nil
}

func (p *Outcomes) clear() {
	if p.progress && !p.shown.IsZero() {
		_ = Control(p.o.Err, "\r\x1b[K")
	}
}

// outcomeText returns an outcome for people: "failed: dial failed: refused".
func (o *Output) outcomeText(v models.Outcome) string {
	text := v.Outcome
	if text == models.OutcomeInDoubt {
		text = "in doubt"
	}
	if v.Reason != "" {
		text += ": " + v.Reason
	}
	if v.Detail != "" {
		text += ": " + v.Detail
	}
	return inspect.Escape(o.Named(Plain(text)))
}
