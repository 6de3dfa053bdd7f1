package interop

import (
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// buildCommand builds the program of this project.
func buildCommand(t *testing.T) string {
	t.Helper()
	command := filepath.Join(t.TempDir(), "gamelan")
	if out, err := exec.Command("go", "build", "-o", command, "../../cmd/gamelan").CombinedOutput(); err != nil {
		t.Fatalf("build gamelan: %v\n%s", err, out)
	}
	return command
}

// The command that checks a node from outside finds that Tari's nodes keep
// every rule that holds for their release. This proves the checks: they say of
// the reference itself what they say of us.
//
// feature: the wire rules, checked from outside by "gamelan interop"
func TestWireRules(t *testing.T) {
	t.Parallel()
	command := buildCommand(t)
	// What does not apply: their node opens no substream to a stranger, and rc.5
	// does otherwise in what versions.md says.
	never := []string{"mux.own-ids"}
	inapplicable := map[string][]string{
		"6.2.0":      never,
		"1.0.0-rc.5": append([]string{"refused.dns-slash", "taken.addresses-0", "taken.loopback", "mux.fin-window"}, never...),
	}
	releases := map[string]string{"6.2.0": "6.2", "1.0.0-rc.5": "rc5"}
	against(t, func(t *testing.T, release string) {
		t.Parallel() // most of it is waiting for time limits
		// A peer that they have dialled is one that they list for others.
		p, known := startTariDHT(t, release), startTariDHT(t, release)
		p.knows(known.key, known.addr)
		p.must("dial", args{"peer": known.key.String()}, nil)
		out, err := exec.Command(command, "interop", "--json", "--slow",
			"--target", p.addr, "--key", p.key.String(), "--release", releases[release]).Output()
		if x := (*exec.ExitError)(nil); errors.As(err, &x) && len(out) == 0 {
			t.Fatalf("gamelan interop: %v: %s", err, x.Stderr)
		}
		var report struct {
			Passed, Failed int
			Blocked        string
			Checks         []struct {
				Check, Result, Expected, Got, Where, Note string
				Offset                                    *int
			}
		}
		if err := json.Unmarshal(out, &report); err != nil {
			t.Fatalf("report: %v in %s", err, out)
		}
		if err != nil || report.Blocked != "" || report.Passed < 80 {
			t.Errorf("got %v, blocked %q, %d passed, want success and more than 80 passed", err, report.Blocked, report.Passed)
		}
		for _, c := range report.Checks {
			want := "pass"
			if slices.Contains(inapplicable[release], c.Check) {
				want = "n/a"
			}
			if c.Result != want {
				t.Errorf("%s: got %s, want %s: %+v", c.Check, c.Result, want, c)
			}
			if c.Check == "peers.listed" && c.Note == "0 peers" {
				t.Error("peers.listed: got no peer, want the one that they have dialled")
			}
		}
	})
}
