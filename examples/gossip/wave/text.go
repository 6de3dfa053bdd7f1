package wave

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"
)

// Show writes the text, and writes the picture to a file unless the file's name is empty.
func (w *Wave) Show(to io.Writer, svg string) error {
	if err := w.Text(to); err != nil || svg == "" {
		return err
	}
	return os.WriteFile(svg, w.SVG(), 0o644)
}

// Text writes a line for each node, in the order in which they heard the news, and
// a summary.
func (w *Wave) Text(to io.Writer) error {
	for _, i := range w.order() {
		n := w.Nodes[i]
		line := fmt.Sprintf("%6s ms  node %3d", milliseconds(n.At), i+1)
		switch {
		case !n.Heard:
			line = fmt.Sprintf("    never  node %3d", i+1)
		case n.Hops == 0:
			line += "  says it"
		default:
			line += fmt.Sprintf("  %-7s  from node %d", hops(n.Hops), n.From+1)
		}
		if _, err := fmt.Fprintln(to, line); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(to, "\n%s\n", w.summary())
	return err
}

// order returns the nodes in the order in which they heard the news. Nodes that have not
// heard it come last.
func (w *Wave) order() []int {
	order := make([]int, len(w.Nodes))
	for i := range order {
		order[i] = i
	}
	at := func(i int) time.Duration {
		if n := w.Nodes[i]; n.Heard {
			return n.At
		}
		return math.MaxInt64
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(at(a), at(b)) })
	return order
}

func (w *Wave) summary() string {
	furthest := 0
	for _, n := range w.Nodes {
		furthest = max(furthest, n.Hops)
	}
	return fmt.Sprintf("Reached %d of %d nodes in %s ms and %s: %d messages, %d copies dropped.",
		w.reached(), len(w.Nodes), milliseconds(w.last()), hops(furthest), w.heard, w.copies)
}

func hops(n int) string {
	if n == 1 {
		return "1 hop"
	}
	return fmt.Sprintf("%d hops", n)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond))
}
