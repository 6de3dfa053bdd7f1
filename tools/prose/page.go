package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	mostWords = 30  // of a sentence
	mostChars = 200 // of a line outside tables and code
)

type kind int

const (
	longSentence kind = iota
	longLine
	privateWord
)

var kinds = [...]string{"sentences over 30 words", "lines over 200 characters", "private words"}

// finding is one place of a page that counts.
type finding struct {
	kind kind
	line int // of the paragraph, item or cell
	text string
}

// block is a paragraph, a heading, an item of a list or a cell of a table.
type block struct {
	line int
	text string
}

// read returns what is found on a page of Markdown, in the order of its lines. Code,
// comments and addresses of links do not count.
func read(text string, words []word) (found []finding) {
	blocks, found := split(text)
	for _, b := range blocks {
		for _, s := range sentences(b.text) {
			if n := countWords(s); n > mostWords {
				found = append(found, finding{longSentence, b.line, fmt.Sprintf("%d words: %s", n, s)})
			}
			for _, w := range words {
				for _, m := range w.pattern.FindAllString(s, -1) {
					found = append(found, finding{privateWord, b.line, fmt.Sprintf("%q, say: %s", m, w.instead)})
				}
			}
		}
	}
	slices.SortStableFunc(found, func(a, b finding) int { return a.line - b.line })
	return found
}

var (
	item      = regexp.MustCompile(`^([-*+]|\d+[.)])\s+`)
	separator = regexp.MustCompile(`^\|[\s|:-]+$`)
	comment   = regexp.MustCompile(`(?s)<!--.*?-->`)
)

// split divides a page into its blocks, and returns its long lines.
func split(text string) (blocks []block, long []finding) {
	text = comment.ReplaceAllStringFunc(text, func(c string) string { return strings.Repeat("\n", strings.Count(c, "\n")) })
	var open block
	end := func() {
		if open.text != "" {
			blocks = append(blocks, open)
		}
		open = block{}
	}
	fence := ""
	for i, line := range strings.Split(text, "\n") {
		n, trimmed := i+1, strings.TrimSpace(line)
		if fence != "" {
			if strings.HasPrefix(trimmed, fence) {
				fence = ""
			}
			continue
		}
		if strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~") {
			end()
			fence = trimmed[:3]
			continue
		}
		if strings.HasPrefix(trimmed, "|") {
			end()
			if !separator.MatchString(trimmed) {
				for _, c := range cells(trimmed) {
					blocks = append(blocks, block{n, c})
				}
			}
			continue
		}
		if chars := utf8.RuneCountInString(line); chars > mostChars {
			long = append(long, finding{longLine, n, fmt.Sprintf("a line of %d characters", chars)})
		}
		trimmed = strings.TrimSpace(strings.TrimLeft(trimmed, ">"))
		switch {
		case trimmed == "":
			end()
		case trimmed[0] == '#':
			end()
			blocks = append(blocks, block{n, strings.TrimLeft(trimmed, "# ")})
		default:
			if m := item.FindString(trimmed); m != "" {
				end()
				trimmed = trimmed[len(m):]
			}
			if open.line == 0 {
				open.line = n
			}
			open.text = strings.TrimSpace(open.text + " " + trimmed)
		}
	}
	end()
	return blocks, long
}

// cells returns the cells of a row of a table. A bar in code or behind a backslash
// divides nothing.
func cells(row string) (all []string) {
	code := false
	begin := 1
	for i := 1; i < len(row); i++ {
		switch {
		case row[i] == '`':
			code = !code
		case row[i] == '|' && !code && row[i-1] != '\\':
			all = append(all, strings.TrimSpace(row[begin:i]))
			begin = i + 1
		}
	}
	return append(all, strings.TrimSpace(row[begin:]))
}

var (
	code = regexp.MustCompile("`+[^`]+`+")
	link = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
	tag  = regexp.MustCompile(`</?[a-zA-Z][^<>]*>`)
	stop = regexp.MustCompile(`[.!?]["')\]]*\s+`)
)

// shortened are words whose full stop ends no sentence.
var shortened = []string{"e.g.", "i.e.", "vs.", "cf.", "etc."}

// sentences divides the text of a block. What is written as code becomes the word CODE.
func sentences(text string) (all []string) {
	text = code.ReplaceAllString(text, "CODE")
	text = link.ReplaceAllString(text, "$1")
	text = tag.ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "*", "")
	begin := 0
	for _, at := range stop.FindAllStringIndex(text, -1) {
		fields := strings.Fields(text[begin:at[1]])
		if slices.Contains(shortened, strings.TrimLeft(fields[len(fields)-1], "(")) {
			continue
		}
		all = append(all, strings.TrimSpace(text[begin:at[1]]))
		begin = at[1]
	}
	if rest := strings.TrimSpace(text[begin:]); rest != "" {
		all = append(all, rest)
	}
	return all
}

// countWords counts what has a letter or a digit.
func countWords(sentence string) (n int) {
	for _, f := range strings.Fields(sentence) {
		if strings.ContainsFunc(f, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			n++
		}
	}
	return n
}
