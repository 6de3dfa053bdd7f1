package onion

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestExample runs the example tor against the private network.
func TestExample(t *testing.T) {
	n := network(t)
	program := filepath.Join(t.TempDir(), "example")
	if out, err := exec.Command("go", "build", "-o", program, "../../examples/tor").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(),
		"TOR_CONTROL="+n.Clients[0].Control, "TOR_COOKIE="+n.Clients[0].Cookie,
		"TOR_CONTROL2="+n.Clients[1].Control, "TOR_COOKIE2="+n.Clients[1].Cookie)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), problems.String())
	}
	for _, want := range []string{
		`(?m)^[0-9a-f]{26} is /onion3/[a-z2-7]{56}:18141\n[0-9a-f]{26} is /onion3/[a-z2-7]{56}:18141$`,
		`(?m)^Bob heard "Hello, Bob!" from [0-9a-f]{26}, \d+\.\d s after Alice began\.$`,
		`(?m)^All that Bob knows of where Alice is: /unix/onion$`,
	} {
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("got\n%swant %s", out.String(), want)
		}
	}
}
