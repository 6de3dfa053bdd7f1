package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// inversion is an inverted rule of a checklist, read from a file such as comms/031.txt or, if
// an item has several parts, comms/031-b.txt.
type inversion struct {
	name     string // comms-031-b
	area     string
	number   int
	sentence string // what the inverted code does
	edits    []edit
	text     string // of the file
}

// edit replaces one piece of a file.
type edit struct {
	file     string // relative to the root
	in       string // a function, as in Conn.Read; "" for the whole file
	old, new string
}

var (
	inversionName = regexp.MustCompile(`^(\d+)(-[a-z])?\.txt$`)
	errForm       = errors.New("want a line that begins with Inverted:, and edits of a line file:, an optional line in:, old lines that begin with -, new lines that begin with +")
)

// readInversions reads every file below dir, sorted by area and number.
func readInversions(dir string) ([]*inversion, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.txt"))
	if err != nil {
		return nil, err
	}
	var all []*inversion
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		area, base := filepath.Base(filepath.Dir(file)), filepath.Base(file)
		m := inversionName.FindStringSubmatch(base)
		if m == nil {
			return nil, fmt.Errorf("%s: the name has to be the item's number, as in 031.txt or 031-b.txt", file)
		}
		inv, err := parseInversion(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		inv.name = area + "-" + strings.TrimSuffix(base, ".txt")
		inv.area = area
		inv.number, _ = strconv.Atoi(m[1])
		all = append(all, inv)
	}
	slices.SortFunc(all, func(a, b *inversion) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

func parseInversion(text string) (*inversion, error) {
	inv := &inversion{text: text}
	var e *edit
	file, in := "", ""
	end := func() {
		if e != nil {
			inv.edits = append(inv.edits, *e)
			e = nil
		}
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "Inverted: "):
			inv.sentence = strings.TrimPrefix(line, "Inverted: ")
		case strings.HasPrefix(line, "file: "):
			end()
			file, in = strings.TrimPrefix(line, "file: "), ""
		case strings.HasPrefix(line, "in: "):
			end()
			in = strings.TrimPrefix(line, "in: ")
		case strings.HasPrefix(line, "-") && file != "":
			if e != nil && e.new != "" {
				end()
			}
			if e == nil {
				e = &edit{file: file, in: in}
			}
			e.old += strings.TrimPrefix(line[1:], " ") + "\n"
		case strings.HasPrefix(line, "+") && e != nil:
			e.new += strings.TrimPrefix(line[1:], " ") + "\n"
		case line == "":
			end()
		default:
			return nil, fmt.Errorf("%w; got %q", errForm, line)
		}
	}
	end()
	if inv.sentence == "" || len(inv.edits) == 0 {
		return nil, errForm
	}
	for _, e := range inv.edits {
		if strings.TrimSpace(e.old) == "" {
			return nil, errForm
		}
	}
	return inv, nil
}

// pattern matches the old lines with any indentation and alignment.
func (e edit) pattern() *regexp.Regexp {
	var parts []string
	for line := range strings.Lines(strings.Trim(e.old, "\n")) {
		var words []string
		for word := range strings.FieldsSeq(line) {
			words = append(words, regexp.QuoteMeta(word))
		}
		parts = append(parts, strings.Join(words, `[ \t]+`))
	}
	return regexp.MustCompile(strings.Join(parts, `[ \t]*\n[ \t]*`))
}

// replacement returns the new text without the line break at its end.
func (e edit) replacement() string { return strings.TrimRight(e.new, "\n") }
