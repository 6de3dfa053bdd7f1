package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// table is docs/census.md.
type table struct {
	code, machine string
	runs          []result
}

// result is one run of all commands of a condition.
type result struct {
	condition string
	began     time.Time
	took      time.Duration
	failed    []string // tests, or commands; nil: the run passed
}

func (r result) result() string {
	if len(r.failed) == 0 {
		return fmt.Sprintf("passed in %s", r.took)
	}
	return fmt.Sprintf("failed in %s: %s", r.took, strings.Join(r.failed, ", "))
}

func (t table) count(condition string) (n int) {
	for _, r := range t.runs {
		if r.condition == condition {
			n++
		}
	}
	return n
}

// failed returns how many runs failed.
func (t table) failed() (n int) {
	for _, r := range t.runs {
		if len(r.failed) > 0 {
			n++
		}
	}
	return n
}

// summary has a row for each condition.
func (t table) summary() string {
	var b strings.Builder
	b.WriteString("| condition | what | runs | failed | time, least to most |\n|---|---|---|---|---|\n")
	for _, c := range conditions(1) {
		var failed int
		var least, most time.Duration
		for _, r := range t.runs {
			if r.condition != c.name {
				continue
			}
			if len(r.failed) > 0 {
				failed++
			}
			if least == 0 || r.took < least {
				least = r.took
			}
			most = max(most, r.took)
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %s to %s |\n", c.name, c.what, t.count(c.name), failed, least, most)
	}
	return b.String()
}

const (
	codeMark    = "Code: `"
	machineMark = "Machine: "
)

func (t table) write(file string) error {
	var b strings.Builder
	b.WriteString("# Census of the tests\n\nWhole runs of `go test ./...` in conditions in which unsteady tests fail. `make census` writes this page.\n")
	b.WriteString("A run counts for the code that it ran. A commit that changes pages only keeps the count.\n\n")
	fmt.Fprintf(&b, "%s%s`\n\n%s%s\n\n%s\n", codeMark, t.code, machineMark, t.machine, t.summary())
	b.WriteString("Each run:\n\n| condition | began | seconds | failed |\n|---|---|---|---|\n")
	for _, r := range t.runs {
		fmt.Fprintf(&b, "| %s | %s | %.0f | %s |\n", r.condition, r.began.Format(time.RFC3339), r.took.Seconds(), strings.ReplaceAll(strings.Join(r.failed, ", "), "|", "/"))
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

// readTable reads what write wrote. A file that is not there is an empty table.
func readTable(file string) (table, error) {
	var t table
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return t, err
	}
	_, rows, _ := strings.Cut(string(text), "Each run:")
	for line := range strings.Lines(string(text)) {
		if code, ok := strings.CutPrefix(line, codeMark); ok {
			t.code = strings.Trim(code, "`\n")
		}
	}
	for line := range strings.Lines(rows) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if len(cells) != 4 || !strings.HasPrefix(cells[0], "| ") || cells[0] == "| condition" {
			continue
		}
		r := result{condition: strings.TrimPrefix(cells[0], "| ")}
		var seconds float64
		if r.began, err = time.Parse(time.RFC3339, cells[1]); err == nil {
			_, err = fmt.Sscan(cells[2], &seconds)
		}
		if err != nil {
			return t, fmt.Errorf("%s: %q: %w", file, line, err)
		}
		r.took = time.Duration(seconds) * time.Second
		if names := strings.TrimSpace(strings.TrimSuffix(cells[3], "|")); names != "" {
			r.failed = strings.Split(names, ", ")
		}
		t.runs = append(t.runs, r)
	}
	return t, nil
}
