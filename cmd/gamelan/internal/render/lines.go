package render

import (
	"fmt"
	"strings"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// lines collects a summary and, below it, lines with a name each.
type lines struct{ strings.Builder }

// head adds the summary of a part of the DHT. Without the DHT there is nothing more to say
// than how to start it: then head adds that and returns false.
func (b *lines) head(summary string, on bool) bool {
	fmt.Fprintln(b, inspect.Escape(summary))
	if !on {
		fmt.Fprintf(b, "Next: %s.\n", api.NoDHTHint)
	}
	return on
}

// about adds lines on one thing. The first begins with its name.
func (b *lines) about(name string, texts ...string) {
	for _, text := range texts {
		fmt.Fprintf(b, "%-12s%s\n", name, inspect.Escape(text))
		name = ""
	}
}

func (b *lines) print(o *Output) error {
	_, err := fmt.Fprint(o.Out, b.String())
	return err
}
