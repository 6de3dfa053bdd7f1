package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// citedTests are tests of one package in docs/security.md: `TestA`, `TestB` (`package`).
	citedTests  = regexp.MustCompile("((?:`Test\\w+`(?:, )?)+) \\(`([\\w./-]+)`\\)")
	citedTest   = regexp.MustCompile("`(Test\\w+)`")
	citedScript = regexp.MustCompile("`([\\w-]+\\.txtar)`")
)

// TestArchSecurityTable finds every test that the threat model names, and every
// row of it has one.
func TestArchSecurityTable(t *testing.T) {
	doc, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(string(doc)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| attacker |") {
			continue
		}
		cited := citedTest.FindAllStringSubmatch(line, -1)
		scripts := citedScript.FindAllStringSubmatch(line, -1)
		if len(cited)+len(scripts) == 0 {
			t.Errorf("a row of docs/security.md names no test: %.80s", line)
		}
		for _, s := range scripts {
			if _, err := os.Stat(filepath.Join("../cmd/gamelan/testdata/script", s[1])); err != nil {
				t.Errorf("docs/security.md names a script that is not there: %v", err)
			}
		}
		for _, group := range citedTests.FindAllStringSubmatch(line, -1) {
			source := testsOf(t, group[2])
			for _, name := range citedTest.FindAllStringSubmatch(group[1], -1) {
				found++
				if !strings.Contains(source, "\nfunc "+name[1]+"(") {
					t.Errorf("docs/security.md names %s, which is not in %s", name[1], group[2])
				}
			}
		}
		found -= len(cited)
		if found != 0 {
			t.Errorf("a test in docs/security.md has no package behind it: %.80s", line)
			found = 0
		}
	}
}

// testsOf is the source of the tests of a package, by its path below the module.
func testsOf(t *testing.T, pkg string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}
