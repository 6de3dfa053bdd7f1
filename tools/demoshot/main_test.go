package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPicture compares the picture in docs with what is drawn of the recorded text.
func TestPicture(t *testing.T) {
	if err := run("../..", true); err != nil {
		t.Error(err)
	}
}

// TestCheck has -check find a picture of another text.
func TestCheck(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "docs"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"demo.txt": "one\n", "demo.svg": draw("two\n")} {
		if err := os.WriteFile(filepath.Join(root, "docs", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(root, true); err == nil || !strings.Contains(err.Error(), "docs/demo.svg") {
		t.Errorf("got %v, want that the picture is stale", err)
	}
}

// TestDraw reads a picture as XML: every line that is not empty is there, with its spaces and
// signs.
func TestDraw(t *testing.T) {
	picture := draw("a <b> & c\n\nHealed    d\n│  └─ handler  ● 1\n")
	var texts []string
	for d := xml.NewDecoder(strings.NewReader(picture)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := token.(xml.CharData); ok && strings.TrimSpace(string(c)) != "" {
			texts = append(texts, strings.ReplaceAll(string(c), "\u00a0", " "))
		}
	}
	want := "$ gamelan demo|a <b> & c|Healed    d|│  └─ handler  ● 1"
	if got := strings.Join(texts, "|"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !strings.Contains(picture, `fill="#7fd18b">Healed`) {
		t.Errorf("Healed has no colour in:\n%s", picture)
	}
}
