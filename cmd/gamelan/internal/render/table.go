package render

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/gamelan-p2p/gamelan/inspect"
)

const (
	columnGap = 2
	// leastID and leastWords are the widths to which a column is cut at most, and leastLast
	// that to which words in the last column are broken before others are cut.
	leastID    = 8
	leastWords = 10
	leastLast  = 24
)

// idAfterName matches a node id after the name or the key of its peer.
var idAfterName = regexp.MustCompile(` \(node id [0-9a-f]{8,}\)$`)

// dateCell matches a cell with a date, which is not cut.
var dateCell = regexp.MustCompile(`^\d{4}-\d\d-\d\dT`)

// Table writes rows in columns; the first row is the heading. It escapes the cells, and
// does not pad the last column. On a terminal it cuts cells until a row fits: those of
// columns that have only ids and addresses first, then words. Words in the last column are
// not cut but go on below. Elsewhere it cuts nothing.
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
		before := 0
		for i, c := range r {
			if i == len(widths)-1 {
				line.WriteString(lastCell(c, widths[i], before))
				break
			}
			c = shortText(c, widths[i])
			line.WriteString(c + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+columnGap))
			before += widths[i] + columnGap
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := fmt.Fprint(o.Out, b.String())
	return err
}

// lastCell breaks a cell of the last column at words, and cuts words that are too long. before
// is the width of the columns before it.
func lastCell(c string, width, before int) string {
	parts := strings.Split(wrapped(c, width, 0), "\n")
	for i, p := range parts {
		parts[i] = shortText(p, width)
	}
	return strings.Join(parts, "\n"+strings.Repeat(" ", before))
}

// A column is what the widths of a table depend on.
type column struct {
	width  int
	words  bool // it has cells of several words, below the heading
	dates  bool // it has dates, which are not cut
	key    bool // it has names of settings, which are cut last
	idFrom int  // below this width more than ids and addresses is cut
}

// columnsOf measures the columns of a table.
func columnsOf(rows [][]string) (all []column) {
	for n, r := range rows {
		for i, c := range r {
			if i == len(all) {
				all = append(all, column{idFrom: leastID})
			}
			k, w := &all[i], utf8.RuneCountInString(c)
			k.width, k.key = max(k.width, w), rows[0][i] == "SETTING"
			name := idAfterName.ReplaceAllString(c, "")
			switch {
			case n == 0, name != c, w <= leastWords, rows[0][i] == "NAME", rows[0][i] == "PEER" && !nodeIDs.MatchString(c), k.key, dateCell.MatchString(c): // more than ids
				k.idFrom = max(k.idFrom, utf8.RuneCountInString(name))
			}
			if n > 0 {
				k.words = k.words || strings.Contains(name, " ")
				k.dates = k.dates || dateCell.MatchString(c)
			}
		}
	}
	return all
}

// usualColumns is the width below which a table has fewer columns.
const usualColumns = 80

// narrow reports whether standard output is a terminal of fewer columns than usual. Lists
// then leave out what other commands show.
func (o *Output) narrow() bool { n := o.columns(); return n > 0 && n < usualColumns }

// fitted returns the widths of the columns of a table that has at most width characters
// in a line; 0: there is no limit.
func fitted(rows [][]string, width int) []int {
	all := columnsOf(rows)
	total := -columnGap
	for _, k := range all {
		total += k.width + columnGap
	}
	shrink := func(least func(i int, k column) int) {
		for total > width && width > 0 {
			widest := -1
			for i, k := range all {
				if k.width > least(i, k) && (widest < 0 || k.width > all[widest].width) {
					widest = i
				}
			}
			if widest < 0 {
				return
			}
			all[widest].width--
			total--
		}
	}
	whole, last := math.MaxInt, len(all)-1
	pick := func(is bool, least int) int {
		if is {
			return least
		}
		return whole
	}
	shrink(func(_ int, k column) int { return pick(!k.words, k.idFrom) })
	shrink(func(i int, k column) int { return pick(k.words && i == last, leastLast) })
	shrink(func(_ int, k column) int { return pick(k.words && !k.dates, (leastLast+leastWords)/2) })
	shrink(func(_ int, k column) int { return pick(k.words, leastWords) })
	shrink(func(_ int, k column) int { return pick(!k.key, leastID) })
	shrink(func(int, column) int { return leastID }) // better to cut a heading than to exceed the line
	widths := make([]int, len(all))
	for i, k := range all {
		widths[i] = k.width
	}
	return widths
}
