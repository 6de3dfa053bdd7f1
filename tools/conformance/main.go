// Command conformance counts the tests that cite items of the checklists in
// docs/conformance.
//
//	go -C tools run ./conformance            # every item with its tests
//	go -C tools run ./conformance -missing   # what is claimed and has none
//	go -C tools run ./conformance -check     # exit 1 when there is any, or a wrong citation
//
// docs/conformance/README.md describes citations and the claims of a checklist.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/gamelan-p2p/gamelan/tools/internal/checklist"
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
	lists, err := checklist.Read(filepath.Join(root, "docs", "conformance"))
	if err != nil {
		return err
	}
	citations, problems := checklist.Scan(root)
	problems = append(problems, checklist.Assign(lists, citations)...)
	uncited := 0
	for _, l := range lists {
		if !check {
			printList(w, l, missing)
		}
		lacking := l.Lacking()
		uncited += len(lacking)
		if check && len(lacking) > 0 {
			fmt.Fprintf(w, "%s: claimed without a test: %s\n", l.Area, checklist.Ranges(lacking))
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

func printList(w io.Writer, l *checklist.List, missingOnly bool) {
	claimed := 0
	for _, n := range l.Numbers() {
		it := l.Items[n]
		if it.Claimed {
			claimed++
		}
		lacks := it.Claimed && len(it.Tests) == 0
		if missingOnly && !lacks {
			continue
		}
		note := ""
		switch {
		case lacks:
			note = "  MISSING"
		case !it.Claimed:
			note = "  (not claimed)"
		}
		fmt.Fprintf(w, "%s %d  %s%s\n", l.Area, n, cut(it.Text, 90), note)
		if missingOnly {
			continue
		}
		slices.SortFunc(it.Tests, func(a, b checklist.Citation) int {
			return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
		})
		for _, t := range it.Tests {
			fmt.Fprintf(w, "    %s\n", t.Where())
		}
	}
	lacking := l.Lacking()
	fmt.Fprintf(w, "%s: %d of %d claimed items have a test", l.Area, claimed-len(lacking), claimed)
	if len(lacking) > 0 {
		fmt.Fprintf(w, "; missing: %s", checklist.Ranges(lacking))
	}
	fmt.Fprintln(w)
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
