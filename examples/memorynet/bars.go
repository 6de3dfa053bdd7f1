package main

import (
	"fmt"
	"os"
	"strings"
)

// bars shows how far the phases are: one line for each, which is drawn anew on a terminal
// and printed once, at its end, elsewhere.
type bars struct {
	out      *os.File
	terminal bool
	phase    string
	line     string
}

func newBars(out *os.File) *bars {
	info, err := out.Stat()
	return &bars{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// show shows the progress of a phase.
func (b *bars) show(phase string, done, of int) {
	if phase != b.phase {
		b.end()
	}
	const width = 40
	full := width * done / max(of, 1)
	b.phase, b.line = phase, fmt.Sprintf("%-12s [%s%s] %d of %d", phase, strings.Repeat("#", full), strings.Repeat(".", width-full), done, of)
	if b.terminal {
		fmt.Fprintf(b.out, "\r%s\x1b[K", b.line)
	}
}

// end ends the line of the phase.
func (b *bars) end() {
	switch {
	case b.phase == "":
	case b.terminal:
		fmt.Fprintln(b.out)
	default:
		fmt.Fprintln(b.out, b.line)
	}
	b.phase = ""
}
