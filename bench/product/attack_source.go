package product

import (
	"context"
	"fmt"
	"net"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

// placedTCP is TCP over loopback whose inbound connections seem to come from
// addresses of the internet, so that no source is exempt from limits: what comes
// from 127.A.B.C from 8.A.B.C, and what comes from 127.0.0.1, as honest peers do,
// each from another network of 9.0.0.0/8.
type placedTCP struct{ *tcp.Transport }

// Listen binds an address of loopback.
func (t placedTCP) Listen(ctx context.Context, a ma.Multiaddr) (transport.Listener, error) {
	l, err := t.Transport.Listen(ctx, a)
	return placedListener{l}, err
}

type placedListener struct{ transport.Listener }

// Accept takes the next connection.
func (l placedListener) Accept() (transport.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	inner, ok := c.(*tcp.Conn)
	at, isTCP := c.RemoteAddr().(*net.TCPAddr)
	if !ok || !isTCP || at.IP.To4() == nil {
		return nil, fmt.Errorf("got a connection from %v, want TCP over IPv4", c.RemoteMultiaddr())
	}
	ip := at.IP.To4()
	from := [4]byte{8, ip[1], ip[2], ip[3]}
	if ip.Equal(net.IPv4(127, 0, 0, 1)) {
		from = [4]byte{9, byte(at.Port >> 8), byte(at.Port), 9}
	}
	addr, err := ma.NewMultiaddr(fmt.Sprintf("/ip4/%s/tcp/%d", net.IP(from[:]), at.Port))
	return placedConn{inner, addr}, err
}

type placedConn struct {
	*tcp.Conn
	from ma.Multiaddr
}

// RemoteMultiaddr is where the connection seems to come from.
func (c placedConn) RemoteMultiaddr() ma.Multiaddr { return c.from }

// knock connects to the node of a seed from an address of loopback, and sends
// nothing.
func knock(ctx context.Context, seed, from string) (net.Conn, error) {
	to, err := hostPort(seed)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return d.DialContext(ctx, "tcp4", to)
}

// hostPort returns 127.0.0.1 and the port of a node's seed.
func hostPort(seed string) (string, error) {
	p, err := peerstore.ParseSeed(seed)
	if err != nil {
		return "", err
	}
	port, err := p.Addresses[0].Addr.ValueForProtocol(ma.P_TCP)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort("127.0.0.1", port), nil
}
