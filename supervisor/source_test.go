package supervisor

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// sources parses the package's files without its tests.
func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]*ast.File)
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files[name] = f
		}
	}
	if len(files) < 10 {
		t.Fatalf("got %d source files, want the whole package", len(files))
	}
	return files
}

// unused fails when the package selects one of the names: x.Name.
func unused(t *testing.T, names ...string) {
	t.Helper()
	for file, where := range selected(t, names...) {
		t.Errorf("%s uses %v; the rule is not to", file, where)
	}
}

// selected returns the selected names by file.
func selected(t *testing.T, names ...string) map[string][]string {
	t.Helper()
	found := make(map[string][]string)
	for file, f := range sources(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				for _, name := range names {
					if s.Sel.Name == name {
						found[file] = append(found[file], name)
					}
				}
			}
			return true
		})
	}
	return found
}
