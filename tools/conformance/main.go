// Command conformance counts the tests that cite items of the checklists in
// docs/conformance.
//
//	go -C tools run ./conformance            # every item with its tests
//	go -C tools run ./conformance -missing   # what is claimed and has none
//	go -C tools run ./conformance -check     # exit 1 when there is any, or a wrong citation
//
// How to cite, and how a checklist says what is claimed, stands in
// docs/conformance/README.md.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	root := flag.String("root", "..", "root of the repository")
	check := flag.Bool("check", false, "print problems only and exit 1 when there are any")
	missing := flag.Bool("missing", false, "print only claimed items without a test")
	flag.Parse()
	if err := run(os.Stdout, *root, *check, *missing); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, root string, check, missing bool) error {
	lists, err := readChecklists(filepath.Join(root, "docs", "conformance"))
	if err != nil {
		return err
	}
	citations, problems := scan(root)
	problems = append(problems, assign(lists, citations)...)
	uncited := 0
	for _, l := range lists {
		if !check {
			l.print(w, missing)
		}
		lacking := l.lacking()
		uncited += len(lacking)
		if check && len(lacking) > 0 {
			fmt.Fprintf(w, "%s: claimed without a test: %s\n", l.area, ranges(lacking))
		}
	}
	for _, p := range problems {
		fmt.Fprintln(w, p)
	}
	switch {
	case len(problems) > 0:
		return fmt.Errorf("%d wrong citations: correct them", len(problems))
	case check && uncited > 0:
		return fmt.Errorf("%d claimed items have no test: write one that cites them (docs/conformance/README.md), or claim less", uncited)
	}
	return nil
}

// assign gives each citation to its item and reports those without one.
func assign(lists []*checklist, citations []citation) (problems []string) {
	for _, c := range citations {
		i := slices.IndexFunc(lists, func(l *checklist) bool { return l.area == c.area })
		if i < 0 {
			problems = append(problems, fmt.Sprintf("%s: cites %s %d, but there is no checklist %q", c.where(), c.area, c.number, c.area))
			continue
		}
		it, ok := lists[i].items[c.number]
		if !ok {
			problems = append(problems, fmt.Sprintf("%s: cites %s %d, which does not exist", c.where(), c.area, c.number))
			continue
		}
		it.tests = append(it.tests, c)
	}
	return problems
}

// item is one numbered line of a checklist.
type item struct {
	number  int
	text    string
	claimed bool
	tests   []citation
}

// checklist is one file of docs/conformance.
type checklist struct {
	area  string
	items map[int]*item
}

func (l *checklist) numbers() []int { return slices.Sorted(maps.Keys(l.items)) }

// lacking are the claimed items without a test.
func (l *checklist) lacking() []int {
	var n []int
	for _, i := range l.numbers() {
		if it := l.items[i]; it.claimed && len(it.tests) == 0 {
			n = append(n, i)
		}
	}
	return n
}

func (l *checklist) print(w io.Writer, missingOnly bool) {
	claimed := 0
	for _, n := range l.numbers() {
		it := l.items[n]
		if it.claimed {
			claimed++
		}
		lacks := it.claimed && len(it.tests) == 0
		if missingOnly && !lacks {
			continue
		}
		note := ""
		switch {
		case lacks:
			note = "  MISSING"
		case !it.claimed:
			note = "  (not claimed)"
		}
		fmt.Fprintf(w, "%s %d  %s%s\n", l.area, n, cut(it.text, 90), note)
		if missingOnly {
			continue
		}
		slices.SortFunc(it.tests, func(a, b citation) int {
			return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line))
		})
		for _, t := range it.tests {
			fmt.Fprintf(w, "    %s\n", t.where())
		}
	}
	lacking := l.lacking()
	fmt.Fprintf(w, "%s: %d of %d claimed items have a test", l.area, claimed-len(lacking), claimed)
	if len(lacking) > 0 {
		fmt.Fprintf(w, "; missing: %s", ranges(lacking))
	}
	fmt.Fprintln(w)
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// ranges writes sorted numbers as 1-3, 7.
func ranges(n []int) string {
	var parts []string
	for i := 0; i < len(n); {
		j := i
		for j+1 < len(n) && n[j+1] == n[j]+1 {
			j++
		}
		if i == j {
			parts = append(parts, fmt.Sprint(n[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", n[i], n[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}

var errNoChecklist = errors.New("no checklist: want files with a line \"Area: <name>\"")
