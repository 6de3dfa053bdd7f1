package inspect

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

// TextOptions are the options of [Text]. Colour uses ANSI sequences; Width cuts lines at
// that many characters, 0 leaves them whole.
type TextOptions struct {
	Colour bool
	Width  int
}

// marks has one character for each state, for a narrow column.
var marks = map[State]string{
	Starting: "◌", Running: "●", Busy: "◉", Suspended: "‖", Restarting: "↻",
	BackingOff: "↺", Stopping: "◍", Stuck: "▲", Failed: "✗", Unsupervised: "○",
}

// colours are the ANSI colours of the states that need attention.
var colours = map[State]string{
	Starting: "36", Busy: "32", Suspended: "33", Restarting: "33", BackingOff: "33",
	Stopping: "36", Stuck: "31;1", Failed: "31;1", Unsupervised: "90",
}

// row is one line of the drawing, still in columns.
type row struct {
	name, state, queue, handled, rate, restarts, note string
	of                                                State
}

var header = row{name: "ACTOR", state: "STATE", queue: "QUEUE", handled: "HANDLED", rate: "MSG/S", restarts: "RESTARTS"}

// Text draws the tree. A line has the name, the state, the number of messages that wait
// in the mailbox, the messages handled and their rate, the restarts, and the actor's own
// line. Text escapes everything that may come from a peer.
func Text(w io.Writer, t Tree, o TextOptions) error {
	rows := []row{header}
	for i := range t.Branches {
		rows = appendRows(rows, &t.Branches[i], "", "", t.At)
	}
	var width [6]int
	for _, r := range rows {
		for i, c := range r.columns() {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	out := bufio.NewWriter(w)
	for _, r := range rows {
		fmt.Fprintln(out, r.line(width, o))
	}
	return out.Flush()
}

func (r row) columns() [6]string {
	return [6]string{r.name, r.state, r.queue, r.handled, r.rate, r.restarts}
}

func (r row) line(width [6]int, o TextOptions) string {
	var b strings.Builder
	for i, c := range r.columns() {
		space := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
		switch i {
		case 0, 1:
			b.WriteString(c + space)
		default:
			b.WriteString(space + c)
		}
		b.WriteString("  ")
	}
	b.WriteString(r.note)
	line := cutWidth(strings.TrimRight(b.String(), " "), o.Width)
	switch {
	case !o.Colour:
	case r.of == "" && r.state == header.state:
		line = "\x1b[1m" + line + "\x1b[0m"
	case colours[r.of] != "":
		line = strings.Replace(line, r.state, "\x1b["+colours[r.of]+"m"+r.state+"\x1b[0m", 1)
	}
	return line
}

func cutWidth(s string, width int) string {
	if width <= 0 || utf8.RuneCountInString(s) <= width {
		return s
	}
	runes := []rune(s)
	return string(runes[:width-1]) + "…"
}

// appendRows appends the rows of b and of all actors below it. first stands before the
// name of b itself, indent before everything below it.
func appendRows(rows []row, b *Branch, first, indent string, now time.Time) []row {
	rows = append(rows, rowOf(&b.Actor, first, now))
	for i := range b.Children {
		if i == len(b.Children)-1 && b.Hidden == 0 {
			rows = appendRows(rows, &b.Children[i], indent+"└─ ", indent+"   ", now)
		} else {
			rows = appendRows(rows, &b.Children[i], indent+"├─ ", indent+"│  ", now)
		}
	}
	if b.Hidden > 0 {
		rows = append(rows, row{name: fmt.Sprintf("%s└─ … %s more below", indent, Number(uint64(b.Hidden)))})
	}
	return rows
}

func rowOf(a *Actor, first string, now time.Time) row {
	r := row{name: first + Escape(ShortName(a.Name)), state: marks[a.State] + " " + string(a.State), of: a.State, note: note(a, now)}
	if a.State == Unsupervised {
		return r
	}
	r.queue = strconv.Itoa(a.Mailbox.Depth)
	r.handled = Number(a.Processed)
	r.rate, r.restarts = "-", "-"
	if a.Rate != nil {
		r.rate = rate(*a.Rate)
	}
	if a.Restarts > 0 {
		r.restarts = Number(a.Restarts)
	}
	return r
}

// note returns the actor's problems, and then its own line.
func note(a *Actor, now time.Time) string {
	var parts []string
	switch {
	case a.State == Stuck && a.Current != nil:
		parts = append(parts, fmt.Sprintf("in %s for %s", Escape(a.Current.MessageType), round(time.Duration(a.Current.AgeMS)*time.Millisecond)))
	case a.DetailTimeout:
		parts = append(parts, "did not answer")
	}
	if a.State == BackingOff && a.NextRestartAt.After(now) {
		parts = append(parts, "restarts in "+round(a.NextRestartAt.Sub(now)))
	}
	if f := a.LastFailure; f != nil && (a.State == BackingOff || a.State == Failed || a.State == Restarting) {
		text := "failed: " + Escape(f.Reason)
		if f.Where != "" {
			text += " at " + f.Where
		}
		parts = append(parts, text)
	}
	if a.State == Failed && a.OnPanic == supervisor.StopOnPanic.String() {
		parts = append(parts, "stopped for good by its panic policy")
	}
	if oldest := usersTask(a); oldest != nil {
		text := fmt.Sprintf("task %s for %s", Escape(oldest.Name), round(time.Duration(oldest.AgeMS)*time.Millisecond))
		if n := len(a.Tasks) - 1; n > 0 {
			text += fmt.Sprintf(" and %s more", Number(uint64(n)))
		}
		parts = append(parts, text)
	}
	if a.Contained > 0 {
		parts = append(parts, Number(a.Contained)+" contained")
	}
	if a.Missed > 0 {
		parts = append(parts, Number(a.Missed)+" events missed")
	}
	if a.Line != "" {
		parts = append(parts, Escape(a.Line))
	}
	return strings.Join(parts, " · ")
}

// usersTask returns the oldest task of a user's actor, if it is older than the limit for a
// message in hand. The node's own actors have tasks that run for ever.
func usersTask(a *Actor) *Task {
	switch a.Kind {
	case "handler", "protocol", "actor":
		if len(a.Tasks) > 0 && a.Tasks[0].AgeMS >= supervisor.StuckAfter.Milliseconds() {
			return &a.Tasks[0]
		}
	}
	return nil
}

func round(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func rate(f float64) string {
	if f > 0 && f < 10 {
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return Number(uint64(f + 0.5))
}

// Number returns n with a comma between groups of three digits.
func Number(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Count returns a number of things in words, as "1 message" or "2,000 messages". thing is
// the singular; its plural must end in s.
func Count(n uint64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return Number(n) + " " + thing
}
