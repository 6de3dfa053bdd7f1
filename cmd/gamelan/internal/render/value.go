package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// Value writes any value of the API: a line for each field, with its name.
func Value(o *Output, v json.RawMessage) error {
	if o.JSON {
		return o.PrintJSON(v)
	}
	d := json.NewDecoder(bytes.NewReader(v))
	d.UseNumber()
	n, err := readNode(d)
	if err != nil {
		return err
	}
	var b strings.Builder
	n.write(&b, "")
	_, err = io.WriteString(o.Out, b.String())
	return err
}

// node is a value of JSON whose fields keep their order.
type node struct {
	text   string // of a scalar
	fields []field
	list   []node
	empty  bool // an object or a list without anything
}

type field struct {
	name  string
	value node
}

func (n *node) scalar() bool { return n.fields == nil && n.list == nil && !n.empty }

// readNode reads the next value.
func readNode(d *json.Decoder) (n node, err error) {
	t, err := d.Token()
	if err != nil {
		return n, err
	}
	open, ok := t.(json.Delim)
	if !ok {
		n.text = inspect.Escape(fmt.Sprint(t))
		if t == nil {
			n.text = "-"
		}
		return n, nil
	}
	n.empty = !d.More()
	for d.More() {
		var f field
		if open == '{' {
			name, err := d.Token()
			if err != nil {
				return n, err
			}
			f.name = strings.ReplaceAll(inspect.Escape(fmt.Sprint(name)), "_", " ")
		}
		if f.value, err = readNode(d); err != nil {
			return n, err
		}
		if open == '{' {
			n.fields = append(n.fields, f)
		} else {
			n.list = append(n.list, f.value)
		}
	}
	_, err = d.Token() // its end
	return n, err
}

// write writes the value below others.
func (n *node) write(b *strings.Builder, indent string) {
	switch {
	case n.empty:
		b.WriteString(indent + "none\n")
	case n.scalar():
		b.WriteString(indent + n.text + "\n")
	case n.list != nil:
		for i := range n.list {
			if i > 0 && !n.list[i].scalar() {
				b.WriteByte('\n')
			}
			n.list[i].write(b, indent)
		}
	}
	width := 0
	for _, f := range n.fields {
		if f.value.scalar() || f.value.empty {
			width = max(width, len(f.name))
		}
	}
	for _, f := range n.fields {
		switch v := &f.value; {
		case v.empty:
			fmt.Fprintf(b, "%s%-*s  none\n", indent, width, f.name)
		case v.scalar():
			fmt.Fprintf(b, "%s%-*s  %s\n", indent, width, f.name, v.text)
		default:
			b.WriteString(indent + f.name + "\n")
			v.write(b, indent+"  ")
		}
	}
}
