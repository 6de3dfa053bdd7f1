package socks_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/transport/transporttest"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
)

// knownOnion is an onion address with a right checksum.
const knownOnion = "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd"

func through(t *testing.T, proxy *transporttest.Proxy, o socks.Options) *socks.Transport {
	t.Helper()
	o.Proxy = transport.FromAddrPort(proxy.Start(t))
	return newTransport(t, o)
}

func newTransport(t *testing.T, o socks.Options) *socks.Transport {
	t.Helper()
	tr, err := socks.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestConformance(t *testing.T) {
	transporttest.ConformanceThroughProxy(t, func(t *testing.T) (transport.Transport, ma.Multiaddr) {
		return through(t, &transporttest.Proxy{}, socks.Options{}), ma.StringCast("/ip4/127.0.0.1/tcp/0")
	})
}

func TestConformanceWithPassword(t *testing.T) {
	transporttest.ConformanceThroughProxy(t, func(t *testing.T) (transport.Transport, ma.Multiaddr) {
		p := &transporttest.Proxy{User: "me", Password: "secret"}
		return through(t, p, socks.Options{Credentials: socks.Credentials{User: "me", Password: "secret"}}), ma.StringCast("/ip4/127.0.0.1/tcp/0")
	})
}

// echo accepts connections and sends back what comes, and returns its port.
func echo(t *testing.T) (ip netip.Addr, port uint16) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
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
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	at := l.Addr().(*net.TCPAddr).AddrPort()
	return at.Addr(), at.Port()
}

// neverResolve makes every local lookup of a name fail the test.
func neverResolve(t *testing.T) {
	t.Helper()
	was := net.DefaultResolver
	var asked atomic.Int64
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(_ context.Context, network, addr string) (net.Conn, error) {
		asked.Add(1)
		return nil, errors.New("a test's name server is never asked")
	}}
	t.Cleanup(func() {
		net.DefaultResolver = was
		if n := asked.Load(); n > 0 {
			t.Errorf("got %d local lookups, want none", n)
		}
	})
}

// TestNamesGoToTheProxy dials names and an onion service, none of which this machine can
// resolve. The proxy gets them as they are, the onion in lower case.
func TestNamesGoToTheProxy(t *testing.T) {
	neverResolve(t)
	ip, port := echo(t)
	p := &transporttest.Proxy{
		Names: map[string]netip.Addr{"peer.example": ip, "other.example": ip, knownOnion + ".onion": ip},
		Ports: map[uint16]uint16{1234: port},
	}
	tr := through(t, p, socks.Options{})
	for _, c := range []struct{ addr, host string }{
		{"/dns4/peer.example/tcp/1234", "peer.example"},
		{"/dns/other.example/tcp/1234", "other.example"},
		{"/onion3/" + knownOnion + ":1234", knownOnion + ".onion"},
		{"/onion3/" + strings.ToUpper(knownOnion) + ":1234", knownOnion + ".onion"},
		{"/ip4/127.0.0.1/tcp/1234", "127.0.0.1"},
	} {
		a := ma.StringCast(c.addr)
		if !tr.Handles(a) {
			t.Errorf("Handles(%s): got false, want true", a)
		}
		conn, err := tr.Dial(t.Context(), a)
		if err != nil {
			t.Errorf("dial %s: %v", a, err)
			continue
		}
		conn.Write([]byte("ping"))
		got := make([]byte, 4)
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != "ping" {
			t.Errorf("echo of %s: got %q, %v", a, got, err)
		}
		if !conn.RemoteMultiaddr().Equal(a) {
			t.Errorf("remote address: got %s, want %s as dialled", conn.RemoteMultiaddr(), a)
		}
		conn.Close()
		asked := p.Asked()
		if last := asked[len(asked)-1]; last.Host != c.host || last.Port != 1234 || last.Command != 1 {
			t.Errorf("%s: the proxy got %+v, want CONNECT to %s:1234", a, last, c.host)
		}
	}
	found, err := tr.Resolve(t.Context(), "peer.example")
	if err != nil || found != ip {
		t.Errorf("Resolve: got %s, %v, want %s", found, err, ip)
	}
	_, err = tr.Resolve(t.Context(), "nobody.example")
	if e, ok := errors.AsType[*socks.Error](err); !ok || e.Code != socks.HostUnreachable || e.Cause != socks.CauseUnreachable {
		t.Errorf("Resolve of an unknown name: got %v, want HostUnreachable", err)
	}
}

