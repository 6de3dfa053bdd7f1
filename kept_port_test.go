package gamelan_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/gamelan-p2p/gamelan"
)

// startedAt starts a node with the default address and returns where it listens.
func startedAt(t *testing.T, dir string) (n *gamelan.Node, addr string) {
	t.Helper()
	n, err := gamelan.Start(t.Context(), gamelan.Config{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return n, n.Addresses()[0].String()
}

// A node that was given no port has the same one after a restart, as long as it
// is free, and a new one is kept in turn.
func TestPortIsKept(t *testing.T) {
	dir := t.TempDir()
	n, first := startedAt(t, dir)
	n.Close(context.Background())
	n, again := startedAt(t, dir)
	if again != first {
		t.Errorf("got %s after a restart, want %s", again, first)
	}
	where, err := manet.ToNetAddr(n.Addresses()[0])
	if err != nil {
		t.Fatal(err)
	}
	n.Close(context.Background())

	other, err := net.Listen("tcp", where.String())
	if err != nil {
		t.Fatal(err)
	}
	n, moved := startedAt(t, dir)
	n.Close(context.Background())
	other.Close()
	if moved == first {
		t.Fatalf("got %s, which another program has", moved)
	}
	n, again = startedAt(t, dir)
	n.Close(context.Background())
	if again != moved {
		t.Errorf("got %s after a restart, want %s", again, moved)
	}
}

// What stands in the file of the port is not trusted: only a loopback port is
// taken from it.
func TestKeptPortIsChecked(t *testing.T) {
	for _, text := range []string{"", "nonsense\n", "/ip4/0.0.0.0/tcp/4001\n", "/ip4/127.0.0.1/udp/4001\n", "/ip4/127.0.0.1\n"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "listen"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		n, first := startedAt(t, dir)
		n.Close(context.Background())
		n, again := startedAt(t, dir)
		n.Close(context.Background())
		if again != first || !strings.HasPrefix(first, "/ip4/127.0.0.1/tcp/") {
			t.Errorf("%q: got %s after a restart, want %s on loopback", text, again, first)
		}
	}
}
