package tcptor_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/transport/tcptor"
	"github.com/gamelan-p2p/gamelan/internal/transport/transporttest"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

const onion = "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd"

func through(t *testing.T, p *transporttest.Proxy) *socks.Transport {
	t.Helper()
	tr, err := socks.New(socks.Options{Proxy: transport.FromAddrPort(p.Start(t))})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

var anyPort = ma.StringCast("/ip4/127.0.0.1/tcp/0")

func TestConformanceHidden(t *testing.T) {
	transporttest.ConformanceThroughProxy(t, func(t *testing.T) (transport.Transport, ma.Multiaddr) {
		return tcptor.Hidden(through(t, &transporttest.Proxy{}), tcptor.Options{}), anyPort
	})
}

func TestConformanceOpen(t *testing.T) {
	transporttest.Conformance(t, func(t *testing.T) (transport.Transport, ma.Multiaddr) {
		return tcptor.Open(through(t, &transporttest.Proxy{}), tcp.Options{}), anyPort
	})
}

// setting is a peer that can be reached in every way, a proxy and a name server that know
// its names.
type setting struct {
	port  string // of the peer
	proxy *transporttest.Proxy
	names *transporttest.NameServer
	socks *socks.Transport
}

func newSetting(t *testing.T) *setting {
	t.Helper()
	// A lookup that does not go to the name server of the test fails it.
	was := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("the system's name server was asked")
		return nil, errors.New("no name server in this test")
	}}
	t.Cleanup(func() { net.DefaultResolver = was })
	l, err := tcp.New(tcp.Options{}).Listen(t.Context(), anyPort)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	loopback, loopback6 := netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()
	s := &setting{
		port:  strings.TrimPrefix(l.Multiaddr().String(), "/ip4/127.0.0.1/tcp/"),
		proxy: &transporttest.Proxy{Names: map[string]netip.Addr{"peer.example": loopback, onion + ".onion": loopback}},
		names: &transporttest.NameServer{Names: map[string][]netip.Addr{"peer.example": {loopback, loopback6}}},
	}
	s.socks = through(t, s.proxy)
	return s
}

func (s *setting) address(text string) ma.Multiaddr {
	return ma.StringCast(strings.ReplaceAll(strings.ReplaceAll(text, "PORT", s.port), "ONION", onion))
}

// TestWays dials each kind of address in each mode, and looks at who was asked for what.
//
// conforms: comms 19
func TestWays(t *testing.T) {
	const (
		proxied  = "proxy"
		resolved = "resolve"
		direct   = "direct"
		looked   = "direct, own name server"
		refused  = "refused"
	)
	hidden := func(all bool, excepted ...string) func(*setting) *tcptor.Transport {
		return func(s *setting) *tcptor.Transport {
			o := tcptor.Options{DirectTCP: all, TCP: tcp.Options{Resolver: s.names.Resolver()}}
			for _, text := range excepted {
				o.Direct = append(o.Direct, s.address(text))
			}
			return tcptor.Hidden(s.socks, o)
		}
	}
	for _, mode := range []struct {
		name string
		make func(*setting) *tcptor.Transport
		want map[string]string
	}{
		{"hidden", hidden(false), map[string]string{
			"/onion3/ONION:PORT": proxied, "/ip4/127.0.0.1/tcp/PORT": proxied, "/ip6/::ffff:127.0.0.1/tcp/PORT": proxied,
			"/dns4/peer.example/tcp/PORT": proxied, "/dns/peer.example/tcp/PORT": proxied,
			"/dns6/peer.example/tcp/PORT": refused, "/dnsaddr/peer.example/tcp/PORT": refused,
		}},
		{"all TCP excepted", hidden(true, "/onion3/ONION:PORT"), map[string]string{
			"/onion3/ONION:PORT": proxied, "/ip4/127.0.0.1/tcp/PORT": direct, "/dns4/peer.example/tcp/PORT": looked,
			"/dns6/peer.example/tcp/PORT": looked, "/dnsaddr/peer.example/tcp/PORT": refused,
		}},
		{"one excepted", hidden(false, "/ip4/127.0.0.1/tcp/PORT"), map[string]string{
			"/onion3/ONION:PORT": proxied, "/ip4/127.0.0.1/tcp/PORT": direct, "/dns4/peer.example/tcp/PORT": proxied,
			"/ip6/::ffff:127.0.0.1/tcp/PORT": proxied, "/dns6/peer.example/tcp/PORT": refused,
		}},
		{"open", func(s *setting) *tcptor.Transport {
			return tcptor.Open(s.socks, tcp.Options{Resolver: s.names.Resolver()})
		}, map[string]string{
			"/onion3/ONION:PORT": proxied, "/ip4/127.0.0.1/tcp/PORT": direct, "/dns4/peer.example/tcp/PORT": resolved,
			"/dns/peer.example/tcp/PORT": resolved, "/dns6/peer.example/tcp/PORT": looked, "/dnsaddr/peer.example/tcp/PORT": refused,
		}},
	} {
		for text, want := range mode.want {
			t.Run(mode.name+text, func(t *testing.T) {
				s := newSetting(t)
				a := s.address(text)
				tr := mode.make(s)
				conn, err := tr.Dial(t.Context(), a)
				if err == nil {
					conn.Close()
				}
				got := direct
				switch asked := s.proxy.Asked(); {
				case errors.Is(err, transport.ErrUnsupported):
					got = refused
				case len(asked) == 1 && asked[0].Command == 1:
					got = proxied
				case len(asked) == 1:
					got = resolved
				case s.names.Asked() > 0:
					got = looked
				}
				if got != want || tr.Handles(a) != (want != refused) {
					t.Errorf("got it %s (%v), Handles %v, want it %s", got, err, tr.Handles(a), want)
				}
				// Nobody listens at ::1; all else is the peer.
				if err != nil && want != refused && !strings.HasPrefix(text, "/dns6") {
					t.Errorf("got %v", err)
				}
				if want != looked && s.names.Asked() > 0 {
					t.Error("the node's name server was asked")
				}
			})
		}
	}
}

