package attacks

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/internal/transport/transporttest"
)

// canary listens where nobody may connect, and counts who does.
func canary(t *testing.T) (netip.AddrPort, *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var came atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			came.Add(1)
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort(), &came
}

// resolverHook counts the questions to this machine's resolver, which answers none.
func resolverHook(t *testing.T) *atomic.Int32 {
	t.Helper()
	var asked atomic.Int32
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		asked.Add(1)
		return nil, net.ErrClosed
	}}
	t.Cleanup(func() { net.DefaultResolver = before })
	return &asked
}

// TestNothingGoesPastTheProxy has a node behind Tor dial peers by IP address and by name. The
// proxy gets both as they are; nobody else hears of them, and no resolver is asked. With the
// bypass the same hooks see the dials.
func TestNothingGoesPastTheProxy(t *testing.T) { // alone: it hooks the resolver of all
	for _, c := range []struct {
		name, host string
		bypass     bool
		asked      string // of the proxy
	}{
		{"an IP address", "/ip4/127.0.0.1", false, "127.0.0.1"},
		{"a name", "/dns4/peer.example", false, "peer.example"},
		{"an IP address, bypass", "/ip4/127.0.0.1", true, ""},
		{"a name, bypass", "/dns4/peer.example", true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			questions := resolverHook(t)
			at, came := canary(t)
			peer, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{"/ip4/127.0.0.1/tcp/0"}, NoDHT: true, Floor: gamelan.NoFloor}, gamelan.WithLogger(slog.New(slog.DiscardHandler)))
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close(context.Background())
			port, err := peer.Addresses()[0].ValueForProtocol(ma.P_TCP)
			if err != nil {
				t.Fatal(err)
			}
			behind := netip.MustParseAddrPort("127.0.0.1:" + port)
			proxy := &transporttest.Proxy{Names: map[string]netip.Addr{"peer.example": at.Addr()}, Ports: map[uint16]uint16{at.Port(): behind.Port()}}
			a := newStandIn(t, 1)[0]
			a.config.SOCKS.BypassTCP = c.bypass
			if err := a.start(t); err != nil {
				t.Fatal(err)
			}
			a.published(t)
			a.usesProxy(t, proxy.Start(t).String())
			if _, err := a.Peers().AddSeed(t.Context(), peer.PublicKey().String()+"::"+c.host+"/tcp/"+portText(at)); err != nil {
				t.Fatal(err)
			}
			_, err = a.Dial(t.Context(), peer.ID())
			if (err == nil) == c.bypass { // with the bypass nobody is there who could answer
				t.Errorf("got %v", err)
			}
			asked := ""
			for _, request := range proxy.Asked() {
				asked += request.Host
			}
			past := came.Load() + questions.Load()
			if asked != c.asked || c.bypass != (past > 0) {
				t.Errorf("the proxy was asked for %q, %d connections and questions went past it, want %q", asked, past, c.asked)
			}
		})
	}
}

// TestNewCircuits has an onion service that Tor cannot reach. After two failed dials the next
// ones have other circuits, and after four the node asks Tor for new ones, if it may, once.
func TestNewCircuits(t *testing.T) {
	t.Parallel()
	for _, permitted := range []bool{false, true} {
		t.Run(map[bool]string{false: "not permitted", true: "permitted"}[permitted], func(t *testing.T) {
			two := newStandIn(t, 2)
			a, far := two[0], two[1]
			a.config.Tor.NewCircuits = permitted
			startAll(t, two...)
			a.know(t, far)
			nowhere := &transporttest.Proxy{} // it knows no onion service
			a.usesProxy(t, nowhere.Start(t).String())
			const dials = 5
			for range dials {
				if _, err := a.Dial(t.Context(), far.ID()); err == nil {
					t.Fatal("got a connection")
				}
			}
			pairs := map[string]int{}
			for _, request := range nowhere.Asked() {
				pairs[request.Password]++
			}
			if len(pairs) != 3 {
				t.Errorf("got %d pairs for the dials, want another one after each two failures: %v", len(pairs), pairs)
			}
			want := 0
			if permitted {
				want = 1
				a.until(t, "the signal", func(s gamelan.TorStatus) bool {
					return s.Signals == want && len(a.control.Heard("SIGNAL NEWNYM")) == want // counted as it is sent
				})
			}
			if got := a.control.Heard("SIGNAL NEWNYM"); len(got) != want {
				t.Errorf("got %d signals, want %d", len(got), want)
			}
			a.usesProxy(t, far.control.Socks)
			a.confirm(t, far)
		})
	}
}

