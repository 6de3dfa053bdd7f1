package gamelan_test

import (
	"net"
	"net/netip"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/transport"
)

// TestListenBeyond: a node listens where a peer on another machine can reach it, and otherwise
// on loopback.
func TestListenBeyond(t *testing.T) {
	way := netip.MustParseAddr("127.0.0.1")                     // of a machine without a network
	if c, err := net.Dial("udp", "192.0.32.10:9"); err == nil { // chooses a route
		way = c.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
		c.Close()
	}
	key := gamelantest.Secret(2).PublicKey().String()
	for _, x := range []struct {
		name  string
		seeds []string
		want  netip.Addr
	}{
		{"a peer elsewhere", []string{key + "::/ip4/192.0.32.10/tcp/18189"}, way},
		{"the second address", []string{key + "::/ip4/127.0.0.1/tcp/1::/ip4/192.0.32.10/tcp/18189"}, way},
		{"a peer here", []string{key + "::/ip4/127.0.0.1/tcp/18189"}, netip.MustParseAddr("127.0.0.1")},
		{"a name for here", []string{key + "::/dns4/localhost/tcp/18189"}, netip.MustParseAddr("127.0.0.1")},
		{"nobody", nil, netip.MustParseAddr("127.0.0.1")},
	} {
		undisturbed(t, func(dir string) bool {
			var first ma.Multiaddr
			for range 2 { // the second start has the same port
				n, err := gamelan.Start(t.Context(), gamelan.Config{DataDir: dir, Seeds: x.seeds, Floor: gamelan.NoFloor}, gamelan.WithLogger(discard))
				if err != nil {
					t.Fatalf("%s: %v", x.name, err)
				}
				at := n.Listening()[0]
				if err := n.Close(t.Context()); err != nil {
					t.Error(err)
				}
				if ip, _ := transport.IP(at); ip != x.want {
					t.Errorf("%s: got %s, want one on %s", x.name, at, x.want)
				}
				if first == nil {
					first = at
				} else if !hasAgain(t, at, first) {
					return false
				}
			}
			return true
		})
	}
}
