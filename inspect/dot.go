package inspect

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// fills are the colours of the states in a drawing.
var fills = map[State]string{
	Starting: "#d6eaf8", Running: "#ffffff", Busy: "#d5f5e3", Suspended: "#fcf3cf", Restarting: "#fcf3cf",
	BackingOff: "#fdebd0", Stopping: "#d6eaf8", Stuck: "#f5b7b1", Failed: "#f5b7b1", Unsupervised: "#eeeeee",
}

// Dot writes the tree in the language of Graphviz: gamelan tree --format dot |
// dot -Tsvg.
func Dot(w io.Writer, t Tree) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, "digraph gamelan {\n\trankdir=LR;\n\tnode [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\", fontsize=10];\n")
	for i := range t.Branches {
		t.Branches[i].walk(func(b *Branch) {
			a := &b.Actor
			label := []string{ShortName(a.Name), string(a.State)}
			if a.Mailbox.Depth > 0 {
				label = append(label, fmt.Sprintf("%d queued", a.Mailbox.Depth))
			}
			if a.Restarts > 0 {
				label = append(label, fmt.Sprintf("%d restarts", a.Restarts))
			}
			if a.Line != "" {
				label = append(label, a.Line)
			}
			fmt.Fprintf(out, "\t%s [label=%s, fillcolor=%q];\n", quote(a.ID), quote(label...), fills[a.State])
			for _, c := range b.Children {
				fmt.Fprintf(out, "\t%s -> %s;\n", quote(a.ID), quote(c.Actor.ID))
			}
			if b.Hidden > 0 {
				more := a.ID + "/…"
				fmt.Fprintf(out, "\t%s [label=%s, style=dashed];\n\t%s -> %s;\n",
					quote(more), quote(fmt.Sprintf("%d more", b.Hidden)), quote(a.ID), quote(more))
			}
		})
	}
	fmt.Fprintln(out, "}")
	return out.Flush()
}

// quote returns lines as one quoted string of Graphviz. Backslashes and quotes are its
// only special characters.
func quote(lines ...string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, l := range lines {
		if i > 0 {
			b.WriteString(`\n`)
		}
		b.WriteString(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(Escape(l)))
	}
	b.WriteByte('"')
	return b.String()
}
