package hostile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/internal/transport/transporttest"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

// TestDialInward has a peer claim addresses that lead a node of the main network
// to a service on the machine of that node: no connection may come. The same name
// given by the user is dialled, and so it is on a network of tests.
func TestDialInward(t *testing.T) {
	gamelantest.NoLeak(t)
	for _, c := range []struct {
		name    string
		network protocol.Network
		plain   bool // the transport cannot ask before it connects
		refused bool
	}{
		{name: "main network", network: protocol.MainNet, refused: true},
		{name: "main network, a transport that asks nobody", network: protocol.MainNet, plain: true, refused: true},
		{name: "local network", network: protocol.LocalNet},
	} {
		t.Run(c.name, func(t *testing.T) {
			service := serve(t)
			server := transporttest.NameServer{Names: map[string][]netip.Addr{
				"inward.example": {netip.MustParseAddr("127.0.0.1")},
				"nat64.example":  {netip.MustParseAddr("64:ff9b::7f00:1")},
			}}
			var tr transport.Transport = tcp.New(tcp.Options{Resolver: server.Resolver()})
			claimed := []string{fmt.Sprintf("/dns4/inward.example/tcp/%d", service.port)}
			switch {
			case c.plain:
				tr = struct{ transport.Transport }{tr}
			case c.refused:
				claimed = append(claimed, fmt.Sprintf("/dns6/nat64.example/tcp/%d", service.port), fmt.Sprintf("/ip6/64:ff9b::7f00:1/tcp/%d", service.port))
			}
			n := inwardTarget(t, c.network, tr)
			peer := claims(t, n, c.network, secretOf(1), claimed...)
			if c.refused {
				_, err := n.Dial(t.Context(), peer)
				checkInward(t, err, claimed)
				if got := service.connections.Load(); got > 0 && !c.plain {
					t.Errorf("got %d connections to a local service, want none", got)
				}
				if got := service.bytes.Load(); got > 0 {
					t.Errorf("got %d bytes sent to a local service, want none", got)
				}
				if server.Asked() == 0 {
					t.Error("the test's name server was not asked")
				}
				if _, err := n.Peers().AddSeed(t.Context(), secretOf(1).PublicKey().String()+"::"+claimed[0]); err != nil {
					t.Fatal(err)
				}
			}
			// From here on the address is the user's, or one of a network of tests.
			release := n.Protect(peer, "test")
			defer release()
			gamelantest.Eventually(t, patience, "a connection that was asked for", func() bool { return service.bytes.Load() > 0 })
		})
	}
}

// TestDialInwardThroughProxy has a peer claim names that a proxy looks up inside its own network,
// where they lead to a service: the proxy is not asked for them. A proxy that is a Tor is asked for
// the one with a dot, and every proxy for what the user has given.
func TestDialInwardThroughProxy(t *testing.T) {
	t.Parallel() // it waits most of the time
	for _, tor := range []bool{false, true} {
		t.Run(fmt.Sprintf("Tor %v", tor), func(t *testing.T) {
			service := serve(t)
			loopback := netip.MustParseAddr("127.0.0.1")
			proxy := &transporttest.Proxy{Names: map[string]netip.Addr{"router": loopback, "inward.example": loopback}}
			tr, err := socks.New(socks.Options{Proxy: transport.FromAddrPort(proxy.Start(t)), Tor: tor})
			if err != nil {
				t.Fatal(err)
			}
			n := inwardTarget(t, protocol.MainNet, tr)
			claimed := []string{fmt.Sprintf("/dns4/router/tcp/%d", service.port), fmt.Sprintf("/dns4/inward.example/tcp/%d", service.port)}
			peer := claims(t, n, protocol.MainNet, secretOf(1), claimed...)
			if _, err := n.Dial(t.Context(), peer); err == nil {
				t.Error("got a connection to no node")
			} else if !errors.Is(err, socks.ErrBareName) && !errors.Is(err, socks.ErrName) && !tor {
				t.Errorf("got %v, want the names refused", err)
			}
			for _, asked := range proxy.Asked() {
				if !tor || asked.Host != "inward.example" {
					t.Errorf("the proxy was asked for %s", asked.Host)
				}
			}
			if got := service.connections.Load(); got > 0 != tor {
				t.Errorf("got %d connections to a service of the proxy's network, of a Tor %v", got, tor)
			}
			before := service.bytes.Load()
			if _, err := n.Peers().AddSeed(t.Context(), secretOf(1).PublicKey().String()+"::"+claimed[0]); err != nil {
				t.Fatal(err)
			}
			release := n.Protect(peer, "test")
			defer release()
			gamelantest.Eventually(t, patience, "a connection that was asked for", func() bool { return service.bytes.Load() > before })
		})
	}
}

