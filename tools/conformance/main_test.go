package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const list = `# A checklist

Area: demo
Claimed: 1-2, 4
Later: 3

## A. Things
1. One thing.
2. Another.
3. A third.
   1. Not an item, since it is indented.
4. The last.
`

func TestRun(t *testing.T) {
	const cited = `package p

import "testing"

// TestOne proves it.
//
// conforms: demo 1
func TestOne(t *testing.T) {
	// conforms: demo 2 (inside)
	t.Log("a case")
}
`
	tests := []struct {
		name, test, want string
		fails            bool
	}{
		{"missing", cited, "demo: claimed without a test: 4", true},
		{"complete", cited + "\n// conforms: demo 4\nfunc FuzzFour(f *testing.F) {}\n", "", false},
		{"unknown number", cited + "\n// conforms: demo 4, 5\nvar x = 1\n", "p/a_test.go:13 x: cites demo 5, which does not exist", true},
		{"unknown area", cited + "\n// conforms: demo 4; other 1\nvar x = 1\n", `there is no checklist "other"`, true},
		{"unreadable", cited + "\n// conforms: demo four\nvar x = 1\n", "is no number", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			write(t, filepath.Join(root, "docs/conformance/demo.md"), list)
			write(t, filepath.Join(root, "docs/conformance/README.md"), "No checklist.\n\n1. A list all the same.\n")
			write(t, filepath.Join(root, "p/a_test.go"), tt.test)
			var out strings.Builder
			err := run(&out, root, true, false)
			if (err != nil) != tt.fails || !strings.Contains(out.String(), tt.want) {
				t.Errorf("got error %v and output %q, want %q and failure %v", err, out.String(), tt.want, tt.fails)
			}
		})
	}
}

func TestReportNamesTests(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "docs/conformance/demo.md"), list)
	write(t, filepath.Join(root, "p/a_test.go"), "package p\n\n// conforms: demo 1-2\nfunc TestOne(t *testing.T) {}\n")
	var out strings.Builder
	if err := run(&out, root, false, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"demo 1  One thing.\n    p/a_test.go:3 TestOne", "demo 3  A third.  (not claimed)", "demo 4  The last.  MISSING", "2 of 3 claimed items have a test; missing: 4"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got no %q in\n%s", want, out.String())
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
