package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestFirstChange(t *testing.T) {
	const before = "package p\n\nfunc f(a, b int) bool {\n\treturn a < b && a+b > 1 // ü\n}\n"
	for after, want := range map[string]mutant{
		"package p\n\nfunc f(a, b int) bool {\n\treturn a <= b && a+b > 1 // ü\n}\n":               {Line: 4, Column: 11, From: "<", To: "<="},
		"package p\n\nfunc f(a, b int) bool {\n\treturn a < b || a+b > 1 // ü\n}\n":                {Line: 4, Column: 15, From: "&&", To: "||"},
		"package p\n\nfunc f(a, b int) bool {\n        return a < b &&\n a-b > 1 /* other */\n}\n": {Line: 4, Column: 19, From: "+", To: "-"},
		"package p\n\nfunc f(a, b int) bool {\n\treturn a < b && a+b > 2\n}\n":                     {Line: 4, Column: 24, From: "1", To: "2"},
	} {
		got, ok := firstChange([]byte(before), []byte(after))
		if !ok || got.Line != want.Line || got.Column != want.Column || got.From != want.From || got.To != want.To {
			t.Errorf("got %v, %+v, want %+v", ok, got, want)
		}
		if text := "return a < b && a+b > 1 // ü"; got.Text != text {
			t.Errorf("got line %q, want %q", got.Text, text)
		}
	}
	for after, want := range map[string]mutant{
		"var x = (a || (b)) && f(c)":   {Column: 11, From: "&&", To: "||"},
		"var x = ((a && (b)) || f(c))": {Column: 18, From: "&&", To: "||"},
	} {
		got, ok := firstChange([]byte("package p\nvar x = a && (b) && f(c)"), []byte("package p\n"+after))
		if !ok || got.Column != want.Column || got.From != want.From || got.To != want.To {
			t.Errorf("%s: got %v, %+v, want %+v", after, ok, got, want)
		}
	}
	if got, ok := firstChange([]byte(before), []byte(before)); ok {
		t.Errorf("the same twice: got %+v, want no change", got)
	}
}

func TestFindMutant(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a.go", "b.go"} {
		write(filepath.Join(root, "p", name), "package p\n\nvar a, b = &c, 1 + 2\n")
		write(filepath.Join(dir, name), "package p\n\nvar a, b = &c, 1 + 2\n")
	}
	j := job{Root: root, Pkg: "p"}
	if m, err := findMutant(j, dir); err == nil {
		t.Errorf("nothing changed: got %+v, want an error", m)
	}
	write(filepath.Join(dir, "b.go"), "package p\n\nvar a, b = &c, 1 - 2\n")
	if m, err := findMutant(j, dir); err != nil || m.File != "b.go" || m.Malformed || m.To != "-" {
		t.Errorf("got %+v, %v, want + made - in b.go", m, err)
	}
	write(filepath.Join(dir, "b.go"), "package p\n\nvar a, b = |c, 1 + 2\n")
	if m, err := findMutant(j, dir); err != nil || !m.Malformed {
		t.Errorf("got %+v, %v, want it malformed", m, err)
	}
}

func TestLargerSampleHoldsTheSmaller(t *testing.T) {
	small, large, other := job{Percent: 10, Seed: 8}, job{Percent: 40, Seed: 8}, job{Percent: 40, Seed: 9}
	n, moved := 0, 0
	for i := range 10_000 {
		m := mutant{File: "p/a.go", Line: i/20 + 1, Column: i%20 + 1, From: "<", To: "<="}
		if small.drawn(m) && !large.drawn(m) {
			t.Fatalf("%s is in the sample of 10 %% only", m.key())
		}
		if large.drawn(m) {
			n++
			if !other.drawn(m) {
				moved++
			}
		}
		if !(job{Percent: 100}).drawn(m) || (job{}).drawn(m) {
			t.Fatalf("%s: got all or none wrong", m.key())
		}
	}
	if n < 3800 || n > 4200 {
		t.Errorf("got %d of 10,000 drawn, want about 40 %%", n)
	}
	if moved < 2000 {
		t.Errorf("another seed: got %d of %d left out, want about 60 %%", moved, n)
	}
}

func TestLastWordCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if known, err := readLog(path); err != nil || len(known) != 0 {
		t.Fatalf("no log: got %v, %v", known, err)
	}
	m := mutant{File: "p/a.go", Line: 1, From: "<", To: "<=", Status: survived}
	n := m
	n.Line = 2
	for _, x := range []mutant{m, n} {
		if err := appendLog(path, x); err != nil {
			t.Fatal(err)
		}
	}
	m.Status, m.By = killed, "TestA"
	if err := appendLog(path, m); err != nil {
		t.Fatal(err)
	}
	known, err := readLog(path)
	if err != nil || len(known) != 2 || known[m.key()].Status != killed || known[n.key()].Status != survived {
		t.Errorf("got %v, %v, want the first one killed, the second survived", known, err)
	}
}

func TestReasons(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reasons")
	m := mutant{File: "p/a.go", Line: 9, From: "+", To: "-", Text: "x := a + b"}
	for text, good := range map[string]bool{
		"# remark\n\np/a.go | + → - | x := a + b\n\tOnly a capacity.\n": true,
		"p/a.go | + → - | x := a + b\nwithout an indent\n":              false,
		"\tno mutant before it\n":                                       false,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readReasons(path)
		if good != (err == nil) {
			t.Errorf("%q: got %v", text, err)
		}
		if good && (got[m.reasonKey()] == nil || got[m.reasonKey()].text != "Only a capacity.") {
			t.Errorf("got %v, want the reason", got)
		}
	}
}

func TestScore(t *testing.T) {
	four := result{Mutants: 4, Killed: 1, TimedOut: make([]mutant, 1), Survived: make([]mutant, 2)}
	for _, c := range []struct {
		of        result
		unchanged int
		want      string
	}{
		{result{}, 0, "100.0"},
		{four, 0, "50.0"},
		{four, 1, "66.7"},
		{four, 2, "100.0"},
		{result{Mutants: 1, Survived: make([]mutant, 1)}, 0, "0.0"},
		{result{Mutants: 1, Survived: make([]mutant, 1)}, 1, "100.0"},
	} {
		if got := fmt.Sprintf("%.1f", c.of.score(c.unchanged)); got != c.want {
			t.Errorf("%d mutants, %d unchanged: got %s, want %s", c.of.Mutants, c.unchanged, got, c.want)
		}
	}
}
