package tcp_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/transport/transporttest"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

func TestConformance(t *testing.T) {
	transporttest.Conformance(t, func(*testing.T) (transport.Transport, ma.Multiaddr) {
		return tcp.New(tcp.Options{}), ma.StringCast("/ip4/127.0.0.1/tcp/0")
	})
}

func TestConformanceIPv6(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skipf("this machine has no IPv6: %v", err)
	}
	l.Close()
	transporttest.Conformance(t, func(*testing.T) (transport.Transport, ma.Multiaddr) {
		return tcp.New(tcp.Options{}), ma.StringCast("/ip6/::1/tcp/0")
	})
}

func listen(t *testing.T, a string) transport.Listener {
	t.Helper()
	l, err := tcp.New(tcp.Options{}).Listen(t.Context(), ma.StringCast(a))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// pair returns an accepted connection of ours and the plain socket at its
// other end.
func pair(t *testing.T) (ours *tcp.Conn, other *net.TCPConn) {
	t.Helper()
	l := listen(t, "/ip4/127.0.0.1/tcp/0")
	port, err := l.Multiaddr().ValueForProtocol(6)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		accepted.Close()
	})
	return accepted.(*tcp.Conn), c.(*net.TCPConn)
}

func TestHandles(t *testing.T) {
	tr := tcp.New(tcp.Options{})
	for a, want := range map[string]bool{
		"/ip4/127.0.0.1/tcp/1":       true,
		"/ip6/::1/tcp/1":             true,
		"/dns/localhost/tcp/1":       true,
		"/dns4/localhost/tcp/1":      true,
		"/dns6/localhost/tcp/1":      true,
		"/ip4/127.0.0.1/tcp/1/http":  true, // what follows is not looked at
		"/ip4/127.0.0.1":             false,
		"/ip4/127.0.0.1/udp/1":       false,
		"/tcp/1/ip4/127.0.0.1":       false,
		"/dnsaddr/example.com/tcp/1": false,
		"/memory/1":                  false,
	} {
		if got := tr.Handles(ma.StringCast(a)); got != want {
			t.Errorf("Handles(%s): got %v, want %v", a, got, want)
		}
	}
}

// conforms: comms 18
func TestOnionIsRefusedAtOnce(t *testing.T) {
	onion := ma.StringCast("/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234")
	if _, err := tcp.New(tcp.Options{}).Dial(t.Context(), onion); !errors.Is(err, transport.ErrUnsupported) || errors.Is(err, transport.ErrUnreachable) {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
}

func TestDialNames(t *testing.T) {
	l := listen(t, "/ip4/127.0.0.1/tcp/0")
	port := strings.TrimPrefix(l.Multiaddr().String(), "/ip4/127.0.0.1")
	for _, kind := range []string{"dns", "dns4"} {
		c, err := tcp.New(tcp.Options{}).Dial(t.Context(), ma.StringCast("/"+kind+"/localhost"+port))
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if !c.RemoteMultiaddr().Equal(l.Multiaddr()) {
			t.Errorf("%s: got remote address %s, want %s", kind, c.RemoteMultiaddr(), l.Multiaddr())
		}
		c.Close()
	}
}

// noNames is a resolver whose name server cannot be reached.
var noNames = &net.Resolver{
	PreferGo: true,
	Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no network")
	},
}

func TestDialErrors(t *testing.T) {
	closed := listen(t, "/ip4/127.0.0.1/tcp/0")
	closed.Close()
	for _, c := range []struct {
		name, addr string
		stage      transport.Stage
		want       error
		hint       string
	}{
		{"refused", closed.Multiaddr().String(), transport.StageConnect, transport.ErrRefused, "check that the peer is running"},
		{"name", "/dns4/node.test/tcp/1", transport.StageResolve, transport.ErrResolve, "check the name"},
		{"port 0", "/ip4/127.0.0.1/tcp/0", transport.StageAddress, transport.ErrUnsupported, "use an address"},
	} {
		_, err := tcp.New(tcp.Options{Resolver: noNames}).Dial(t.Context(), ma.StringCast(c.addr))
		var de *transport.DialError
		if !errors.As(err, &de) || de.Stage != c.stage || !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v at %s", c.name, err, c.want, c.stage)
			continue
		}
		if !strings.Contains(err.Error(), c.hint) || !strings.Contains(err.Error(), c.addr) {
			t.Errorf("%s: got %q, want it to name %s and say %q", c.name, err, c.addr, c.hint)
		}
	}
}

func TestListenErrors(t *testing.T) {
	taken := listen(t, "/ip4/127.0.0.1/tcp/0")
	cases := []struct {
		name, addr string
		want       error
		hint       string
	}{
		{"in use", taken.Multiaddr().String(), transport.ErrAddressInUse, "choose another port"},
		{"not ours", "/ip4/203.0.113.7/tcp/0", transport.ErrAddressNotAvailable, "use an address of this machine"},
		{"name", "/dns4/localhost/tcp/0", transport.ErrUnsupported, "a kind this transport can bind"},
		{"link-local", "/ip6/fe80::1/tcp/0", tcp.ErrNoZone, "listen on /ip6/::/tcp/PORT"},
		{"link-local, with a zone", "/ip6zone/lo/ip6/fe80::1/tcp/0", tcp.ErrNoZone, "listen on /ip6/::/tcp/PORT"},
		{"multicast", "/ip4/224.0.0.1/tcp/0", tcp.ErrGroup, "listen on one of this machine"},
		{"multicast", "/ip6/ff02::1/tcp/0", tcp.ErrGroup, "listen on one of this machine"},
		{"broadcast", "/ip4/255.255.255.255/tcp/0", tcp.ErrGroup, "listen on one of this machine"},
	}
	if os.Geteuid() != 0 {
		cases = append(cases, struct {
			name, addr string
			want       error
			hint       string
		}{"privileged", "/ip4/127.0.0.1/tcp/1", transport.ErrPermission, "1024"})
	}
	for _, c := range cases {
		l, err := tcp.New(tcp.Options{}).Listen(t.Context(), ma.StringCast(c.addr))
		if err == nil {
			l.Close()
		}
		var le *transport.ListenError
		if !errors.As(err, &le) || !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
			continue
		}
		if !strings.Contains(err.Error(), c.hint) || !strings.Contains(err.Error(), c.addr) {
			t.Errorf("%s: got %q, want it to name %s and say %q", c.name, err, c.addr, c.hint)
		}
	}
}
