package render

import (
	"fmt"
	"strings"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// nameWidth is the usual width of the names before the lines of [lines.about].
const nameWidth = 12

// lines collects sentences, and lines with a name each. On a terminal it breaks them at words.
type lines struct {
	strings.Builder
	width int // 0: there is no limit
	names int // width of the names
}

// lines returns lines for standard output.
func (o *Output) lines() *lines { return &lines{width: o.columns(), names: nameWidth} }

// head adds the summary of a part of the DHT. Without the DHT there is nothing more to say
// than how to start it: then head adds that and returns false.
func (b *lines) head(summary string, on bool) bool {
	b.sentence(summary)
	if !on {
		b.sentence("Next: " + api.NoDHTHint + ".")
	}
	return on
}

// sentence adds a sentence.
func (b *lines) sentence(text string) {
	b.WriteString(wrapped(inspect.Escape(text), b.width, sentenceIndent) + "\n")
}

// about adds lines on one thing. The first begins with its name.
func (b *lines) about(name string, texts ...string) {
	for _, text := range texts {
		b.WriteString(wrapped(fmt.Sprintf("%-*s%s", b.names, name, inspect.Escape(text)), b.width, b.names) + "\n")
		name = ""
	}
}

// in is about for one text, in a colour, which begins behind the name.
func (b *lines) in(o *Output, colour, name, text string) {
	wrappedText := wrapped(fmt.Sprintf("%-*s%s", b.names, name, inspect.Escape(text)), b.width, b.names)
	for i, line := range strings.Split(wrappedText, "\n") {
		if i == 0 {
			line = line[:b.names] + o.Paint(colour, line[b.names:])
		} else {
			line = strings.Repeat(" ", b.names) + o.Paint(colour, strings.TrimLeft(line, " "))
		}
		b.WriteString(line + "\n")
	}
}

// aboutf adds a line on one thing, with its name.
func (b *lines) aboutf(name, format string, args ...any) { b.about(name, fmt.Sprintf(format, args...)) }

func (b *lines) print(o *Output) error {
	return Styled(o.Out, b.String())
}
