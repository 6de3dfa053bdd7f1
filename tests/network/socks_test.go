package network

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/internal/transport/transporttest"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
)

// TestNodesThroughProxy has a node that dials through a proxy alone. It reaches one peer by a
// name that only the proxy knows and one by its IP address, each with a pair of its own.
func TestNodesThroughProxy(t *testing.T) {
	was := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("the node asks a name server itself")
		return nil, errors.New("no name server in this test")
	}}
	defer func() { net.DefaultResolver = was }()

	p := &transporttest.Proxy{Names: map[string]netip.Addr{"peer.example": netip.MustParseAddr("127.0.0.1")}}
	tr, err := socks.New(socks.Options{Proxy: transport.FromAddrPort(p.Start(t))})
	if err != nil {
		t.Fatal(err)
	}
	start := func(opts ...gamelan.Option) *gamelan.Node {
		n, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Floor: gamelan.NoFloor}, append(opts, kit.Quiet)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close(context.Background()) })
		return n
	}
	dialer := start(gamelan.WithTransport(tr))
	heard := make(chan gamelan.Received, 2)
	hears := gamelan.WithHandler(gamelan.Handle(func(m gamelan.Received) { heard <- m }))
	named, numbered := start(hears), start(hears)

	for _, to := range []*gamelan.Node{named, numbered} {
		peer, err := peerstore.ParseSeed(to.Seed())
		if err != nil {
			t.Fatal(err)
		}
		if to == named {
			text := peer.Addresses[0].Addr.String()
			peer.Addresses[0].Addr = ma.StringCast(strings.Replace(text, "/ip4/127.0.0.1/", "/dns4/peer.example/", 1))
		}
		peer.Flags = 0
		if err := dialer.Peers().Add(t.Context(), peer); err != nil {
			t.Fatal(err)
		}
		outcome, err := dialer.Send(t.Context(), to.ID(), []byte("through the proxy"))
		if err != nil || outcome.Kind != gamelan.Confirmed {
			t.Fatalf("send: got %v, %v, want it confirmed", outcome, err)
		}
		if m := <-heard; string(m.Body) != "through the proxy" || m.Peer != dialer.ID() {
			t.Errorf("got %q from %s, want the message", m.Body, m.Peer)
		}
	}
	asked := p.Asked()
	if len(asked) != 2 || asked[0].Host != "peer.example" || asked[1].Host != "127.0.0.1" {
		t.Fatalf("the proxy got %+v, want the name and the IP address", asked)
	}
	if asked[0].User == "" || asked[0].Password == asked[1].Password {
		t.Errorf("the proxy got %+v, want a pair for each peer", asked)
	}
}
