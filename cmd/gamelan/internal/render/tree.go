package render

import (
	"bytes"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// Tree writes the nth picture of a tree. With watch on a terminal, each picture replaces
// the last one.
func Tree(o *Output, t *inspect.Tree, asJSON, watch bool, n int) error {
	if asJSON {
		return o.PrintJSON(t)
	}
	o.PeersNamed(t.Branches)
	var b bytes.Buffer
	opts := inspect.TextOptions{Colour: o.Colour(), Width: o.columns()}
	switch {
	case watch && o.Moves():
		if err := inspect.Text(&b, *t, opts); err != nil {
			return err
		}
		return o.redraw(b.Bytes())
	case watch && n > 1:
		b.WriteByte('\n')
	}
	if err := inspect.Text(&b, *t, opts); err != nil {
		return err
	}
	text := b.String()
	if ASCII() {
		text = asASCII.Replace(text)
	}
	return Styled(o.Out, text)
}

// redraw replaces what is on the terminal by as much of a text as fits.
func (o *Output) redraw(text []byte) error {
	_, height := screen(o.Out)
	if err := Control(o.Out, "\x1b[H\x1b[2J"); err != nil {
		return err
	}
	return Styled(o.Out, string(firstLines(text, height-1)))
}

// redrawKeys is redraw for a terminal that gives each key at once: there a line feed does not begin a line. footer is the
// last line.
func (o *Output) redrawKeys(text []byte, footer string) error {
	_, height := screen(o.Out)
	if err := Control(o.Out, "\x1b[H\x1b[2J"); err != nil {
		return err
	}
	for line := range strings.Lines(string(firstLines(text, height-2))) {
		if err := Styled(o.Out, strings.TrimSuffix(line, "\n")); err != nil {
			return err
		}
		if err := Control(o.Out, "\r\n"); err != nil {
			return err
		}
	}
	return Styled(o.Out, shortText(footer, o.columns()))
}

// PeersNamed puts the names or keys of peers in place of their node ids in the names of
// actors and in their lines.
func (o *Output) PeersNamed(all []inspect.Branch) {
	for i := range all {
		a := &all[i].Actor
		a.Name, a.Line = o.ActorNamed(a.Name), o.Named(a.Line)
		o.PeersNamed(all[i].Children)
	}
}

// columns returns how many characters fit a line of standard output; 0: it is no terminal,
// and nothing is cut.
func (o *Output) columns() int { return o.columnsOf(o.Out, o.OutTerminal) }

// errColumns is columns for standard error.
func (o *Output) errColumns() int { return o.columnsOf(o.Err, o.ErrTerminal) }

func (o *Output) columnsOf(out io.Writer, terminal bool) int {
	switch {
	case !terminal:
		return 0
	case o.Columns > 0:
		return o.Columns
	}
	width, _ := screen(out)
	return width
}

// screen returns the size of the terminal, or a usual size if it is unknown.
func screen(out io.Writer) (width, height int) {
	if t, ok := out.(*Terminal); ok {
		out = t.file
	}
	if f, ok := out.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 0 && h > 1 {
			return w, h
		}
	}
	return 80, 24
}

// firstLines cuts text to n lines.
func firstLines(text []byte, n int) []byte {
	for i, c := range text {
		if c == '\n' {
			if n--; n == 0 {
				return text[:i+1]
			}
		}
	}
	return text
}
