package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// clockCalls read the system's clock, or make a number of a time or a time of a
// number, which is where a step of that clock does harm.
var clockCalls = []string{"Wall", "OnWall", "Unix", "UnixMilli", "UnixMicro", "UnixNano"}

// clockPrograms are folders whose processes are short, or tests, and what serves all. In
// clockInternal is what belongs to the node all the same.
var (
	clockPrograms = []string{"cmd", "examples", "gamelantest", "tests", "bench", "tools", "internal"}
	clockInternal = []string{
		"internal/actors", "internal/dht", "internal/kad", "internal/protocol", "internal/transport",
		"internal/nodeview", "internal/assemble", "internal/receive",
	}
)

// TestClockTable compares the table of docs/clock.md with the code: the
// files in it are those that make clockCalls, and its tests exist.
func TestClockTable(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/clock.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed, tests []string
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1) {
			switch {
			case strings.HasSuffix(m[1], ".go"):
				listed = append(listed, m[1])
			case strings.HasPrefix(m[1], "Test"):
				tests = append(tests, m[1])
			}
		}
	}
	if len(listed) < 10 || len(tests) < 10 {
		t.Fatalf("got %d files and %d tests in the table, want it read", len(listed), len(tests))
	}
	called, defined := clocksInCode(t)
	for _, file := range called {
		if !slices.Contains(listed, file) {
			t.Errorf("%s reads the system's clock or makes a number of a time: say in docs/clock.md what it holds and what a step does", file)
		}
	}
	for _, file := range listed {
		if !slices.Contains(called, file) {
			t.Errorf("%s stands in docs/clock.md, and does nothing of the kind: take it out", file)
		}
	}
	for _, name := range tests {
		if !slices.Contains(defined, name) {
			t.Errorf("docs/clock.md names %s, and there is no such test", name)
		}
	}
}

// clocksInCode returns the files of the module that make clockCalls and the names
// of its tests.
func clocksInCode(t *testing.T) (called, tests []string) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(filepath.ToSlash(path), "../")
		switch {
		case d.IsDir() && rel != ".." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(rel, ".go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if strings.HasSuffix(rel, "_test.go") {
			for _, decl := range file.Decls {
				if f, ok := decl.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Test") {
					tests = append(tests, f.Name.Name)
				}
			}
			return nil
		}
		if within(rel, clockPrograms) && !within(rel, clockInternal) || within(rel, []string{"internal/transport/transporttest"}) {
			return nil
		}
		found := false
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.SelectorExpr); ok && slices.Contains(clockCalls, call.Sel.Name) {
				found = true
			}
			return true
		})
		if found {
			called = append(called, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return called, tests
}
