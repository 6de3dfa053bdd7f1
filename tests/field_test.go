package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// fieldTest is a test that docs/field.md names, with its folder.
var fieldTest = regexp.MustCompile("`(Test\\w+)(?:/(\\w+))?` \\(`([\\w./]+)`")

// TestFieldTestsExist: each test that docs/field.md names is in the folder that it names.
func TestFieldTestsExist(t *testing.T) {
	page, err := os.ReadFile("../docs/field.md")
	if err != nil {
		t.Fatal(err)
	}
	named := fieldTest.FindAllStringSubmatch(string(page), -1)
	if all := strings.Count(string(page), "`Test"); len(named) != all || all == 0 {
		t.Errorf("got %d tests with a folder, want all %d", len(named), all)
	}
	for _, m := range named {
		test, script, dir := m[1], m[2], filepath.Join("..", m[3])
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, file := range files {
			b, err := os.ReadFile(file)
			found = found || err == nil && strings.Contains(string(b), "\nfunc "+test+"(")
		}
		if script != "" {
			_, err := os.Stat(filepath.Join(dir, "testdata", "script", script+".txtar"))
			found = found && err == nil
		}
		if !found {
			t.Errorf("got no %s in %s", m[0], dir)
		}
	}
}
