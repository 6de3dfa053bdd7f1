package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

var (
	itemLine    = regexp.MustCompile(`^(\d+)\. (.+)$`)
	settingLine = regexp.MustCompile(`^(Area|Claimed|Later): (.+)$`)
)

// readChecklists reads every file of dir that has a line "Area: <name>". Such
// a file says in "Claimed: 1-3, 7" which items have their tests, and in
// "Later: 4-6" which are out of scope so far; together they name every item.
func readChecklists(dir string) ([]*checklist, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		return nil, err
	}
	var lists []*checklist
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

func parseChecklist(text string) (*checklist, error) {
	l := &checklist{items: map[int]*item{}}
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
			l.items[n] = &item{number: n, text: m[2]}
		}
	}
	if l.area = settings["Area"]; l.area == "" {
		return nil, nil
	}
	seen := map[int]bool{}
	for _, s := range []string{"Claimed", "Later"} {
		numbers, err := parseNumbers(settings[s])
		if err != nil {
			return nil, fmt.Errorf("line %q: %w", s, err)
		}
		for _, n := range numbers {
			it, ok := l.items[n]
			if !ok || seen[n] {
				return nil, fmt.Errorf("line %q names item %d, which does not exist or was named before", s, n)
			}
			seen[n], it.claimed = true, s == "Claimed"
		}
	}
	for _, n := range l.numbers() {
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
