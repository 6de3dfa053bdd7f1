//go:build unix

package processes

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// TestOutOfFiles gives a node few file descriptors and takes them with idle connections. The node
// says at its start that they are few, logs once that it cannot accept, and is degraded with a
// remedy when it answers again.
func TestOutOfFiles(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	dir := filepath.Join(t.TempDir(), "a")
	n := startNodeWith(t, w, "ulimit -n 40", dir, "--listen", "/ip4/127.0.0.1/tcp/0")
	w.Close()
	_, addr, _ := strings.Cut(n.seed, "::")
	where, err := manet.ToNetAddr(ma.StringCast(addr))
	if err != nil {
		t.Fatal(err)
	}
	var idle []net.Conn
	for range 60 {
		c, err := net.Dial("tcp", where.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		idle = append(idle, c)
	}
	var log []string
	for lines := bufio.NewScanner(r); lines.Scan(); {
		log = append(log, lines.Text())
		if strings.Contains(lines.Text(), "a connection cannot be accepted") {
			break
		}
	}
	all := strings.Join(log, "\n")
	for _, want := range []string{"may have 40 files open", "too many open files", "ulimit -n", "LimitNOFILE"} {
		if !strings.Contains(all, want) {
			t.Errorf("got the log %q, want %q in it", all, want)
		}
	}
	for _, c := range idle {
		c.Close()
	}
	out, errs, code := run(t, nil, "health", "--wait", "1m", "--data-dir", dir)
	if code != 0 || !strings.Contains(out, "degraded") || !strings.Contains(out, "ulimit -n") {
		t.Errorf("health: exit %d, %s%s, want degraded with a remedy", code, out, errs)
	}
	n.stop()
}
