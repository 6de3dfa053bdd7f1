package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	action = regexp.MustCompile(`uses: +(\S+)`)
	pinned = regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40}$`)
)

// TestWorkflows: every action is pinned by its hash, no checkout leaves the token on the
// disk, and only a last job, which has no checkout, may write.
func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(files) < 2 {
		t.Fatalf("got %v, %v, want the workflows", files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		for _, m := range action.FindAllStringSubmatch(text, -1) {
			if !pinned.MatchString(m[1]) {
				t.Errorf("%s: got %s, want the hash of a commit", file, m[1])
			}
		}
		if checkouts, without := strings.Count(text, "actions/checkout@"), strings.Count(text, "persist-credentials: false"); checkouts != without {
			t.Errorf("%s: got %d checkouts, %d of them without credentials", file, checkouts, without)
		}
		if !strings.Contains(text, "\npermissions:\n  contents: read\n") {
			t.Errorf("%s: got other permissions for all jobs, want contents: read alone", file)
		}
		before, last, writes := strings.Cut(text, "    permissions:\n")
		switch {
		case strings.Contains(before, ": write"):
			t.Errorf("%s: got a write permission before the last job", file)
		case writes && (strings.Contains(last, "runs-on:") || strings.Contains(last, "actions/checkout@") || !strings.Contains(last, ": write")):
			t.Errorf("%s: got a job that may write and is not the last one, or has a checkout", file)
		}
	}
}

// TestUnitWritesNoCore: a core dump of the service would have its secret key.
func TestUnitWritesNoCore(t *testing.T) {
	b, err := os.ReadFile("../packaging/systemd/gamelan.service")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), "\nLimitCORE=0\n") {
		t.Error("got a unit that may dump core, want LimitCORE=0")
	}
}