// TestAddressesThatNoProxyGets are refused before the proxy hears anything.
func TestAddressesThatNoProxyGets(t *testing.T) {
	neverResolve(t)
	p := &transporttest.Proxy{}
	tr := through(t, p, socks.Options{})
	wrongSum := "a" + knownOnion[1:]
	// The public key of test 1 in RFC 8032 7.1 with version 4 and the checksum for that, by
	// Python's hashlib. Tor connects to such an address.
	version4 := "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenj73qe"
	for _, c := range []struct{ addr, want string }{
		{"/dns6/peer.example/tcp/1", "dns6"},
		{"/dnsaddr/peer.example/tcp/1", "dnsaddr"},
		{"/dns4/" + knownOnion + ".onion/tcp/1", "/onion3/"},
		{"/dns4/" + knownOnion + ".onion./tcp/1", "/onion3/"},
		{"/dns/www." + strings.ToUpper(knownOnion) + ".ONION/tcp/1", "/onion3/"},
		{"/dns4/peer example/tcp/1", "character"},
		{"/dns4/" + strings.Repeat("a", 256) + "/tcp/1", "256 bytes"},
		{"/onion3/" + wrongSum + ":1", "checksum"},
		{"/onion3/" + version4 + ":1", "version"},
		{"/onion/aaimaq4ygg2iegci:80", "version 2"},
		{"/ip4/127.0.0.1/tcp/0", "port 0"},
		{"/ip4/127.0.0.1/udp/1", "tcp"},
		{"/ip4/127.0.0.1", "tcp"},
	} {
		a := ma.StringCast(c.addr)
		conn, err := tr.Dial(t.Context(), a)
		if err == nil {
			conn.Close()
			t.Errorf("%s: got a connection", c.addr)
			continue
		}
		de, ok := errors.AsType[*transport.DialError](err)
		if !ok || de.Stage != transport.StageAddress || !errors.Is(err, transport.ErrUnsupported) || errors.Is(err, transport.ErrUnreachable) {
			t.Errorf("%s: got %v, want ErrUnsupported at %s", c.addr, err, transport.StageAddress)
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %q, want %q in it", c.addr, err, c.want)
		}
	}
	for _, name := range []string{"", "x.onion", strings.Repeat("b", 256)} {
		if _, err := tr.Resolve(t.Context(), name); !errors.Is(err, transport.ErrUnsupported) {
			t.Errorf("Resolve(%q): got %v, want it refused", name, err)
		}
	}
	if asked := p.Asked(); len(asked) != 0 {
		t.Errorf("the proxy got %v, want nothing", asked)
	}
}

func TestPermit(t *testing.T) {
	ip, port := echo(t)
	p := &transporttest.Proxy{Names: map[string]netip.Addr{"peer.example": ip}, Ports: map[uint16]uint16{1234: port}}
	tr := through(t, p, socks.Options{})
	for _, a := range []string{"/ip4/127.0.0.1/tcp/1234", "/dns4/127.0.0.1/tcp/1234", "/ip6/::1/tcp/1234"} {
		_, err := tr.DialPermitted(t.Context(), ma.StringCast(a), address.Public)
		if _, special := errors.AsType[*address.SpecialError](err); !special {
			t.Errorf("%s: got %v, want a special-purpose address", a, err)
		}
	}
	if asked := p.Asked(); len(asked) != 0 {
		t.Errorf("the proxy got %v, want nothing", asked)
	}
}

