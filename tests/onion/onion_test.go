package onion

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/transport/tcptor"
	"github.com/gamelan-p2p/gamelan/internal/transport/transporttest"
	"github.com/gamelan-p2p/gamelan/tests/onion/tornet"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// anyPort is where listeners of these tests listen.
var anyPort = ma.StringCast("/ip4/127.0.0.1/tcp/0")

// target returns a listener's address in the form of a control port.
func target(l transport.Listener) string {
	return strings.Replace(strings.TrimPrefix(l.Multiaddr().String(), "/ip4/"), "/tcp/", ":", 1)
}

// tcpAddress returns the multiaddr of an IP address and a port.
func tcpAddress(t *testing.T, hostPort string) ma.Multiaddr {
	t.Helper()
	at, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		t.Fatal(err)
	}
	return transport.FromAddrPort(at)
}

// socksThrough returns the transport through a client's SOCKS port.
func socksThrough(t *testing.T, c *tornet.Client, o socks.Options) *socks.Transport {
	t.Helper()
	o.Proxy = tcpAddress(t, c.SocksExtended)
	tr, err := socks.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// publish makes an onion service of a client lead to a listener, waits until it is published,
// and dials it once through tr: the first dial of a new service fails now and then.
func publish(t *testing.T, r *driver, l transport.Listener, tr transport.Transport) ma.Multiaddr {
	t.Helper()
	key := newKey(t)
	r.step(tor.Publish{Service: tor.Service{Key: key, Ports: []tor.Port{{Virtual: tor.DefaultOnionPort, Target: target(l)}}}})
	r.is(key.ID(), tor.Published)
	t.Cleanup(func() { r.step(tor.Withdraw{ID: key.ID()}) })
	a, err := key.ID().Multiaddr(tor.DefaultOnionPort)
	if err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(2 * time.Minute); time.Now().Before(limit); {
		var conn transport.Conn
		if conn, err = tr.Dial(t.Context(), a); err != nil {
			t.Logf("dial of a published service: %v", err)
			continue
		}
		const word = "published"
		_, err = conn.Write([]byte(word))
		if err == nil {
			transporttest.Meet(t, l, word).Close()
		}
		conn.Close()
		if err == nil {
			return a
		}
	}
	t.Fatalf("dial of a published service, for two minutes: %v", err)
	return nil
}

// TestConformanceOverTor has the suite of all transports over Tor: to onion services, and through
// an exit.
func TestConformanceOverTor(t *testing.T) {
	n := network(t)
	hidden := func(t *testing.T) (transport.Transport, ma.Multiaddr) {
		return tcptor.Hidden(socksThrough(t, n.Clients[1], socks.Options{}), tcptor.Options{}), anyPort
	}
	t.Run("onion services", func(t *testing.T) {
		r := drive(t, torOf{n.Clients[0]}, "safecookie=@"+n.Clients[0].Cookie)
		var tr transport.Transport
		transporttest.ConformanceThroughOnion(t, func(t *testing.T) (transport.Transport, ma.Multiaddr) {
			var listen ma.Multiaddr
			tr, listen = hidden(t)
			return tr, listen
		}, func(t *testing.T, l transport.Listener) ma.Multiaddr { return publish(t, r, l, tr) })
	})
	t.Run("exit", func(t *testing.T) { transporttest.ConformanceThroughProxy(t, hidden) })
	t.Run("open", func(t *testing.T) {
		transporttest.Conformance(t, func(t *testing.T) (transport.Transport, ma.Multiaddr) {
			return tcptor.Open(socksThrough(t, n.Clients[1], socks.Options{}), tcp.Options{}), anyPort
		})
	})
}
