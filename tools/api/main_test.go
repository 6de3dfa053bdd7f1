package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sample has one declaration of each kind, and what must not show.
const sample = `package x

import "time"

const Limit = 3 * time.Second

const small = 1

var ErrGone error

type Alias = []byte

type Kind int

func (Kind) String() string { return "" }

func (Kind) hidden() {}

type Pair[K comparable, V any] struct {
	Key K
	V   V
	n   int
}

func (p *Pair[K, V]) Set(v V) { p.n += small }

type Reader interface {
	Read(into []byte) (n int, err error)
	mark()
}

type Box struct {
	Kind
	Items []string
}

func Open(name string, opts ...func(*Box)) (*Box, error) { return nil, nil }
`

const wanted = `const Limit time.Duration = 3000000000
field Box has unexported ones
field Box.Items []string
field Box.Kind, embedded
field Pair has unexported ones
field Pair.Key K
field Pair.V V
func Open(name string, opts ...func(*Box)) (*Box, error)
member Reader has unexported ones
member Reader.Read(into []byte) (n int, err error)
method (*Pair[K, V]).Set(v V)
method (Kind).String() string
type Alias = []byte
type Box is not comparable
type Box struct
type Kind int
type Pair is not comparable
type Pair[K comparable, V any] struct
type Reader interface
var ErrGone error
`

func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSnapshot(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{
		"go.mod": "module example.org/x\n\ngo 1.26.0\n", "x.go": strings.Replace(sample, "\tKind\n", "\tKind\n\tn int\n", 1),
		"a/b/b.go": "package b\n\nfunc F() {}\n", "internal/i/i.go": "package i\n\nfunc F() {}\n",
		"cmd/c/main.go": "package main\n\nfunc main() {}\n", "tests/t.go": "package tests\n\nfunc F() {}\n",
	})
	files, err := snapshot(root)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(files["x.txt"]); got != wanted {
		t.Errorf("got\n%s\nwant\n%s", got, wanted)
	}
	if got := string(files["a_b.txt"]); got != "func F()\n" {
		t.Errorf("a package further down: got %q, want its function", got)
	}
	if len(files) != 2 {
		t.Errorf("got %d files, want 2: internal, tests and programs are nobody's API", len(files))
	}
}

func TestCheckSaysWhatChangedAndHowToAcceptIt(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{
		"go.mod": "module example.org/x\n\ngo 1.26.0\n", "x.go": "package x\n\nfunc Old(n int) {}\n", "y/y.go": "package y\n\nfunc F() {}\n",
	})
	var out strings.Builder
	if err := run(&out, root, false); err != nil {
		t.Fatal(err)
	}
	if err := run(&out, root, true); err != nil || out.Len() != 0 {
		t.Fatalf("nothing changed: got %v and %q, want nothing", err, out.String())
	}
	write(t, root, map[string]string{"x.go": "package x\n\nfunc Old(n int64) {}\n"})
	if err := os.RemoveAll(filepath.Join(root, "y")); err != nil {
		t.Fatal(err)
	}
	err := run(&out, root, true)
	if err == nil || !strings.Contains(err.Error(), "make api") {
		t.Errorf("got %v, want an error that says how to accept the change", err)
	}
	for _, want := range []string{"x.txt: - func Old(n int)\n", "x.txt: + func Old(n int64)\n", "y.txt: - func F()\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %q without %q", out.String(), want)
		}
	}
	if err := run(&out, root, false); err != nil {
		t.Fatal(err)
	}
	if err := run(&out, root, true); err != nil {
		t.Errorf("accepted: got %v, want none", err)
	}
	if _, err := os.Stat(filepath.Join(root, "docs", "api", "y.txt")); err == nil {
		t.Error("the file of a package that is gone is still there")
	}
}
