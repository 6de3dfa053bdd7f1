package main

import (
	"fmt"
	"regexp"
	"strings"
)

// word is one of the private vocabulary.
type word struct {
	pattern *regexp.Regexp
	instead string
	users   bool // it counts on pages for users alone
}

// parseWords reads lines of the form "pattern = what to say instead" below the headings
// [everywhere] and [users]. A pattern is a regular expression for whole words.
func parseWords(text string) (all []word, err error) {
	heading := ""
	for n, line := range lines(text) {
		if line[0] == '[' {
			if heading = line; heading != "[everywhere]" && heading != "[users]" {
				return nil, fmt.Errorf("words.txt:%d: got %s, want [everywhere] or [users]", n, line)
			}
			continue
		}
		pattern, instead, ok := strings.Cut(line, " = ")
		if !ok || heading == "" || strings.TrimSpace(instead) == "" {
			return nil, fmt.Errorf("words.txt:%d: got %q, want a pattern and what to say instead, below a heading", n, line)
		}
		re, err := regexp.Compile(`(?i)\b(?:` + strings.TrimSpace(pattern) + `)(?:\b|$)`)
		if err != nil {
			return nil, fmt.Errorf("words.txt:%d: %w", n, err)
		}
		all = append(all, word{re, strings.TrimSpace(instead), heading == "[users]"})
	}
	return all, nil
}

// wordsFor returns the words that count on a page.
func wordsFor(all []word, contributors bool) (some []word) {
	for _, w := range all {
		if !w.users || !contributors {
			some = append(some, w)
		}
	}
	return some
}

// What pages.txt says of a page.
const (
	skip         = "skip"
	contributors = "contributors"
	zero         = "zero"
)

// pages are the names of pages by what is said of them. A name that ends in a slash is that of a
// folder with all that is below it.
type pages map[string][]string

func parsePages(text string) (pages, error) {
	all := pages{}
	for n, line := range lines(text) {
		f := strings.Fields(line)
		if len(f) != 2 || f[0] != skip && f[0] != contributors && f[0] != zero {
			return nil, fmt.Errorf("pages.txt:%d: got %q, want skip, contributors or zero, and a page", n, line)
		}
		all[f[0]] = append(all[f[0]], f[1])
	}
	return all, nil
}

func (p pages) match(what, name string) bool {
	for _, page := range p[what] {
		if name == page || strings.HasSuffix(page, "/") && strings.HasPrefix(name, page) {
			return true
		}
	}
	return false
}

// lines yields the lines of a file of rules by their numbers, without those that are empty
// or begin with #.
func lines(text string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		n := 0
		for line := range strings.Lines(text) {
			n++
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' && !yield(n, line) {
				return
			}
		}
	}
}
