package render

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gamelan-p2p/gamelan/inspect"
)

const (
	columnGap = 2
	// leastID and leastWords are the widths to which a column is cut at most.
	leastID    = 8
	leastWords = 10
)

// Table writes rows in columns; the first row is the heading. It escapes the cells, and
// does not pad the last column. On a terminal it cuts cells until a row fits: those of
// columns that have only ids and addresses first, then words. Elsewhere it cuts nothing.
func (o *Output) Table(rows [][]string) error {
	for _, r := range rows {
		for i, c := range r {
			r[i] = inspect.Escape(c)
		}
	}
	widths := fitted(rows, o.columns())
	var b strings.Builder
	for _, r := range rows {
		var line strings.Builder
		for i, c := range r {
			c = shortText(c, widths[i])
			line.WriteString(c + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+columnGap))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := fmt.Fprint(o.Out, b.String())
	return err
}

// fitted returns the widths of the columns of a table that has at most width characters
// in a line; 0: there is no limit.
func fitted(rows [][]string, width int) []int {
	var widths []int
	var words []bool // of each column: it has cells of several words, below the heading
	total := -columnGap
	for n, r := range rows {
		for i, c := range r {
			if i == len(widths) {
				widths, words = append(widths, 0), append(words, false)
				total += columnGap
			}
			if w := utf8.RuneCountInString(c); w > widths[i] {
				total += w - widths[i]
				widths[i] = w
			}
			words[i] = words[i] || n > 0 && strings.Contains(c, " ")
		}
	}
	if width <= 0 {
		return widths
	}
	shrink := func(least int, which func(i int) bool) {
		for total > width {
			widest := -1
			for i, w := range widths {
				if which(i) && w > least && (widest < 0 || w > widths[widest]) {
					widest = i
				}
			}
			if widest < 0 {
				return
			}
			widths[widest]--
			total--
		}
	}
	shrink(leastID, func(i int) bool { return !words[i] })
	shrink(leastWords, func(i int) bool { return words[i] })
	return widths
}
