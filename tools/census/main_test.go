package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func TestTableComesBack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "census.md")
	began := time.Date(2026, 11, 25, 14, 0, 0, 0, time.UTC)
	want := table{code: "0123456789abcdef", runs: []result{
		{condition: "quiet", began: began, took: 170 * time.Second},
		{condition: "loaded", began: began.Add(time.Hour), took: 300 * time.Second, failed: []string{"TestA", "TestB/c"}},
	}}
	if err := want.write(file); err != nil {
		t.Fatal(err)
	}
	if got, err := readTable(file); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestTableThatIsNotThere(t *testing.T) {
	if got, err := readTable(filepath.Join(t.TempDir(), "none")); err != nil || got.code != "" || got.runs != nil {
		t.Errorf("got %+v, %v, want an empty table", got, err)
	}
}

func TestFailures(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out")
	const text = `ok  	github.com/gamelan-p2p/gamelan/dht	1.0s
--- FAIL: TestA (0.10s)
    --- FAIL: TestA/b (0.10s)
        FAIL: not a word of go test
--- FAIL: TestA (0.10s)
FAIL	github.com/gamelan-p2p/gamelan/tests	9.1s
panic: test timed out after 10m0s
FAIL
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := failures(file)
	if want := []string{"TestA", "TestA/b", "gamelan/tests", "panic: test timed out after 10m0s"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// repository makes one with a commit of these files.
func repository(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	put(t, dir, files)
	commit(t, dir)
	return dir
}

func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func commit(t *testing.T, dir string) {
	t.Helper()
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, {"-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "-qm", "all"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args, err, out)
		}
	}
}

func TestCodeOf(t *testing.T) {
	dir := repository(t, map[string]string{"a.go": "package a", "README.md": "a", "docs/b.txt": "b"})
	first, err := codeOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, map[string]string{"README.md": "more", "docs/census.md": "new"})
	if got, err := codeOf(dir); err != nil || got != first {
		t.Errorf("got %q, %v beside changed pages, want %q", got, err, first)
	}
	commit(t, dir)
	if got, err := codeOf(dir); err != nil || got != first {
		t.Errorf("got %q, %v after a commit of pages, want %q", got, err, first)
	}
	put(t, dir, map[string]string{"a.go": "package b"})
	if got, err := codeOf(dir); err == nil {
		t.Errorf("got %q with a changed file that is not committed, want an error", got)
	}
	commit(t, dir)
	if got, err := codeOf(dir); err != nil || got == first {
		t.Errorf("got %q, %v after a commit of code, want another code", got, err)
	}
}

// TestRunThatIsStopped sees that an interrupted run does not count, and that its processes end.
func TestRunThatIsStopped(t *testing.T) {
	dir := t.TempDir()
	ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	c := condition{name: "quiet", commands: [][]string{{"sh", "-c", "sleep 600 & wait"}}}
	if got, err := c.run(ctx, options{root: dir, logs: dir}, 1); err == nil {
		t.Errorf("got %+v, want an error", got)
	}
}

func TestRunThatFails(t *testing.T) {
	dir := t.TempDir()
	c := condition{name: "quiet", commands: [][]string{{"sh", "-c", "echo '--- FAIL: TestA (1s)'; exit 1"}, {"true"}}}
	got, err := c.run(t.Context(), options{root: dir, logs: dir}, 1)
	if err != nil || !reflect.DeepEqual(got.failed, []string{"TestA"}) {
		t.Errorf("got %+v, %v, want TestA", got, err)
	}
}
