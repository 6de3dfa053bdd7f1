package main

import (
	"bytes"
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// printTree writes the nth look at a tree. While watching on a terminal, each
// look takes the place of the one before.
func printTree(a *app, t *inspect.Tree, asJSON, watch bool, n int) error {
	if asJSON {
		return a.printJSON(t)
	}
	var b bytes.Buffer
	o := inspect.TextOptions{Colour: a.outTerminal && os.Getenv("NO_COLOR") == ""}
	switch {
	case watch && a.outTerminal:
		width, height := screen(a)
		o.Width = width
		if err := inspect.Text(&b, *t, o); err != nil {
			return err
		}
		text := firstLines(b.Bytes(), height-1)
		_, err := fmt.Fprintf(a.out, "\x1b[H\x1b[2J%s", text)
		return err
	case watch && n > 1:
		b.WriteByte('\n')
	}
	if err := inspect.Text(&b, *t, o); err != nil {
		return err
	}
	_, err := a.out.Write(b.Bytes())
	return err
}

// screen is the size of the terminal, or a usual one when it does not say.
func screen(a *app) (width, height int) {
	if f, ok := a.out.(*os.File); ok {
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
