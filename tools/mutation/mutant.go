package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

type status string

const (
	killed   status = "killed"
	survived status = "survived"
	timedOut status = "timed out"
	noBuild  status = "does not compile"
)

// mutant is one change of one operator.
type mutant struct {
	File         string // from the root of the repository
	Line, Column int
	From, To     string
	Text         string // the line, before
	Source       string // hash of the file, before
	Status       status
	By           string `json:",omitempty"` // the first test that failed, or how the program ended
	Seconds      int    // of the tests
	Malformed    bool   `json:"-"`
}

func (m mutant) key() string {
	return fmt.Sprintf("%s:%d:%d %s→%s", m.File, m.Line, m.Column, m.From, m.To)
}

// findMutant compares the copy of the package in dir with the package.
func findMutant(j job, dir string) (mutant, error) {
	files, err := filepath.Glob(filepath.Join(j.Root, j.Pkg, "*.go"))
	if err != nil {
		return mutant{}, err
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		before, err := os.ReadFile(file)
		if err != nil {
			return mutant{}, err
		}
		after, err := os.ReadFile(filepath.Join(dir, filepath.Base(file)))
		if err != nil {
			return mutant{}, err
		}
		if bytes.Equal(before, after) {
			continue
		}
		if m, ok := firstChange(before, after); ok {
			m.File = filepath.Base(file)
			_, err := parser.ParseFile(token.NewFileSet(), "", after, parser.SkipObjectResolution)
			m.Malformed = err != nil
			return m, nil
		}
	}
	return mutant{}, errors.New("the copy has no mutant; was a file edited during the run?")
}

// firstChange finds the first different token. Gremlins prints the whole file, so the layout
// may differ, and it adds parentheses where an operator now binds more weakly.
func firstChange(before, after []byte) (mutant, bool) {
	a, b := newTokens(before), newTokens(after)
	added := 0
	for {
		x, y := a.next(), b.next()
		for x.text != y.text && (y.text == "(" || y.text == ")" && added > 0) {
			if y.text == "(" {
				added++
			} else {
				added--
			}
			y = b.next()
		}
		if x.text != y.text {
			lines := strings.Split(string(before), "\n")
			return mutant{
				Line: x.at.Line, Column: x.at.Column, From: x.text, To: y.text,
				Text:   strings.TrimSpace(lines[x.at.Line-1]),
				Source: sourceHash(before),
			}, true
		}
		if x.kind == token.EOF {
			return mutant{}, false
		}
	}
}

type tokens struct {
	scanner scanner.Scanner
	file    *token.File
}

type textToken struct {
	kind token.Token
	text string
	at   token.Position
}

func newTokens(src []byte) *tokens {
	t := &tokens{}
	t.file = token.NewFileSet().AddFile("", -1, len(src))
	t.scanner.Init(t.file, src, nil, 0)
	return t
}

func (t *tokens) next() textToken {
	pos, kind, literal := t.scanner.Scan()
	text := kind.String()
	if kind.IsLiteral() {
		text = literal
	}
	return textToken{kind, text, t.file.Position(pos)}
}

// readLog returns the last entry of every mutant. A missing file counts as empty.
func readLog(path string) (map[string]mutant, error) {
	known := map[string]mutant{}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var m mutant
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		known[m.key()] = m
	}
	return known, lines.Err()
}

func appendLog(path string, m mutant) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(append(data, '\n'))
	return err
}

func slug(pkg string) string { return strings.ReplaceAll(pkg, "/", "-") }

// logOf returns the path of a package's log, which is not kept in the repository.
func logOf(root, pkg string) string {
	return filepath.Join(root, "tools/mutation/log", slug(pkg)+".jsonl")
}
