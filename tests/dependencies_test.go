package tests

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// requireLine is a direct requirement in go.mod; indirect ones carry a comment.
var requireLine = regexp.MustCompile(`(?m)^(?:require\s+|\t)(\S+) v\S+$`)

// TestDependenciesAreExplained holds go.mod against the table of
// docs/adr/0005-dependencies.md and the rules of the architecture test: a
// direct dependency has a line in both.
func TestDependenciesAreExplained(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	adr, err := os.ReadFile("../docs/adr/0005-dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	direct := requireLine.FindAllStringSubmatch(string(mod), -1)
	if len(direct) == 0 {
		t.Fatal("got no direct dependency in go.mod, want the ones that the code imports")
	}
	for _, m := range direct {
		path := m[1]
		if !strings.Contains(string(adr), "| "+strings.TrimPrefix(path, "github.com/")+" |") {
			t.Errorf("got %s in go.mod without a line in docs/adr/0005-dependencies.md, want its reason", path)
		}
		ruled := false
		for prefix := range confined {
			ruled = ruled || prefix == path || strings.HasPrefix(prefix, path+"/")
		}
		if !ruled {
			t.Errorf("got %s in go.mod without a rule in tests/arch_test.go, want the folders that may import it", path)
		}
	}
}
