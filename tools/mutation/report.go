package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// writeReport writes docs/mutation.md: head.md, the table of the results, and
// each survivor with its reason.
func writeReport(root string) error {
	results, err := readResults(root)
	if err != nil {
		return err
	}
	reasons, err := readReasons(filepath.Join(root, "tools/mutation/unchanged.txt"))
	if err != nil {
		return err
	}
	head, err := os.ReadFile(filepath.Join(root, "tools/mutation/head.md"))
	if err != nil {
		return err
	}
	out := bytes.NewBuffer(head)
	writeTable(out, results, reasons)
	writeSurvivors(out, results, reasons)
	for key, why := range reasons {
		file, _, _ := strings.Cut(key, " | ")
		whole := slices.ContainsFunc(results, func(r result) bool { return r.Percent == 100 && r.Package == filepath.ToSlash(filepath.Dir(file)) })
		if whole && !why.used {
			fmt.Fprintf(os.Stderr, "mutation: no survivor any more, take it out of unchanged.txt: %s\n", key)
		}
	}
	return os.WriteFile(filepath.Join(root, "docs/mutation.md"), out.Bytes(), 0o644)
}

func writeTable(out *bytes.Buffer, results []result, reasons map[string]*reason) {
	out.WriteString("\n## Scores\n\n| package | mutants | killed | hung | survived | of them change nothing | noticed | … without those | drawn | run |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|---|\n")
	row := func(r result, drawn, run string) {
		same := 0
		for _, m := range r.Survived {
			if reasons[m.reasonKey()] != nil {
				same++
			}
		}
		fmt.Fprintf(out, "| %s | %d | %d | %d | %d | %d | %.1f %% | %.1f %% | %s | %s |\n",
			r.Package, r.Mutants, r.Killed, len(r.TimedOut), len(r.Survived), same, r.score(0), r.score(same), drawn, run)
	}
	var all result
	all.Package = "together"
	for _, r := range results {
		row(r, fmt.Sprintf("%d %%", r.Percent), r.Commit+", "+r.Date)
		all.Mutants += r.Mutants
		all.Killed += r.Killed
		all.TimedOut = append(all.TimedOut, r.TimedOut...)
		all.Survived = append(all.Survived, r.Survived...)
	}
	row(all, "", "")
	out.WriteString("\n*Noticed* is what was killed or hung of all mutants, those that change nothing included; the column after it leaves them out.\n")
}

func writeSurvivors(out *bytes.Buffer, results []result, reasons map[string]*reason) {
	out.WriteString("\n## Survivors\n")
	for _, r := range results {
		if len(r.Survived)+len(r.TimedOut) == 0 {
			continue
		}
		fmt.Fprintf(out, "\n### %s\n\n", r.Package)
		for _, m := range r.Survived {
			why := "**open**"
			if known := reasons[m.reasonKey()]; known != nil {
				known.used = true
				why = known.text
			}
			fmt.Fprintf(out, "- `%s:%d` `%s` → `%s` in `%s`: %s\n", filepath.Base(m.File), m.Line, m.From, m.To, m.Text, why)
		}
		if len(r.TimedOut) > 0 {
			fmt.Fprintf(out, "\nHung: ")
			for i, m := range r.TimedOut {
				if i > 0 {
					out.WriteString(", ")
				}
				fmt.Fprintf(out, "`%s:%d` `%s` → `%s`", filepath.Base(m.File), m.Line, m.From, m.To)
			}
			out.WriteString(".\n")
		}
	}
}

// reason says why a mutant changes nothing.
type reason struct {
	text string
	used bool
}

// reasonKey identifies a mutant without its place in the file, which changes with every edit.
func (m mutant) reasonKey() string {
	return fmt.Sprintf("%s | %s → %s | %s", m.File, m.From, m.To, m.Text)
}

// readReasons reads pairs of a line in the form of reasonKey and an indented line with the
// reason. Lines with # are comments.
func readReasons(path string) (map[string]*reason, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	reasons := map[string]*reason{}
	key := ""
	for i, line := range strings.Split(string(data), "\n") {
		text, indented := strings.CutPrefix(line, "\t")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case !indented && key == "":
			key = line
		case indented && key != "":
			reasons[key] = &reason{text: text}
			key = ""
		default:
			return nil, fmt.Errorf("%s:%d: want a mutant and then, indented, why it changes nothing", path, i+1)
		}
	}
	return reasons, nil
}
