package daemon

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// TestManagerThatReadsNothing: its socket fills, and the node does not wait for it.
func TestManagerThatReadsNothing(t *testing.T) {
	managerSocket(t)    // nobody reads from it
	const most = 10_000 // above every net.unix.max_dgram_qlen in use
	for range most {
		if err := notify("STATUS=x"); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v, want that the time was up", err)
			}
			return
		}
	}
	t.Skipf("the socket took %d texts", most)
}

// managerSocket makes the socket of a service manager.
func managerSocket(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return conn
}
