package render

import (
	"bytes"
	"strings"
	"testing"
)

func TestWrapped(t *testing.T) {
	long := strings.Repeat("x", 30)
	for _, c := range []struct {
		name, text    string
		width, indent int
		want          string
	}{
		{"short", "one two", 20, 2, "one two"},
		{"no limit", strings.Repeat("word ", 40), 0, 2, strings.Repeat("word ", 40)},
		{"sentence", "one two three four five", 11, 2, "one two\n  three\n  four five"},
		{"exactly", "one two three", 7, 0, "one two\nthree"},
		{"named", "name        one two three", 20, 12, "name        one two\n            three"},
		{"long name", "connections one two three", 20, 12, "connections one two\n            three"},
		{"below a name", "            one two three", 20, 12, "            one two\n            three"},
		{"several lines", "one two\nthree four five", 10, 2, "one two\nthree four\n  five"},
		{"long word", "see " + long + " b", 10, 2, "see\n  " + long + "\n  b"},
		{"long word first", long + " b c", 10, 2, long + "\n  b c"},
		{"runes", "äöü äöü äöü", 7, 0, "äöü äöü\näöü"},
		{"command in quotes", `see "gamelan why --data-dir a bob" and more`, 24, 2, "see\n  \"gamelan why --data-dir a bob\"\n  and more"},
		{"command at the end", "Look at it with: gamelan why --data-dir a bob", 24, 2, "Look at it with:\n  gamelan why --data-dir a bob"},
		{"command that fits", `Next: "gamelan tree" shows it`, 22, 2, "Next: \"gamelan tree\"\n  shows it"},
	} {
		if got := wrapped(c.text, c.width, c.indent); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

// TestWrapsOnlyForTerminals writes the same lines to a terminal and elsewhere.
func TestWrapsOnlyForTerminals(t *testing.T) {
	text := strings.TrimSpace(strings.Repeat("word ", 30))
	for _, terminal := range []bool{true, false} {
		var out, err bytes.Buffer
		o := &Output{Out: &out, Err: &err, OutTerminal: terminal, ErrTerminal: terminal, Columns: 40}
		if err := o.Say(text); err != nil {
			t.Fatal(err)
		}
		o.Complain(text)
		o.Note("%s", text)
		b := o.lines()
		b.about("name", text)
		if err := b.print(o); err != nil {
			t.Fatal(err)
		}
		all := strings.Split(strings.TrimSpace(out.String()+err.String()), "\n")
		if got := widest(all); terminal && got > 40 || !terminal && len(all) != 4 {
			t.Errorf("terminal %v: got %d lines with up to %d characters", terminal, len(all), got)
		}
	}
}
