package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The plot, in pixels: panels one below the other over the same time.
const (
	width, left, right = 900, 70, 20
	top, panelHeight   = 20, 130
	panelGap           = 46
	bottom             = 40
)

// style has colours that are readable on a light and on a dark page, and follows the viewer's
// colour scheme.
const style = `<style>
  text { font: 12px system-ui, sans-serif; fill: #444 }
  .title { font-weight: 600; fill: #222 }
  .grid { stroke: #8886; stroke-width: 1 }
  .line { fill: none; stroke-width: 1.5; stroke-linejoin: round }
  .paper { fill: #fff }
  .c0 { stroke: #1f6fb4 } .c1 { stroke: #c2570c } .c2 { stroke: #2a8a4a } .c3 { stroke: #8a4fbf }
  .k0 { fill: #1f6fb4 } .k1 { fill: #c2570c } .k2 { fill: #2a8a4a } .k3 { fill: #8a4fbf }
  @media (prefers-color-scheme: dark) {
    text { fill: #bbb } .title { fill: #eee } .paper { fill: #16181c }
    .c0 { stroke: #5aa9e6 } .c1 { stroke: #f0883e } .c2 { stroke: #56c273 } .c3 { stroke: #b98af0 }
    .k0 { fill: #5aa9e6 } .k1 { fill: #f0883e } .k2 { fill: #56c273 } .k3 { fill: #b98af0 }
  }
</style>
`

type panel struct {
	title string
	lines []line
}

type line struct {
	name   string
	values []float64
}

// panelsOf returns the panels of the plot.
func panelsOf(t table) []panel {
	const mib = 1 << 20
	memory := []line{{"resident, node and test", t.scaled("resident", mib)}, {"live heap", t.scaled("live", mib)}}
	for _, name := range t.names {
		if release, ok := strings.CutPrefix(name, "resident "); ok {
			memory = append(memory, line{"Tari " + release, t.scaled(name, mib)})
		}
	}
	return []panel{
		{"Messages a second", []line{{"ours, confirmed", t.rate("confirmed")}, {"theirs, heard", t.rate("heard")}}},
		{"Substreams and calls a second", []line{{"substreams", t.rate("substreams")}, {"calls", t.rate("our_calls", "their_calls")}}},
		{"Memory, MiB", memory},
		{"Goroutines", []line{{"goroutines", t.columns["goroutines"]}}},
		{"Open descriptors", []line{{"descriptors", t.columns["descriptors"]}}},
	}
}

func draw(t table) (string, error) {
	at := t.columns["seconds"]
	end := at[len(at)-1]
	if end <= 0 {
		return "", errors.New("got measurements of one moment, want more")
	}
	panels := panelsOf(t)
	height := top + len(panels)*(panelHeight+panelGap) + bottom
	var b strings.Builder
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"what the soak measured\">\n", width, height)
	b.WriteString(style)
	fmt.Fprintf(&b, "<rect class=\"paper\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n", width, height)
	for i, p := range panels {
		p.draw(&b, at, top+i*(panelHeight+panelGap)+24)
	}
	base := top + len(panels)*(panelHeight+panelGap)
	unit, name := 60.0, "minutes"
	if end < 300 {
		unit, name = 1, "seconds"
	}
	for at, step := 0.0, tick(end/unit); at <= end/unit; at += step {
		x := left + at*unit/end*(width-left-right)
		fmt.Fprintf(&b, "<text x=\"%.0f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n", x, base, at)
	}
	fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n</svg>\n", left+(width-left-right)/2, base+22, name)
	return b.String(), nil
}

func (p panel) draw(b *strings.Builder, at []float64, y int) {
	highest := 0.0
	for _, l := range p.lines {
		highest = max(highest, slices.Max(l.values))
	}
	highest = niceTop(highest)
	fmt.Fprintf(b, "<text class=\"title\" x=\"%d\" y=\"%d\">%s</text>\n", left, y-8, p.title)
	x := width - right
	for i := len(p.lines) - 1; i >= 0; i-- { // the legend, from the right
		fmt.Fprintf(b, "<text class=\"k%d\" x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", i, x, y-8, p.lines[i].name)
		x -= 7*len(p.lines[i].name) + 16
	}
	for k := range 3 {
		h := float64(y) + panelHeight*(1-float64(k)/2)
		fmt.Fprintf(b, "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
			left, h, width-right, left-8, h+4, strconv.FormatFloat(highest*float64(k)/2, 'f', -1, 64))
	}
	end := at[len(at)-1]
	for i, l := range p.lines {
		fmt.Fprintf(b, "<path class=\"line c%d\" d=\"", i)
		for k, v := range l.values {
			command := "L"
			if k == 0 {
				command = "M"
			}
			fmt.Fprintf(b, "%s%.1f %.1f", command, left+at[k]/end*(width-left-right), float64(y)+panelHeight*(1-v/highest))
		}
		b.WriteString("\"/>\n")
	}
}

// tick returns the distance of the marks on an axis of time, so that there are at most eight.
func tick(end float64) float64 {
	for _, step := range []float64{1, 2, 5, 10, 15, 30, 60} {
		if end/step <= 8 {
			return step
		}
	}
	return 60 * math.Ceil(end/8/60)
}
