// Package checklist reads the checklists in docs/conformance and the comments of
// tests that cite their items. docs/conformance/README.md describes both.
package checklist

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	itemLine    = regexp.MustCompile(`^(\d+)\. (.+)$`)
	settingLine = regexp.MustCompile(`^(Area|Claimed|Later): (.+)$`)
)

// Read reads every file of dir that has a line "Area: <name>". In such a file the line
// "Claimed: 1-3, 7" names the items with tests, and "Later: 4-6" those that are out of
// scope so far; together they name every item.
func Read(dir string) ([]*List, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		return nil, err
	}
	var lists []*List
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		l, err := parseChecklist(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if l != nil {
			lists = append(lists, l)
		}
	}
	if len(lists) == 0 {
		return nil, fmt.Errorf("%s: %w", dir, errNoChecklist)
	}
	return lists, nil
}

func parseChecklist(text string) (*List, error) {
	l := &List{Items: map[int]*Item{}}
	settings := map[string]string{}
	last := 0
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if m := settingLine.FindStringSubmatch(line); m != nil {
			settings[m[1]] = m[2]
		}
		if m := itemLine.FindStringSubmatch(line); m != nil {
			n, err := strconv.Atoi(m[1])
			if err != nil || n <= last {
				return nil, fmt.Errorf("item %s comes after item %d", m[1], last)
			}
			last = n
			l.Items[n] = &Item{Number: n, Text: m[2]}
		}
	}
	if l.Area = settings["Area"]; l.Area == "" {
		return nil, nil
	}
	seen := map[int]bool{}
	for _, s := range []string{"Claimed", "Later"} {
		numbers, err := parseNumbers(settings[s])
		if err != nil {
			return nil, fmt.Errorf("line %q: %w", s, err)
		}
		for _, n := range numbers {
			it, ok := l.Items[n]
			if !ok || seen[n] {
				return nil, fmt.Errorf("line %q names item %d, which does not exist or was named before", s, n)
			}
			seen[n], it.Claimed = true, s == "Claimed"
		}
	}
	for _, n := range l.Numbers() {
		if !seen[n] {
			return nil, fmt.Errorf("item %d is neither claimed nor left for later", n)
		}
	}
	return l, nil
}

// parseNumbers reads "1-3, 7". An en dash is as good as a hyphen.
func parseNumbers(s string) ([]int, error) {
	if strings.TrimSpace(s) == "" || strings.TrimSpace(s) == "none" {
		return nil, nil
	}
	var numbers []int
	for part := range strings.SplitSeq(strings.ReplaceAll(s, "–", "-"), ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			to = from
		}
		a, err := strconv.Atoi(from)
		if err != nil {
			return nil, fmt.Errorf("%q is no number", part)
		}
		b, err := strconv.Atoi(to)
		if err != nil || b < a {
			return nil, fmt.Errorf("%q is no range", part)
		}
		for n := a; n <= b; n++ {
			numbers = append(numbers, n)
		}
	}
	return numbers, nil
}

// Assign gives each citation to its item and reports those without one.
func Assign(lists []*List, citations []Citation) (problems []string) {
	for _, c := range citations {
		i := slices.IndexFunc(lists, func(l *List) bool { return l.Area == c.Area })
		if i < 0 {
			problems = append(problems, fmt.Sprintf("%s: cites %s %d, but there is no checklist %q", c.Where(), c.Area, c.Number, c.Area))
			continue
		}
		it, ok := lists[i].Items[c.Number]
		if !ok {
			problems = append(problems, fmt.Sprintf("%s: cites %s %d, which does not exist", c.Where(), c.Area, c.Number))
			continue
		}
		it.Tests = append(it.Tests, c)
	}
	return problems
}

// Item is one numbered line of a checklist.
type Item struct {
	Number  int
	Text    string
	Claimed bool
	Tests   []Citation
}

// List is one file of docs/conformance.
type List struct {
	Area  string
	Items map[int]*Item
}

// Numbers returns the numbers of the items, in order.
func (l *List) Numbers() []int { return slices.Sorted(maps.Keys(l.Items)) }

// Lacking returns the claimed items without a test.
func (l *List) Lacking() []int {
	var n []int
	for _, i := range l.Numbers() {
		if it := l.Items[i]; it.Claimed && len(it.Tests) == 0 {
			n = append(n, i)
		}
	}
	return n
}

// Ranges returns sorted numbers in the form 1-3, 7.
func Ranges(n []int) string {
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
