package main

import (
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
)

// TestShortHelp parses every command of the short help, which fits 80 columns.
func TestShortHelp(t *testing.T) {
	commands := 0
	for line := range strings.Lines(shortHelp) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("got %d columns, want at most 80: %s", n, line)
		}
		command, ok := strings.CutPrefix(line, "  gamelan ")
		if !ok {
			continue
		}
		command, _, _ = strings.Cut(command, "   ")
		commands++
		_, parser, err := newParser(&app{Output: &render.Output{Out: io.Discard, Err: io.Discard}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(strings.Fields(command)); err != nil {
			t.Errorf("gamelan %s: %v", command, err)
		}
	}
	if commands < 5 {
		t.Errorf("got %d commands, want the first ones of a new user", commands)
	}
}