// TestNamesOfStrangers dials names, of which only the proxy knows what they stand for: those that
// the user has not given through a Tor alone, and none without a dot.
func TestNamesOfStrangers(t *testing.T) {
	ip, port := echo(t)
	for _, c := range []struct {
		tor  bool
		name string
		want error
	}{
		{false, "peer.example", socks.ErrName},
		{false, "router", socks.ErrName},
		{true, "peer.example", nil},
		{true, "router", socks.ErrBareName},
		{true, "router.", socks.ErrBareName},
	} {
		p := &transporttest.Proxy{Names: map[string]netip.Addr{"peer.example": ip, "router": ip, "router.": ip}, Ports: map[uint16]uint16{1234: port}}
		tr := through(t, p, socks.Options{Tor: c.tor})
		a := ma.StringCast("/dns4/" + c.name + "/tcp/1234")
		conn, err := tr.DialPermitted(t.Context(), a, address.Public)
		if err == nil {
			conn.Close()
		}
		if !errors.Is(err, c.want) || len(p.Asked()) > 0 != (c.want == nil) {
			t.Errorf("%s, a Tor %v: got %v, and %d requests, want %v", c.name, c.tor, err, len(p.Asked()), c.want)
		}
		if conn, err = tr.Dial(t.Context(), a); err != nil {
			t.Errorf("%s given by the user: got %v", c.name, err)
		} else {
			conn.Close()
		}
	}
}

// TestCredentials has a proxy that wants them.
func TestCredentials(t *testing.T) {
	ip, port := echo(t)
	a := transport.FromAddrPort(netip.AddrPortFrom(ip, port))
	for _, c := range []struct {
		name string
		o    socks.Options
		err  error
	}{
		{"right", socks.Options{Credentials: socks.Credentials{User: "me", Password: "secret"}}, nil},
		{"wrong", socks.Options{Credentials: socks.Credentials{User: "me", Password: "Secret"}}, socks.ErrCredentials},
		{"isolation", socks.Options{}, socks.ErrCredentials},
		{"none", socks.Options{Isolation: socks.NoIsolation}, socks.ErrMethod},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := through(t, &transporttest.Proxy{User: "me", Password: "secret"}, c.o)
			conn, err := tr.Dial(t.Context(), a)
			if err == nil {
				conn.Close()
			}
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			if c.err == nil {
				return
			}
			e, ok := errors.AsType[*socks.Error](err)
			if de, _ := errors.AsType[*transport.DialError](err); !ok || e.Cause != socks.CauseAuth || e.Retryable() || de.Stage != transport.StageProxy {
				t.Errorf("got %#v, want an authentication that no other try mends, at %s", err, transport.StageProxy)
			}
			if text := err.Error(); strings.Contains(text, "ecret") || !strings.Contains(text, "user name and password") {
				t.Errorf("got %q, want it to say what is missing, without the password", text)
			}
		})
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	good := ma.StringCast("/ip4/127.0.0.1/tcp/9050")
	long := strings.Repeat("x", 256)
	for _, c := range []socks.Credentials{{User: "me"}, {Password: "x"}, {User: long, Password: "x"}, {User: "x", Password: long}} {
		// conforms: comms 17
		if _, err := socks.New(socks.Options{Proxy: good, Credentials: c}); !errors.Is(err, socks.ErrCredentialsLength) {
			t.Errorf("credentials of %d and %d bytes: got %v, want ErrCredentialsLength", len(c.User), len(c.Password), err)
		}
	}
	if _, err := socks.New(socks.Options{Proxy: good, Credentials: socks.Credentials{User: long[1:], Password: long[1:]}}); err != nil {
		t.Errorf("credentials of 255 bytes: %v", err)
	}
	for _, a := range []ma.Multiaddr{nil, ma.StringCast("/dns4/localhost/tcp/9050"), ma.StringCast("/ip4/127.0.0.1/udp/9050"), ma.StringCast("/ip4/127.0.0.1"), ma.StringCast("/ip4/127.0.0.1/tcp/1/ws")} {
		if _, err := socks.New(socks.Options{Proxy: a}); err == nil || !strings.Contains(err.Error(), "/ip4/127.0.0.1/tcp/9050") {
			t.Errorf("proxy %v: got %v, want an error with an example", a, err)
		}
	}
	if got := (socks.Credentials{User: "me", Password: "secret"}).String(); strings.Contains(got, "secret") {
		t.Errorf("got %q, want the password hidden", got)
	}
}

