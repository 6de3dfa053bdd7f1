package processes

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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

// TestInstallModule pastes the block of docs/install.md that makes a module with the library, with
// examples/first as the program.
func TestInstallModule(t *testing.T) {
	t.Parallel()
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
	sh.Env = append(os.Environ(), "GOSUMDB=off", "GOFLAGS=-mod=mod -ldflags=-w", "GOWORK=off") // fetches go.mod files that a build of the repository does not need
	var stderr strings.Builder
	sh.Stderr = &stderr
	out, err := sh.Output()
	if strings.Contains(stderr.String(), "dial tcp") {
		t.Skip("no network: ", stderr.String())
	}
	if err != nil || string(out) != "confirmed\nhello, Alice\n" {
		t.Errorf("got %q, %v, want what the first program prints; stderr: %s", out, err, &stderr)
	}
}
