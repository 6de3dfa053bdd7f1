package wirecheck

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// Report holds the results of a run, for people and programs.
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
	// Blocked is the error because of which some checks could not run.
	Blocked string `json:"blocked,omitempty"`
	// Interrupted is true when not all checks have been run.
	Interrupted bool `json:"interrupted,omitempty"`

	Checks []Result `json:"checks"`
}

// OK reports whether the node has passed.
func (r Report) OK() bool { return r.Failed == 0 && r.Blocked == "" }

// NewReport returns the report on the results of [Run]; took is its duration.
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

// Text returns the report as a table, with a line for each check. Below a failure are the
// expected and the received bytes and the place of the first difference.
func (r Report) Text() string {
	var t Table
	for _, c := range r.Checks {
		t.fit(c.Rules, c.Name)
	}
	var b strings.Builder
	b.WriteString(t.Head())
	for _, c := range r.Checks {
		b.WriteString(t.Row(c))
	}
	b.WriteString(r.Foot())
	return b.String()
}

// Foot returns the text below the table: the blocking error, if any, and the counts.
func (r Report) Foot() string {
	text := r.summary() + "\n"
	if r.Blocked != "" {
		text = "Connections do not get far enough for all checks: " + inspect.Escape(r.Blocked) + "\n" + text
	}
	return text
}

// Table writes results as they come, in columns as wide as the checks need.
type Table struct{ rules, name int }

// NewTable makes the table for the results of checks.
func NewTable(checks []Check) Table {
	var t Table
	for _, c := range checks {
		t.fit(c.Rules, c.Name)
	}
	return t
}

func (t *Table) fit(rules, name string) {
	t.rules, t.name = max(t.rules, len("RULE"), utf8.RuneCountInString(rules)), max(t.name, len("CHECK"), utf8.RuneCountInString(name))
}

// Head returns the line with the names of the columns.
func (t Table) Head() string { return t.line("RESULT", "RULE", "CHECK", "WHAT") }

// Row returns the line of one result, and the lines below it if it failed.
func (t Table) Row(c Result) string {
	title := c.Title
	if c.Note != "" {
		title += " (" + c.Note + ")"
	}
	result := string(c.Status)
	if c.Status == Fail {
		result = "FAIL"
	}
	var b strings.Builder
	b.WriteString(t.line(result, c.Rules, c.Name, inspect.Escape(title)))
	c.failure(&b)
	return b.String()
}

func (t Table) line(result, rules, name, what string) string {
	return fmt.Sprintf("%-6s  %-*s  %-*s  %s\n", result, t.rules, rules, t.name, name, what)
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

// summary returns the last line.
func (r Report) summary() string {
	parts := []string{fmt.Sprintf("%d passed", r.Passed), fmt.Sprintf("%d failed", r.Failed)}
	if r.Skipped > 0 {
		parts = append(parts, fmt.Sprintf("%d not applicable", r.Skipped))
	}
	took := time.Duration(r.MS) * time.Millisecond
	return fmt.Sprintf("%s in %.1f s: %s", count(len(r.Checks), "check"), took.Seconds(), strings.Join(parts, ", "))
}
