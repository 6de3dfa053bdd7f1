package wave

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// Sizes in the units of the drawing.
const (
	radius = 21 // radius of a node
	apart  = 56 // minimum distance of two nodes on a ring
	rings  = 78 // minimum distance of two rings
	narrow = 680
	edge   = 28
	head   = 78 // height of the area above the rings
	foot   = 116
)

// SVG returns the picture. The node where the news began is in the middle, and each ring
// is one hop farther out. The line below shows the same nodes in time.
func (w *Wave) SVG() []byte {
	out := new(bytes.Buffer)
	l := w.layout()
	low, high := l.bounds()
	rim := max(0, narrow-(high.x-low.x)) / 2
	low.x, high.x = low.x-rim, high.x+rim
	width, middle := high.x-low.x, high.y-low.y
	height := head + middle + foot
	title := fmt.Sprintf("News among %d nodes with %d connections", len(w.Nodes), len(w.Links))
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" role="img">`+"\n", width, height)
	fmt.Fprintf(out, "<title>%s</title>\n%s", title, style)
	fmt.Fprintf(out, `<rect class="paper" width="%.0f" height="%.0f" rx="8"/>`+"\n", width, height)
	fmt.Fprintf(out, `<text class="title" x="%d" y="38">%s</text><text x="%d" y="61">%s</text>`+"\n", edge, title, edge, w.summary())
	fmt.Fprintf(out, `<svg y="%d" width="%.1f" height="%.1f" viewBox="%.1f %.1f %.1f %.1f">`+"\n", head, width, middle, low.x, low.y, width, middle)
	w.network(out, l)
	fmt.Fprintln(out, "</svg>")
	w.line(out, width, head+middle+46)
	legend(out, head+middle+92)
	fmt.Fprintln(out, "</svg>")
	return out.Bytes()
}

func (w *Wave) network(out io.Writer, l layout) {
	for hop, r := range l.rings[1:] {
		fmt.Fprintf(out, `<circle class="ring" r="%.1f"/>`+"\n", r)
		if hop+1 <= l.deepest {
			fmt.Fprintf(out, `<text class="hop" x="%.1f" y="%.1f">%s</text>`+"\n", l.words[hop+1].x, l.words[hop+1].y+4, hops(hop+1))
		}
	}
	for _, link := range w.Links {
		if a, b := link[0], link[1]; !w.first(a, b) && !w.first(b, a) {
			fmt.Fprintf(out, `<path class="link" d="M%sL%s"/>`+"\n", l.at[a], l.at[b])
		}
	}
	shares := w.shares()
	for i, n := range w.Nodes {
		if w.first(n.From, i) {
			fmt.Fprintf(out, `<path class="way" stroke="%s" d="M%sL%s"/>`+"\n", colour(shares[i]), l.at[n.From], l.at[i])
		}
	}
	for i, n := range w.Nodes {
		fmt.Fprintf(out, `<g transform="translate(%s)">`, l.at[i])
		if n.Heard {
			class := "node"
			if shares[i] > lateInk {
				class = "node late"
			}
			fmt.Fprintf(out, `<g class="%s"><circle r="%d" fill="%s"/><text class="number">%d</text><text class="when" y="13">%s</text></g>`,
				class, radius, colour(shares[i]), i+1, milliseconds(n.At))
		} else {
			fmt.Fprintf(out, `<g class="unreached"><circle r="%d"/><text class="number" y="5">%d</text></g>`, radius, i+1)
		}
		fmt.Fprintln(out, "</g>")
	}
}

// first reports whether the node heard the news for the first time over this link.
func (w *Wave) first(from, node int) bool {
	n := w.Nodes[node]
	return n.Heard && n.Hops > 0 && n.From == from
}

// line draws the time line from the first node to the last, with a mark for each node.
func (w *Wave) line(out io.Writer, width, y float64) {
	last := w.last()
	x := func(t time.Duration) float64 { return edge + (width-2*edge)*fraction(t, last) }
	fmt.Fprintf(out, `<path class="axis" d="M%d %.1fH%.1f"/>`+"\n", edge, y, width-edge)
	step := tick(last)
	for t := time.Duration(0); t <= last; t += step {
		unit := ""
		if t == 0 {
			unit = " ms"
		}
		fmt.Fprintf(out, `<path class="axis" d="M%.1f %.1fv5"/><text class="tick" x="%.1f" y="%.1f">%s%s</text>`+"\n", x(t), y, x(t), y+19, milliseconds(t), unit)
	}
	for i, share := range w.shares() {
		if n := w.Nodes[i]; n.Heard {
			fmt.Fprintf(out, `<path class="mark" stroke="%s" d="M%.1f %.1fv-20"/>`+"\n", colour(share), x(n.At), y-4)
		}
	}
}

func legend(out io.Writer, y float64) {
	fmt.Fprintf(out, `<path class="way" stroke="%s" d="M%d %.1fh24"/><text x="62" y="%.1f">came first, after so many ms</text>`+"\n", colour(0.6), edge+2, y-4, y)
	fmt.Fprintf(out, `<path class="link" d="M270 %.1fh26"/><text x="304" y="%.1f">connected too: what came here was a copy</text>`+"\n", y-4, y)
}
