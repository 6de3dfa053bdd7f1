package gamelan_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/gamelan-p2p/gamelan"
)

// startedAt starts a node with the default address and returns where it listens.
func startedAt(t *testing.T, dir string) (*gamelan.Node, ma.Multiaddr) {
	t.Helper()
	n, err := gamelan.Start(t.Context(), gamelan.Config{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return n, n.Addresses()[0]
}

// undisturbed calls round with new directories until it reports that a node had its port again, three times at most: another
// program may take it for a moment.
func undisturbed(t *testing.T, round func(dir string) bool) {
	t.Helper()
	for range 3 {
		if round(t.TempDir()) {
			return
		}
	}
	t.Error("no node had its port again in three rounds")
}

// hasAgain reports whether a node has the address again that it gave up.
func hasAgain(t *testing.T, got, want ma.Multiaddr) bool {
	t.Helper()
	if got.Equal(want) {
		return true
	}
	other, err := listenAt(t, want)
	if err == nil {
		other.Close()
	}
	t.Logf("got %s after a restart, want %s; another listener there has now: %v", got, want, err)
	return false
}

func listenAt(t *testing.T, a ma.Multiaddr) (net.Listener, error) {
	t.Helper()
	where, err := manet.ToNetAddr(a)
	if err != nil {
		t.Fatal(err)
	}
	return net.Listen("tcp", where.String())
}

// A node that was given no port has the same one after a restart, as long as it
// is free, and a new one is kept in turn.
func TestPortIsKept(t *testing.T) {
	undisturbed(t, func(dir string) bool {
		n, first := startedAt(t, dir)
		n.Close(context.Background())
		n, again := startedAt(t, dir)
		n.Close(context.Background())
		if !hasAgain(t, again, first) {
			return false
		}

		other, err := listenAt(t, first)
		if err != nil {
			return false
		}
		n, moved := startedAt(t, dir)
		n.Close(context.Background())
		other.Close()
		if moved.Equal(first) {
			t.Fatalf("got %s, which another program has", moved)
		}
		n, again = startedAt(t, dir)
		n.Close(context.Background())
		return hasAgain(t, again, moved)
	})
}

// A node takes only an address of TCP on loopback, with a port, from the file that keeps its port.
func TestKeptPortIsChecked(t *testing.T) {
	for _, text := range []string{"", "nonsense\n", "/ip4/0.0.0.0/tcp/4001\n", "/ip4/127.0.0.1/udp/4001\n", "/ip4/127.0.0.1\n"} {
		undisturbed(t, func(dir string) bool {
			if err := os.WriteFile(filepath.Join(dir, "listen"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			n, first := startedAt(t, dir)
			n.Close(context.Background())
			if !strings.HasPrefix(first.String(), "/ip4/127.0.0.1/tcp/") {
				t.Errorf("%q: got %s, want a port of loopback", text, first)
			}
			n, again := startedAt(t, dir)
			n.Close(context.Background())
			return hasAgain(t, again, first)
		})
	}
}