// TestFromTorComesNobodyKnown has strangers and a peer come through the onion service, all from
// loopback as Tor's connections do. The peer's connection has no IP address, none is stored, and
// 300 strangers who break the protocol do not shut the peer out.
func TestFromTorComesNobodyKnown(t *testing.T) {
	t.Parallel()
	two := newStandIn(t, 2)
	a, b := two[0], two[1]
	startAll(t, two...)
	to := strings.Replace(strings.TrimPrefix(b.config.Listen[0], "/ip4/"), "/tcp/", ":", 1)
	for range 300 {
		c, err := net.Dial("tcp4", to)
		if err != nil {
			t.Fatal(err)
		}
		c.Write(make([]byte, 64)) // it may have been closed already
		c.Close()
	}
	a.know(t, b)
	a.confirm(t, b)
	b.confirm(t, a)
	if c := b.Connections(); len(c) != 1 || strings.Contains(c[0].Addr.String(), "/ip4/") {
		t.Errorf("got the connections %v, want one without an IP address", c)
	}
	peer, ok := b.Peers().Get(a.ID())
	if !ok || len(peer.Addresses) != 1 || !strings.HasPrefix(peer.Addresses[0].Addr.String(), "/onion3/"+string(a.id)) {
		t.Errorf("got %v stored of the peer, want its onion address alone", peer.Addresses)
	}
	for one := range b.Peers().All() {
		for _, address := range one.Addresses {
			if strings.HasPrefix(address.Addr.String(), "/ip4/") {
				t.Errorf("got %s of %s, want no IP address", address.Addr, one.ID)
			}
		}
	}
}

// TestWhereTheProxyIs has Tor name a SOCKS port, then another one, then a Unix socket: the node
// reads it anew with each control connection. A port that the user has set stays.
func TestWhereTheProxyIs(t *testing.T) {
	t.Parallel()
	three := newStandIn(t, 3)
	a, b, fixed := three[0], three[1], three[2]
	set := &relay{to: a.control.Socks}
	fixed.config.SOCKS.Address = "/ip4/127.0.0.1/tcp/" + portText(netip.MustParseAddrPort(set.start(t)))
	startAll(t, three...)
	first, second := &relay{to: a.control.Socks}, &relay{to: a.control.Socks}
	a.know(t, b)
	a.usesProxy(t, first.start(t))
	a.confirm(t, b)
	if first.count() != 1 || second.count() != 0 {
		t.Errorf("got %d and %d connections to the two proxies, want the first alone used", first.count(), second.count())
	}
	a.usesProxy(t, second.start(t))
	a.know(t, fixed)
	a.confirm(t, fixed)
	if first.count() != 1 || second.count() != 1 {
		t.Errorf("got %d and %d connections to the two proxies, want the second used from now on", first.count(), second.count())
	}
	fixed.know(t, b)
	fixed.confirm(t, b)
	if set.count() != 1 {
		t.Errorf("got %d connections to the proxy that was set, want one", set.count())
	}
	b.know(t, fixed) // it is connected
	path := filepath.Join(t.TempDir(), "s")
	socket := &relay{to: b.control.Socks, at: path}
	socket.start(t)
	other := newStandIn(t, 1)[0]
	other.control.Socks = "unix:" + path
	if err := other.start(t); err != nil {
		t.Fatal(err)
	}
	other.published(t)
	other.know(t, b)
	other.confirm(t, b)
	if socket.count() != 1 {
		t.Errorf("got %d connections to the Unix socket, want one", socket.count())
	}
}
