//go:build unix

package processes

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/gamelan-p2p/gamelan/internal/freeport"
)

// fullPipe returns the end to write to of a pipe that takes nothing more.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	for size := 4096; size > 0; size /= 2 {
		for err = nil; err == nil; _, err = w.Write(make([]byte, size)) {
			w.SetWriteDeadline(time.Now().Add(time.Millisecond))
		}
	}
	return w
}

// rejected opens a connection to a node with a first byte of no node, and waits until it is closed: by
// then an actor is about to log it.
func rejected(t *testing.T, n *node) {
	t.Helper()
	_, addr, _ := strings.Cut(n.seed, "::")
	where, err := manet.ToNetAddr(ma.StringCast(addr))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", where.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Read(make([]byte, 1)); os.IsTimeout(err) {
		t.Fatal("the node does not close a connection with a wrong first byte")
	}
}

// TestUnreadLog: nobody reads what the node logs. Actors log all the same, a peer gets in, and the
// first TERM ends the node in order.
func TestUnreadLog(t *testing.T) { // alone: it gives a port up and takes it again
	dir := t.TempDir()
	ports, err := freeport.Ports(1)
	if err != nil {
		t.Fatal(err)
	}
	flags := []string{"--listen", fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", ports[0]), "--log-level", "debug"}
	n := startNode(t, filepath.Join(dir, "a"), flags...)
	n.stop()
	seed := n.seed
	n = startNodeTo(t, fullPipe(t), filepath.Join(dir, "a"), flags...)
	rejected(t, n)
	rejected(t, n)
	b := startNode(t, filepath.Join(dir, "b"), "--listen", "/ip4/127.0.0.1/tcp/0")
	if out, errs, code := run(t, nil, "dial", seed, "--data-dir", b.dir); code != 0 {
		t.Errorf("a new peer: exit %d, %s%s", code, out, errs)
	}
	b.stop()
	n.signal(syscall.SIGQUIT)
	n.stop()
}

// TestLogReaderEnds: a node whose log and output nobody can take any more goes on, and says so.
func TestLogReaderEnds(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	n := startNodeTo(t, w, filepath.Join(t.TempDir(), "a"), "--listen", "/ip4/127.0.0.1/tcp/0", "--log-level", "debug")
	r.Close()
	for range 2 {
		rejected(t, n)
	}
	for end := time.Now().Add(time.Minute); ; {
		out, errs, code := run(t, nil, "health", "--data-dir", n.dir)
		if code != 0 {
			t.Fatalf("health: exit %d, %s%s", code, out, errs)
		}
		if strings.Contains(out, "broken pipe") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("got the health %q, want it degraded by a broken pipe", out)
		}
		rejected(t, n)
	}
	n.stop()
}