// TestResolved has the proxy look a name up that stands for an address of this machine, or
// for none.
func TestResolved(t *testing.T) {
	s := newSetting(t)
	tr := tcptor.Open(s.socks, tcp.Options{})
	_, err := tr.DialPermitted(t.Context(), s.address("/dns4/peer.example/tcp/PORT"), address.Public)
	if _, special := errors.AsType[*address.SpecialError](err); !special {
		t.Errorf("got %v, want a special-purpose address", err)
	}
	if _, err := tr.DialPermitted(t.Context(), s.address("/dns4/router/tcp/PORT"), address.Public); !errors.Is(err, socks.ErrBareName) {
		t.Errorf("a name without a dot: got %v, want ErrBareName", err)
	}
	conn, err := tr.Dial(t.Context(), s.address("/dns4/peer.example/tcp/PORT"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := conn.RemoteMultiaddr(), s.address("/ip4/127.0.0.1/tcp/PORT"); !got.Equal(want) {
		t.Errorf("remote address: got %s, want %s", got, want)
	}
	conn.Close()
	for text, want := range map[string]transport.Stage{
		"/dns4/nobody.example/tcp/PORT": transport.StageResolve, "/dns4/x.onion/tcp/PORT": transport.StageAddress,
		"/dns4/peer.example/udp/PORT": transport.StageAddress, "/dns4/peer.example": transport.StageAddress,
	} {
		_, err := tr.Dial(t.Context(), s.address(text))
		if de, ok := errors.AsType[*transport.DialError](err); !ok || de.Stage != want {
			t.Errorf("%s: got %v, want an error at %s", text, err, want)
		}
	}
	down, err := socks.New(socks.Options{Proxy: gone(t)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = tcptor.Open(down, tcp.Options{}).Dial(t.Context(), s.address("/dns4/peer.example/tcp/PORT"))
	if de, ok := errors.AsType[*transport.DialError](err); !ok || de.Stage != transport.StageProxy {
		t.Errorf("without the proxy: got %v, want an error at %s", err, transport.StageProxy)
	}
}

// gone returns an address on which nobody listens.
func gone(t *testing.T) ma.Multiaddr {
	t.Helper()
	l, err := tcp.New(tcp.Options{}).Listen(t.Context(), anyPort)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Multiaddr()
}

// TestListeners binds what others could reach without Tor.
func TestListeners(t *testing.T) {
	s := newSetting(t)
	hidden, open := tcptor.Hidden(s.socks, tcptor.Options{DirectTCP: true}), tcptor.Open(s.socks, tcp.Options{})
	for _, text := range []string{"/ip4/0.0.0.0/tcp/0", "/ip6/::/tcp/0", "/ip4/192.0.2.1/tcp/0", "/ip6/::ffff:0.0.0.0/tcp/0"} {
		l, err := hidden.Listen(t.Context(), ma.StringCast(text))
		if err == nil {
			l.Close()
		}
		if !errors.Is(err, tcptor.ErrNotLoopback) || !strings.Contains(err.Error(), "/ip4/127.0.0.1/tcp/0") {
			t.Errorf("%s: got %v, want ErrNotLoopback with an example", text, err)
		}
	}
	for _, tr := range []*tcptor.Transport{hidden, open} {
		l, err := tr.Listen(t.Context(), anyPort)
		if err != nil {
			t.Fatalf("%s on loopback: %v", tr.Name(), err)
		}
		l.Close()
	}
	l, err := open.Listen(t.Context(), ma.StringCast("/ip4/0.0.0.0/tcp/0"))
	if err != nil {
		t.Fatalf("everywhere without hiding: %v", err)
	}
	l.Close()
	if hidden.Name() == open.Name() {
		t.Errorf("got the name %s twice", open.Name())
	}
}
