package processes

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// module is the root of the repository.
func module(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// TestExamples runs each program of examples/README.md with the arguments that stand there, and
// looks for the files that it writes. The page names every example.
func TestExamples(t *testing.T) {
	page, err := os.ReadFile("../../examples/README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string][]string{}
	for _, m := range regexp.MustCompile("(?m)go run \\./examples/(\\w+)([^`#\n]*)").FindAllStringSubmatch(string(page), -1) {
		lines[m[1]] = strings.Fields(m[2]) // the last line has most arguments
	}
	dirs, err := filepath.Glob("../../examples/*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", bin, "./examples/...")
	build.Dir = module(t)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, dir := range dirs {
		name := filepath.Base(filepath.Dir(dir))
		args, ok := lines[name]
		if !ok || !strings.Contains(string(page), "("+name+"/main.go)") {
			t.Errorf("examples/README.md has no row or no command for %s", name)
			continue
		}
		if name == "tor" { // run by tests/tor
			continue
		}
		t.Run(name, func(t *testing.T) {
			if name == "chat" {
				chat(t, filepath.Join(bin, name))
				return
			}
			cmd := exec.CommandContext(t.Context(), filepath.Join(bin, name), args...)
			cmd.Dir = t.TempDir()
			if out, err := cmd.CombinedOutput(); err != nil || len(out) == 0 {
				t.Fatalf("%s %q: %v:\n%s", name, args, err, out)
			}
			for i, arg := range args {
				if arg != "-svg" && arg != "-html" {
					continue
				}
				if b, err := os.ReadFile(filepath.Join(cmd.Dir, args[i+1])); err != nil || !strings.Contains(string(b), "<svg") {
					t.Errorf("%s: got %d bytes, %v, want a picture", args[i+1], len(b), err)
				}
			}
		})
	}
}

// chat runs both sides of examples/chat: the friend joins by the line that the first side
// writes, and what he types arrives.
func chat(t *testing.T, path string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	side := func(args ...string) (io.WriteCloser, *bufio.Scanner) {
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Dir = t.TempDir()
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cancel()
			_ = cmd.Wait() // it was killed
		})
		return in, bufio.NewScanner(out)
	}
	_, alice := side("-dir", "alice", "-listen", "/ip4/127.0.0.1/tcp/0")
	if !alice.Scan() {
		t.Fatal(alice.Err())
	}
	words := strings.Fields(alice.Text())
	bob, _ := side("-dir", "bob", "-friend", words[len(words)-1])
	if _, err := io.WriteString(bob, "hello alice\n"); err != nil {
		t.Fatal(err)
	}
	if !alice.Scan() || !strings.HasSuffix(alice.Text(), ": hello alice") {
		t.Errorf("got %q, %v, want what bob has typed", alice.Text(), alice.Err())
	}
}

// TestInstallModule pastes the block of docs/install.md that makes a module with the library, with
// examples/first as the program.
func TestInstallModule(t *testing.T) {
	blocks := shellBlocks(t, "docs/install.md")
	i := slices.IndexFunc(blocks, func(b string) bool { return strings.Contains(b, "go mod init") })
	if i < 0 || !strings.Contains(blocks[i], "=/path/to/gamelan\n") {
		t.Fatalf("docs/install.md has no block that makes a module in %q", blocks)
	}
	dir := t.TempDir()
	program, err := os.ReadFile("../../examples/first/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), program, 0o600); err != nil {
		t.Fatal(err)
	}
	sh := exec.CommandContext(t.Context(), "bash", "-e", "-c", strings.ReplaceAll(blocks[i], "/path/to/gamelan", module(t)))
	sh.Dir = dir
	sh.Env = append(os.Environ(), "GOPROXY=off", "GOSUMDB=off", "GOFLAGS=-mod=mod", "GOWORK=off") // what the repository needs is there
	out, err := sh.Output()
	if err != nil || string(out) != "confirmed\nhello, Alice\n" {
		t.Errorf("got %q, %v, want what the first program prints", out, err)
	}
}
