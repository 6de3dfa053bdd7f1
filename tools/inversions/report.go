package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gamelan-p2p/gamelan/tools/internal/checklist"
)

// writeReport writes docs/inversions.md: the head, the totals, and a row for
// each claimed item.
func (r *runner) writeReport(lists []*checklist.List, invs []*inversion) error {
	head, err := os.ReadFile(filepath.Join(r.root, "tools/inversions/head.md"))
	if err != nil {
		return err
	}
	var rows strings.Builder
	var items, inverted, killed, cites, tried, counted int
	var survived, untried []string
	for _, l := range lists {
		fmt.Fprintf(&rows, "\n## %s\n\n| item | inverted | tests that failed | tests that did not |\n|--:|---|---|---|\n", l.Area)
		for _, n := range l.Numbers() {
			if !l.Items[n].Claimed {
				continue
			}
			items++
			key := fmt.Sprintf("%s %d", l.Area, n)
			tests := r.cites[key]
			cites += len(tests)
			var sentences []string
			fails := map[cited]bool{} // false: tried, and did not

			for _, inv := range invs {
				if inv.item() != key {
					continue
				}
				sentences = append(sentences, inv.sentence)
				res, ok := r.results.byName[inv.name]
				if !ok {
					continue
				}
				for _, t := range res.Tests {
					if o := r.known(inv, t.cited); o != "" && o != anyway { // of the files as they are
						fails[t.cited] = fails[t.cited] || t.Outcome.fell()
					}
				}
			}
			if len(fails) == 0 {
				fmt.Fprintf(&rows, "| %d | %s | not tried | |\n", n, strings.Join(sentences, " "))
				continue
			}
			inverted++
			var did, not []string
			for _, t := range tests {
				fell, ok := fails[t]
				if !ok {
					untried = append(untried, key+" "+t.String())
					continue
				}
				tried++
				if fell {
					did = append(did, t.String())
				} else {
					not = append(not, t.String())
					survived = append(survived, key+" "+t.String())
				}
			}
			counted += len(did)
			if len(did) > 0 {
				killed++
			}
			slices.Sort(did)
			slices.Sort(not)
			fmt.Fprintf(&rows, "| %d | %s | %s | %s |\n", n, strings.Join(sentences, " "), strings.Join(did, ", "), strings.Join(not, ", "))
		}
	}
	totals := fmt.Sprintf(`
| | claimed | tried | failed | of those tried |
|---|--:|--:|--:|--:|
| items | %d | %d | %d | %s |
| citations | %d | %d | %d | %s |
`, items, inverted, killed, percent(killed, inverted), cites, tried, counted, percent(counted, tried))
	text := "<!-- Written by make inversions; edit tools/inversions/head.md or the inversions. -->\n\n" + string(head) + totals + rows.String()
	fmt.Fprintf(r.out, "inversions: items %d of %d tried, %d killed; citations %d of %d tried, %d failed\n", inverted, items, killed, tried, cites, counted)
	for _, inv := range invs {
		res := r.results.byName[inv.name]
		if !slices.ContainsFunc(res.Tests, func(t tested) bool { return t.Outcome.fell() }) {
			fmt.Fprintln(r.out, "  no test failed under", inv.name, res.Error)
		}
	}
	for _, s := range survived {
		fmt.Fprintln(r.out, "  did not fail:", s)
	}
	for _, s := range untried {
		fmt.Fprintln(r.out, "  not tried:", s)
	}
	return os.WriteFile(filepath.Join(r.root, "docs/inversions.md"), []byte(text), 0o644)
}

func percent(n, of int) string {
	if of == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}
