package network

import (
	"context"
	"fmt"
	"net"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestForeignLoopback: a loopback address is kept of a peer that is on this machine, and not of
// one that comes from elsewhere. The elsewhere is this machine's other address.
func TestForeignLoopback(t *testing.T) {
	c, err := net.Dial("udp", "192.0.32.10:9") // chooses a route
	if err != nil {
		t.Logf("this machine has no other address: %v", err)
		return
	}
	elsewhere := c.LocalAddr().(*net.UDPAddr).IP.String()
	c.Close()
	for _, x := range []struct {
		at   string
		want int
	}{{"127.0.0.1", 1}, {elsewhere, 0}} {
		b := onTCP(t, 2, x.at)
		a := onTCP(t, 1, "127.0.0.1")
		id, err := a.Peers().AddSeed(t.Context(), b.Seed())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Dial(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		gamelantest.Eventually(t, kit.Patience, "the connection at the other end", func() bool { return len(b.Connections()) == 1 })
		p, ok := b.Peers().Get(a.ID())
		if !ok || len(p.Addresses) != x.want {
			t.Errorf("at %s: got %v, want %d addresses", x.at, p.Addresses, x.want)
		}
	}
}

func onTCP(t *testing.T, number int, ip string) *gamelan.Node {
	t.Helper()
	n, err := gamelan.Start(t.Context(), gamelan.Config{
		Secret: gamelantest.Secret(number), Listen: []string{fmt.Sprintf("/ip4/%s/tcp/0", ip)}, Floor: gamelan.NoFloor, NoDHT: true,
	}, kit.Quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return n
}
