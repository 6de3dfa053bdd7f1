package render

import (
	"os"
	"strings"
)

// The colours of what is wrong. What is as it should be has none.
const (
	red    = "\x1b[31m" // offline, failed
	yellow = "\x1b[33m" // degraded, away, a warning
	plain  = "\x1b[0m"
)

// dumb reports whether terminals understand no control sequences.
func dumb() bool { return os.Getenv("TERM") == "dumb" }

// Colour reports whether text on standard output may have colours: it is a terminal that knows
// them, and the user has not set NO_COLOR.
func (o *Output) Colour() bool {
	return o.OutTerminal && !dumb() && os.Getenv("NO_COLOR") == ""
}

// Moves reports whether the cursor of the terminal on standard output can be moved, so that a
// screen replaces the one before.
func (o *Output) Moves() bool { return o.OutTerminal && !dumb() }

// ErrMoves is Moves for standard error.
func (o *Output) ErrMoves() bool { return o.ErrTerminal && !dumb() }

// Paint returns text, which has nothing to be escaped, in a colour. "" is no colour.
func (o *Output) Paint(colour, text string) string {
	if colour == "" || text == "" || !o.Colour() {
		return text
	}
	return colour + text + plain
}

// ASCII reports whether the locale has no other characters. A locale that is not set says nothing.
func ASCII() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			v = strings.ToLower(strings.ReplaceAll(v, "-", ""))
			return !strings.Contains(v, "utf8")
		}
	}
	return false
}

// asASCII puts ASCII in place of the characters that this program draws with.
var asASCII = strings.NewReplacer(
	"├─", "|-", "└─", "`-", "│", "|", "─", "-", "…", "~", "–", "-", "·", "-", "→", ">",
	"◌", "o", "●", "*", "◉", "*", "‖", "=", "↻", "@", "↺", "@", "◍", "o", "▲", "!", "✗", "x", "○", "o",
)
