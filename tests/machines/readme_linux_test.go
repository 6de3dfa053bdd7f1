package machines

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/tests/machines/internal/bed"
)

// TestREADME runs the recipe of README.md for two machines, and a third one that starts like
// the second, as it stands there.
func TestREADME(t *testing.T) {
	net := fresh(t)
	a, b, c := net.Machine("A"), net.Machine("B"), net.Machine("C")
	first, second, send := recipe(t)

	seed := a.Shell("exec " + first)
	var line string
	net.Within(connecting, "the first machine writes its line", func() bool {
		line = strings.TrimSpace(seed.Out())
		return line != ""
	})
	if want := a.Line(); line != want {
		t.Errorf("got the line %q, want %q", line, want)
	}
	for _, m := range []*bed.Machine{b, c} {
		m.Shell("exec " + strings.ReplaceAll(second, "KEY::ADDRESS", line))
		net.Within(connecting, m.Name+" is connected", func() bool { return m.Connected(a) })
	}
	for _, way := range []struct{ from, to *bed.Machine }{{b, a}, {c, b}, {a, c}} {
		listen := way.to.Gamelan("listen", "--raw", "--count", "1")
		begin := time.Now()
		if p := way.from.Shell(strings.ReplaceAll(send, "KEY", way.to.Key())); p.Code() != 0 {
			t.Errorf("%s to %s: got exit code %d:\n%s%s", way.from.Name, way.to.Name, p.Code(), p.Out(), p.Errs())
			continue
		}
		if listen.Code() != 0 || listen.Out() != "hello from the second" {
			t.Errorf("%s to %s: got %q, want the message", way.from.Name, way.to.Name, listen.Out())
		}
		t.Logf("%s to %s: %v", way.from.Name, way.to.Name, time.Since(begin))
	}
}

// recipe returns the commands of README.md for the first machine, for the second, and for a
// message.
func recipe(t *testing.T) (first, second, send string) {
	t.Helper()
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for block := range strings.SplitSeq(string(page), "```") {
		if !strings.Contains(block, "gamelan seed --listen") {
			continue
		}
		if m := regexp.MustCompile(`(?m)^(gamelan .*?) *#.*$`).FindAllStringSubmatch(block, -1); len(m) == 3 {
			return m[0][1], m[1][1], m[2][1]
		}
	}
	t.Fatal("got no block with three commands for two machines in README.md")
	return "", "", ""
}
