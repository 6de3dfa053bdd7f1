// Command prose counts what makes the pages hard to read: sentences over 30 words, lines
// over 200 characters outside tables and code, and words of the private vocabulary.
//
//	go -C tools run ./prose                       # write the counts; none may grow
//	go -C tools run ./prose -accept               # let them grow
//	go -C tools run ./prose -check                # fail when one has grown
//	go -C tools run ./prose -list docs/network.md # name each place on a page
//
// counts.txt holds the counts of each page that has any: a new page starts at zero.
// words.txt holds the words and what to say instead, pages.txt which pages are not
// counted, which are for contributors, and which must stay at zero.
package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	root := flag.String("root", "..", "root of the repository")
	check := flag.Bool("check", false, "change nothing, fail when a count has grown")
	accept := flag.Bool("accept", false, "write counts that have grown, too")
	list := flag.Bool("list", false, "name each place on the pages given as arguments; change nothing")
	flag.Parse()
	if err := run(os.Stdout, *root, *check, *accept, *list, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "prose:", err)
		os.Exit(1)
	}
}

var (
	//go:embed words.txt
	wordsFile string
	//go:embed pages.txt
	pagesFile string
)

func run(w io.Writer, root string, check, accept, list bool, names []string) error {
	words, err := parseWords(wordsFile)
	if err != nil {
		return err
	}
	rules, err := parsePages(pagesFile)
	if err != nil {
		return err
	}
	found, err := findings(root, words, rules)
	if err != nil {
		return err
	}
	if list {
		for _, name := range names {
			if _, ok := found[name]; !ok {
				return fmt.Errorf("%s is no page that is counted", name)
			}
			show(w, name, found[name])
		}
		return nil
	}
	file := filepath.Join(root, "tools", "prose", "counts.txt")
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	old, err := parseCounts(string(text))
	if err != nil {
		return err
	}
	now, grown := compare(w, found, old, rules, accept)
	if !check {
		if err := os.WriteFile(file, []byte(formatCounts(now)), 0o644); err != nil {
			return err
		}
	}
	if grown {
		return errors.New("shorten what is named above; -list PAGE names each place of a page, -accept lets counts grow")
	}
	return nil
}

// compare returns the counts to write down: those of the pages, but no more than old unless accept
// lets them grow. It prints those that have grown, and those of pages that must stay at zero.
func compare(w io.Writer, found map[string][]finding, old map[string]counts, rules pages, accept bool) (now map[string]counts, grown bool) {
	now = map[string]counts{}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		have := count(found[name])
		most := have
		if !accept {
			most = old[name]
		}
		if rules.match(zero, name) {
			most = counts{}
		}
		for k := range have {
			if have[k] > most[k] {
				grown = true
				fmt.Fprintf(w, "%s: %s: %d, at most %d\n", name, kinds[k], have[k], most[k])
				if most[k] == 0 {
					show(w, name, only(found[name], kind(k)))
				}
			}
		}
		for k := range have {
			have[k] = min(have[k], most[k])
		}
		now[name] = have
	}
	return now, grown
}

func show(w io.Writer, name string, found []finding) {
	for _, f := range found {
		fmt.Fprintf(w, "%s:%d: %s\n", name, f.line, f.text)
	}
}

// findings returns what is found on each page below root.
func findings(root string, words []word, rules pages) (map[string][]finding, error) {
	found := map[string][]finding{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path)
		name := filepath.ToSlash(rel)
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"dist", "target", "testdata"}, d.Name())):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(name) != ".md" || rules.match(skip, name):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found[name] = read(string(text), wordsFor(words, rules.match(contributors, name)))
		return nil
	})
	return found, err
}

// counts are how many of each kind a page has.
type counts [3]int

func count(found []finding) (n counts) {
	for _, f := range found {
		n[f.kind]++
	}
	return n
}

func only(found []finding, k kind) []finding {
	return slices.DeleteFunc(slices.Clone(found), func(f finding) bool { return f.kind != k })
}

func parseCounts(text string) (map[string]counts, error) {
	all := map[string]counts{}
	for line := range strings.Lines(text) {
		if line[0] == '#' {
			continue
		}
		var name string
		var n counts
		if _, err := fmt.Sscanf(line, "%d %d %d %s\n", &n[0], &n[1], &n[2], &name); err != nil {
			return nil, fmt.Errorf("counts.txt: %q: %w", line, err)
		}
		all[name] = n
	}
	return all, nil
}

func formatCounts(all map[string]counts) string {
	var b strings.Builder
	b.WriteString("# " + strings.Join(kinds[:], " · ") + " · page; written by make prose\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if n := all[name]; n != (counts{}) {
			fmt.Fprintf(&b, "%4d %4d %4d %s\n", n[0], n[1], n[2], name)
		}
	}
	return b.String()
}
