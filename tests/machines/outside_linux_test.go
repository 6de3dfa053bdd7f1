package machines

import (
	"os"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/tests/machines/internal/bed"
)

// TestCommandFromAnotherMachine: with one file of the node's machine, every command works from another one, over
// TLS. Nobody reaches the API otherwise: there is no start beyond loopback without TLS, and no answer without the
// file.
func TestCommandFromAnotherMachine(t *testing.T) {
	net := fresh(t)
	a, b, c := net.Machine("A"), net.Machine("B"), net.Machine("C")
	if p := a.Try("node", "--network", "localnet", "--inspect-listen", "0.0.0.0:9465"); p.Code() != 2 || !strings.Contains(p.Errs(), "set inspect.tls = true") {
		t.Fatalf("got exit code %d without TLS:\n%s%s", p.Code(), p.Out(), p.Errs())
	}
	b.Node("--network", "localnet", "--listen", bed.Listen)
	open := []string{"--network", "localnet", "--listen", bed.Listen, "--peer", b.Line(), "--inspect-listen", "0.0.0.0:9465", "--inspect-tls"}
	node := a.Node(open...)
	net.Within(patience, "A is connected", func() bool { return a.Connected(b) })
	carry := func(name string, args ...string) string { // to B
		t.Helper()
		line := a.Run(append([]string{"token"}, args...)...)
		if !strings.HasPrefix(line, "https://"+a.Addr().String()+":9465 sha256:") {
			t.Fatalf("got the line %s", line)
		}
		if p := b.Shell("umask 077; echo '" + strings.TrimSpace(line) + "' >" + name); p.Code() != 0 {
			t.Fatal(p.Errs())
		}
		return line
	}
	line := carry("admin.token")
	carry("read.token", "--read-only")
	ask := func(file string, args ...string) *bed.Process {
		return b.Try(append([]string{"--token-file", file}, args...)...)
	}
	key := a.Key()
	for _, args := range [][]string{
		{"status"},
		{"health"},
		{"id"},
		{"tree"},
		{"peers"},
		{"conns"},
		{"top", "--count", "1"},
		{"events"},
		{"doctor"},
		{"trace", "peer", b.Key(), "--limit", "1", "--for", "1s"},
		{"report", "--doctor", "0s"},
		{"why", b.Key()},
		{"log", "level", "debug"},
		{"send", b.Key(), "hello"},
	} {
		p := ask("admin.token", args...)
		if p.Code() != 0 {
			t.Errorf("%v: got exit code %d:\n%s%s", args, p.Code(), p.Out(), p.Errs())
		}
		if args[0] == "id" && !strings.Contains(p.Out(), key) {
			t.Errorf("got\n%swant the key of A, %s", p.Out(), key)
		}
	}
	b.Run("send", key, "a word")
	if p := ask("admin.token", "listen", "--count", "1"); !strings.Contains(p.Out(), "a word") {
		t.Errorf("got %q, %s", p.Out(), p.Errs())
	}
	follow := b.Gamelan("--token-file", "read.token", "events", "--follow", "--type", "conn")
	net.Within(patience, "B follows the events of A", func() bool { return strings.Contains(follow.Out(), "conn.opened") })
	if p := ask("admin.token", "disconnect", b.Key()); p.Code() != 0 {
		t.Errorf("got %s", p.Errs())
	}
	net.Within(patience, "B sees what happens in A", func() bool { return strings.Contains(follow.Out(), "conn.closed") })
	if p := ask("read.token", "disconnect", b.Key()); p.Code() == 0 || !strings.Contains(p.Errs(), "change nothing") {
		t.Errorf("got exit code %d for a reader: %s", p.Code(), p.Errs())
	}

	// C has no file, or one with a wrong token or fingerprint.
	words := strings.Fields(line)
	for name, x := range map[string]struct{ text, want string }{
		"token":       {words[0] + " " + words[1] + " " + strings.Repeat("0", 64), "a wrong token"},
		"fingerprint": {words[0] + " sha256:" + strings.Repeat("0", 64) + " " + words[2], "another certificate"},
		"none":        {words[0] + " " + words[2], "nobody vouches for the certificate"},
	} {
		if p := c.Shell("umask 077; echo '" + x.text + "' >" + name); p.Code() != 0 {
			t.Fatal(p.Errs())
		}
		if p := c.Try("--token-file", name, "status"); p.Code() == 0 || !strings.Contains(p.Errs(), x.want) {
			t.Errorf("%s: got exit code %d: %s", name, p.Code(), p.Errs())
		}
	}

	// The file outlives the node.
	node.Signal(os.Interrupt)
	node.Code()
	if p := ask("admin.token", "--wait", "0s", "status"); p.Code() != 3 || !strings.Contains(p.Errs(), "nothing answers at https://") {
		t.Errorf("got exit code %d of a node that has ended: %s", p.Code(), p.Errs())
	}
	a.Node(open...)
	if p := ask("admin.token", "status"); p.Code() != 0 {
		t.Errorf("got exit code %d after another start: %s", p.Code(), p.Errs())
	}
}
