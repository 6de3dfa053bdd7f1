package tcp_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/transport/transporttest"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

// TestDialPermitted dials names and addresses that lead to a listener on
// loopback, which must see no connection.
func TestDialPermitted(t *testing.T) {
	l := listen(t, "/ip4/127.0.0.1/tcp/0")
	accepted := make(chan net.Addr, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c.RemoteAddr()
			c.Close()
		}
	}()
	port := strings.TrimPrefix(l.Multiaddr().String(), "/ip4/127.0.0.1")
	server := transporttest.NameServer{Names: map[string][]netip.Addr{
		"loop.example":   {netip.MustParseAddr("127.0.0.1")},
		"many.example":   {netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.1")},
		"nat64.example":  {netip.MustParseAddr("64:ff9b::7f00:1")},
		"mapped.example": {netip.MustParseAddr("::ffff:127.0.0.1")},
	}}
	tr := tcp.New(tcp.Options{Resolver: server.Resolver()})
	for _, c := range []struct{ addr, what string }{
		{"/dns4/loop.example", "127.0.0.0/8 (loopback)"},
		{"/dns/loop.example", "127.0.0.0/8 (loopback)"},
		{"/dns4/many.example", "127.0.0.0/8 (loopback)"},
		{"/dns6/nat64.example", "127.0.0.0/8 (loopback)"},
		{"/dns6/mapped.example", "127.0.0.0/8 (loopback)"},
		{"/ip4/127.0.0.1", "127.0.0.0/8 (loopback)"},
		{"/ip6/::ffff:127.0.0.1", "127.0.0.0/8 (loopback)"},
		{"/ip6/64:ff9b::7f00:1", "127.0.0.0/8 (loopback)"},
	} {
		conn, err := tr.DialPermitted(t.Context(), ma.StringCast(c.addr+port), address.Public)
		if err == nil {
			conn.Close()
			t.Errorf("%s: got a connection", c.addr)
			continue
		}
		if c.addr == "/dns6/mapped.example" || c.addr == "/ip6/::ffff:127.0.0.1" {
			// Some systems have no IPv4 behind an IPv6 address: refused before that is asked.
			if errors.Is(err, transport.ErrRefused) {
				t.Errorf("%s: got %v, want it not tried", c.addr, err)
			}
			continue
		}
		de, ok := errors.AsType[*transport.DialError](err)
		if _, special := errors.AsType[*address.SpecialError](err); !ok || !special || de.Stage != transport.StageConnect || !errors.Is(err, transport.ErrUnreachable) {
			t.Errorf("%s: got %v, want a special-purpose address at %s", c.addr, err, transport.StageConnect)
			continue
		}
		if text := err.Error(); !strings.Contains(text, c.what) || !strings.Contains(text, c.addr) || !strings.Contains(text, "give its address yourself") {
			t.Errorf("%s: got %q, want %s and what to do", c.addr, text, c.what)
		}
	}
	if server.Asked() == 0 {
		t.Error("the test's name server was not asked")
	}
	select {
	case from := <-accepted:
		t.Errorf("the listener got a connection from %s, want none", from)
	default:
	}

	// The same name without a permit, and with one that permits.
	for _, permit := range []func(netip.Addr) error{nil, func(netip.Addr) error { return nil }} {
		dial := tr.Dial
		if permit != nil {
			dial = func(ctx context.Context, a ma.Multiaddr) (transport.Conn, error) {
				return tr.DialPermitted(ctx, a, permit)
			}
		}
		conn, err := dial(t.Context(), ma.StringCast("/dns4/loop.example"+port))
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		<-accepted
	}
}

// TestDialPermittedTriesTheNext has a name stand for two addresses of which the
// first may not be connected to.
func TestDialPermittedTriesTheNext(t *testing.T) {
	l := listen(t, "/ip4/127.0.0.1/tcp/0")
	port := strings.TrimPrefix(l.Multiaddr().String(), "/ip4/127.0.0.1")
	first, second := netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.1")
	server := transporttest.NameServer{Names: map[string][]netip.Addr{"two.example": {first, second}}}
	var asked []netip.Addr
	conn, err := tcp.New(tcp.Options{Resolver: server.Resolver()}).DialPermitted(t.Context(), ma.StringCast("/dns4/two.example"+port), func(ip netip.Addr) error {
		asked = append(asked, ip)
		if ip == first {
			return &address.SpecialError{IP: ip}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("got %v, want a connection to the second address", err)
	}
	defer conn.Close()
	if got := conn.RemoteMultiaddr(); !got.Equal(l.Multiaddr()) {
		t.Errorf("got connected to %s, want %s", got, l.Multiaddr())
	}
	if len(asked) == 0 || asked[len(asked)-1] != second {
		t.Errorf("got asked for %v, want the second address last", asked)
	}
}