// TestUnixSocket reaches a proxy at a Unix socket.
func TestUnixSocket(t *testing.T) {
	ip, port := echo(t)
	at := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	behind := (&transporttest.Proxy{}).Start(t)
	go func() { // what comes goes to a proxy on TCP
		c, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", behind.String())
		if err != nil {
			return
		}
		go func() {
			io.Copy(out, c)
			out.Close()
		}()
		io.Copy(c, out)
		c.Close()
	}()
	defer l.Close()
	tr := newTransport(t, socks.Options{Proxy: ma.StringCast("/unix" + at)})
	conn, err := tr.Dial(t.Context(), transport.FromAddrPort(netip.AddrPortFrom(ip, port)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write([]byte("ping"))
	got := make([]byte, 4)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "ping" {
		t.Errorf("echo: got %q, %v", got, err)
	}
	if got, want := conn.LocalMultiaddr().String(), "/unix"+at; got != want {
		t.Errorf("local address: got %s, want %s", got, want)
	}
}

// TestIsolation compares the pairs that the proxy gets.
func TestIsolation(t *testing.T) {
	ip, port := echo(t)
	a := transport.FromAddrPort(netip.AddrPortFrom(ip, port))
	one, two := t.Context(), t.Context()
	one = transport.WithPeer(one, identity.NodeID{1})
	two = transport.WithPeer(two, identity.NodeID{2})
	for _, c := range []struct {
		name string
		kind socks.Isolation
		want []int // which of the dials share a pair: numbers of the pairs in order of arrival
	}{
		{"per peer", socks.PerPeer, []int{1, 2, 1, 3, 3}},
		{"per dial", socks.PerDial, []int{1, 2, 3, 4, 5}},
		{"none", socks.NoIsolation, []int{0, 0, 0, 0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &transporttest.Proxy{}
			tr := through(t, p, socks.Options{Isolation: c.kind})
			for _, ctx := range []context.Context{one, two, one, t.Context(), t.Context()} {
				conn, err := tr.Dial(ctx, a)
				if err != nil {
					t.Fatal(err)
				}
				conn.Close()
			}
			seen := map[string]int{"": 0}
			var got []int
			for _, asked := range p.Asked() {
				pair := asked.User + asked.Password
				if _, ok := seen[pair]; !ok {
					seen[pair] = len(seen)
				}
				got = append(got, seen[pair])
				if asked.User != "" && (asked.User != "gamelan" || len(asked.Password) != 32 || strings.Contains(asked.Password, "01000")) {
					t.Errorf("got %q and %q, want a pair that says nothing about the peer", asked.User, asked.Password)
				}
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got pairs %v, want %v", got, c.want)
			}
		})
	}
}

// TestFreshPair has a peer that cannot be reached: after two failures in a row its
// pair changes, and that of another address does not.
func TestFreshPair(t *testing.T) {
	ip, port := echo(t)
	p := &transporttest.Proxy{Ports: map[uint16]uint16{1: port}}
	tr := through(t, p, socks.Options{})
	ctx := transport.WithPeer(t.Context(), identity.NodeID{1})
	gone := ma.StringCast("/dns4/gone.example/tcp/7")
	for range 5 {
		if conn, err := tr.Dial(ctx, gone); err == nil {
			conn.Close()
			t.Fatal("got a connection")
		}
	}
	conn, err := tr.Dial(ctx, transport.FromAddrPort(netip.AddrPortFrom(ip, 1)))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	var got []string
	for _, asked := range p.Asked() {
		got = append(got, asked.Password)
	}
	if got[0] != got[1] || got[1] == got[2] || got[2] != got[3] || got[3] == got[4] || got[5] != got[0] {
		t.Errorf("got passwords %v, want a new one after each two failures, and the first at another address", got)
	}
}
