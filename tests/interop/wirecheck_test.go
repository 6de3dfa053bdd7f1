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
	// What does not apply: the newer release has given store and forward up, and opens no
	// substream to a stranger; the older one does otherwise in what versions.md says.
	inapplicable := map[string][]string{
		"6.2.0": {
			"mux.own-ids", "stored.answered", "stored.encrypted", "stored.malformed", "stored.owner", "stored.others",
			"stored.limit", "stored.order", "stored.kinds", "stored.since", "stored.asks", "stored.empty", "stored.skew",
			"stored.too-many", "stored.join", "stored.foreign", "stored.future", "stored.no-body", "stored.no-header",
			"stored.signature",
		},
		"1.0.0-rc.5": {
			"mux.own-ids", "refused.dns-slash", "taken.addresses-0", "taken.loopback", "mux.fin-window", "stored.since", "stored.skew",
		},
	}
	// It asks a new peer for stored messages only if it is told to.
	asks := map[string][]string{"1.0.0-rc.5": {"--dht-ask-stored", "true"}}
	// What may not apply, and why.
	depends := map[string]string{"join.relayed": "a node chooses whom it relays a Join to, and may leave out the check's node each time"}
	releases := map[string]string{"6.2.0": "6.2", "1.0.0-rc.5": "rc5"}
	against(t, func(t *testing.T, release string) {
		t.Parallel() // most of it is waiting for time limits
		// A peer that they have dialled is one that they list for others.
		p, known := startTariDHT(t, release, asks[release]...), startTariDHT(t, release)
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
			if why, ok := depends[c.Check]; ok && c.Result == "n/a" {
				t.Logf("%s: n/a, %s: %s", c.Check, c.Note, why)
				continue
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