// checkInward checks that each of the addresses was refused for where it leads,
// and that the error says so.
func checkInward(t *testing.T, err error, claimed []string) {
	t.Helper()
	failed, ok := errors.AsType[*actors.DialError](err)
	if !ok || len(failed.Attempts) != len(claimed) {
		t.Fatalf("got %v, want %d addresses tried, once each", err, len(claimed))
	}
	for _, at := range failed.Attempts {
		want := "127.0.0.0/8 (loopback)"
		if strings.HasPrefix(at.Addr.String(), "/dns4") {
			want = "127.0.0.0/8 (loopback)"
		}
		if _, special := errors.AsType[*address.SpecialError](at.Err); !special {
			t.Errorf("%s: got %v, want it refused", at.Addr, at.Err)
		} else if text := at.Err.Error(); !strings.Contains(text, want) || !strings.Contains(text, "give its address yourself") {
			t.Errorf("%s: got %q, want %s and what to do", at.Addr, text, want)
		}
	}
}

// inwardTarget starts a node of a network on loopback, which tells others an
// address of the internet.
func inwardTarget(t *testing.T, network protocol.Network, tr transport.Transport) *target {
	t.Helper()
	n := &target{t: t, heard: gamelantest.NewCollector()}
	node, err := gamelan.Start(t.Context(), plainly(gamelan.Config{
		Network: network.String(), Secret: gamelantest.Secret(1), Listen: []string{"/ip4/127.0.0.1/tcp/0"},
		PublicAddresses: []string{"/ip4/8.8.8.8/tcp/18189"}, ExcludeDial: []string{"/ip4/8.8.8.8/tcp/*"},
	}), quiet, gamelan.WithHandler(n.heard.New), gamelan.WithTransport(tr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := node.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	n.Node = &gamelantest.Node{Node: node, Number: 1, Addr: node.Listening()[0]}
	n.watch()
	return n
}

// claims connects a peer once, which says that it is at these addresses.
func claims(t *testing.T, n *target, network protocol.Network, secret *identity.Secret, addresses ...string) identity.NodeID {
	t.Helper()
	var list [][]byte
	for _, a := range addresses {
		list = append(list, ma.StringCast(a).Bytes())
	}
	c := rawDial(t, tcp.New(tcp.Options{}), n.Addr)
	secure, err := noise.Client(c, noise.Config{Static: secret, Prefix: []byte{protocol.Tari(network).WireByte}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := secure.Write(correct(t, secret, list...).Frame()); err != nil {
		t.Fatal(err)
	}
	gamelantest.Eventually(t, patience, "the claim", func() bool {
		p, ok := n.Peers().Get(secret.NodeID())
		return ok && len(p.Addresses) == len(addresses)
	})
	p, _ := n.Peers().Get(secret.NodeID())
	for _, a := range p.Addresses {
		if a.Source == peerstore.Config {
			t.Fatalf("%s: got it as configured", a.Addr)
		}
	}
	gamelantest.Eventually(t, patience, "the connection", func() bool {
		_, ok := n.Connection(secret.NodeID())
		return ok
	})
	c.Close()
	gamelantest.Eventually(t, patience, "the end of the connection", func() bool {
		_, ok := n.Connection(secret.NodeID())
		return !ok
	})
	return secret.NodeID()
}

// localService is a program on the node's machine that is no node. It counts.
type localService struct {
	port               int
	connections, bytes atomic.Int64
}

func serve(t *testing.T) *localService {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &localService{port: l.Addr().(*net.TCPAddr).Port}
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.connections.Add(1)
			n, _ := io.CopyN(io.Discard, c, 1) // an honest node says its wire byte
			s.bytes.Add(n)
			c.Close()
		}
	}()
	return s
}
