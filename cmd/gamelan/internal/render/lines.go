package render

import (
	"fmt"
	"strings"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// nameWidth is the width of the names before the lines of [lines.about].
const nameWidth = 12

// lines collects sentences, and lines with a name each. On a terminal it breaks them at words.
type lines struct {
	strings.Builder
	width int // 0: there is no limit
}

// lines returns lines for standard output.
func (o *Output) lines() *lines { return &lines{width: o.columns()} }

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
		b.WriteString(wrapped(fmt.Sprintf("%-*s%s", nameWidth, name, inspect.Escape(text)), b.width, nameWidth) + "\n")
		name = ""
	}
}

func (b *lines) print(o *Output) error {
	_, err := fmt.Fprint(o.Out, b.String())
	return err
}
