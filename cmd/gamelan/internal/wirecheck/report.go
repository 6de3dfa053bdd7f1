package wirecheck

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// Report is the results of a run, for people and programs.
type Report struct {
	Target   string `json:"target"`
	Key      string `json:"key"`
	Network  string `json:"network"`
	Release  string `json:"release"`
	WireByte string `json:"wire_byte"` // two hexadecimal digits
	Passed   int    `json:"passed"`
	Failed   int    `json:"failed"`
	Skipped  int    `json:"not_applicable"`
	MS       int64  `json:"ms"`
	// Blocked is why connections do not get far enough for all checks.
	Blocked string `json:"blocked,omitempty"`

	Checks []Result `json:"checks"`
}

// OK reports whether the node has passed.
func (r Report) OK() bool { return r.Failed == 0 && r.Blocked == "" }

// NewReport is the report on what [Run] returned after some time.
func NewReport(target string, t Target, results []Result, blocked error, took time.Duration) Report {
	r := Report{
		Target: target, Key: t.Key.String(), Network: t.Network.String(), Release: t.Release.String(),
		WireByte: fmt.Sprintf("%02x", t.Network.WireByte(t.Release)),
		MS:       took.Milliseconds(), Checks: results,
	}
	if blocked != nil {
		r.Blocked = blocked.Error()
	}
	for _, c := range results {
		switch c.Status {
		case Pass:
			r.Passed++
		case Fail:
			r.Failed++
		default:
			r.Skipped++
		}
	}
	return r
}

// Text is the report as a table, a line for each check. Below a failure stand
// what was expected, what came, and where the first difference is.
func (r Report) Text() string {
	rows := [][]string{{"RESULT", "RULE", "CHECK", "WHAT"}}
	for _, c := range r.Checks {
		title := c.Title
		if c.Note != "" {
			title += " (" + c.Note + ")"
		}
		result := string(c.Status)
		if c.Status == Fail {
			result = "FAIL"
		}
		rows = append(rows, []string{result, c.Rules, c.Name, inspect.Escape(title)})
	}
	var widths [3]int
	for _, row := range rows {
		for i := range widths {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	var b strings.Builder
	for i, row := range rows {
		for j, w := range widths {
			fmt.Fprintf(&b, "%-*s  ", w, row[j])
		}
		b.WriteString(row[3] + "\n")
		if i > 0 {
			r.Checks[i-1].failure(&b)
		}
	}
	if r.Blocked != "" {
		b.WriteString("Connections do not get far enough for all checks: " + inspect.Escape(r.Blocked) + "\n")
	}
	b.WriteString(r.summary() + "\n")
	return b.String()
}

// failure writes the lines below a failed check.
func (c Result) failure(b *strings.Builder) {
	if c.Status != Fail {
		return
	}
	fmt.Fprintf(b, "          expected  %s\n          got       %s\n", inspect.Escape(c.Expected), inspect.Escape(c.Got))
	if c.Offset != nil {
		fmt.Fprintf(b, "          differs   at byte %d of %s\n", *c.Offset, inspect.Escape(c.Where))
	}
}

// summary is the last line.
func (r Report) summary() string {
	parts := []string{fmt.Sprintf("%d passed", r.Passed), fmt.Sprintf("%d failed", r.Failed)}
	if r.Skipped > 0 {
		parts = append(parts, fmt.Sprintf("%d not applicable", r.Skipped))
	}
	took := time.Duration(r.MS) * time.Millisecond
	return fmt.Sprintf("%s in %.1f s: %s", count(len(r.Checks), "check"), took.Seconds(), strings.Join(parts, ", "))
}
