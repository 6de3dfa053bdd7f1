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
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
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
