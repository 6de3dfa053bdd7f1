package main

import (
	"fmt"
	"html"
	"strings"
	"unicode/utf8"
)

// The measures of the picture in pixels. A character of the usual fonts is 0.6 of their
// size wide; textLength makes every font that wide, so that columns stay columns.
const (
	fontSize  = 12
	character = 7.2
	lineStep  = 16
	border    = 16
	bar       = 28 // above the text, with the command
)

// draw returns text as the picture of a terminal in which gamelan demo has printed it.
func draw(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	columns := 0
	for _, l := range lines {
		columns = max(columns, utf8.RuneCountInString(l))
	}
	width, height := int(float64(columns)*character)+2*border, len(lines)*lineStep+2*border+bar
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="What gamelan demo prints">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" rx="8" fill="#1b1f27"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace" font-size="%d" fill="#d7dce5" xml:space="preserve">`+"\n", fontSize)
	fmt.Fprintf(&b, `<text x="%d" y="%d" fill="#8b93a3">$ gamelan demo</text>`+"\n", border, bar-4)
	for i, l := range lines {
		if l == "" {
			continue
		}
		style := ""
		if s := colour(l); s != "" {
			style = ` fill="` + s + `"`
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" textLength="%.1f" lengthAdjust="spacingAndGlyphs"%s>%s</text>`+"\n",
			border, bar+border+i*lineStep+fontSize, float64(utf8.RuneCountInString(l))*character, style, spaces(html.EscapeString(l)))
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}

// spaces keeps runs of spaces, which a viewer that does not know xml:space would join.
func spaces(s string) string { return strings.ReplaceAll(s, "  ", "\u00a0\u00a0") }

// colour returns the colour of a line that a reader should find, or "".
func colour(line string) string {
	switch {
	case strings.HasPrefix(line, "ACTOR "), strings.HasPrefix(line, "  TO "):
		return "#8b93a3"
	case strings.HasPrefix(line, "Killed "):
		return "#f0746c"
	case strings.HasPrefix(line, "Healed "), strings.HasPrefix(line, "Back, "), strings.HasPrefix(line, "["):
		return "#7fd18b"
	case strings.Contains(line, "─ handler "):
		return "#f2c55c"
	}
	return ""
}
