package tcptor

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

// Options except addresses from the proxy. Each of them shows this node's IP address to the
// peer, and names to a name server.
type Options struct {
	// DirectTCP excepts every address with an IP address or a name.
	DirectTCP bool
	// Direct excepts these addresses, compared as they are. An onion service cannot be
	// excepted.
	Direct []ma.Multiaddr
	// TCP are the options of direct dials.
	TCP tcp.Options
}

// Transport dials through Tor or directly. Make one with [Hidden] or [Open].
type Transport struct {
	proxy   *socks.Transport
	tcp     *tcp.Transport
	options Options
	open    bool
}

var (
	_ transport.Transport    = (*Transport)(nil)
	_ transport.PermitDialer = (*Transport)(nil)
	_ transport.DialLimiter  = (*Transport)(nil)
)

// Hidden returns the transport of a node that does not show its IP address.
func Hidden(proxy *socks.Transport, o Options) *Transport {
	o.Direct = slices.Clone(o.Direct)
	return &Transport{proxy: proxy, tcp: tcp.New(o.TCP), options: o}
}

// Open returns the transport of a node that shows its IP address, and reaches onion services.
func Open(proxy *socks.Transport, o tcp.Options) *Transport {
	return &Transport{proxy: proxy, tcp: tcp.New(o), open: true}
}

// Name returns "tor" for Hidden and "tcp+tor" for Open.
func (t *Transport) Name() string {
	if t.open {
		return "tcp+tor"
	}
	return "tor"
}

// ErrNotLoopback reports a listener that others could reach without Tor.
var ErrNotLoopback = errors.New("a node behind Tor listens on loopback alone, such as /ip4/127.0.0.1/tcp/0")

// way is how an address is dialled.
type way int

const (
	byProxy way = iota
	directly
	resolved // by the proxy, and then directly
)

func (t *Transport) way(a ma.Multiaddr) way {
	switch {
	case len(a) == 0 || a[0].Code() == ma.P_ONION3:
		return byProxy
	case t.open && (a[0].Code() == ma.P_DNS || a[0].Code() == ma.P_DNS4):
		return resolved
	case t.open, t.options.DirectTCP, slices.ContainsFunc(t.options.Direct, a.Equal):
		return directly
	}
	return byProxy
}

// Handles reports whether an address of this kind can be dialled.
func (t *Transport) Handles(a ma.Multiaddr) bool {
	if t.way(a) == byProxy {
		return t.proxy.Handles(a)
	}
	return t.tcp.Handles(a)
}

// Dial connects to a.
func (t *Transport) Dial(ctx context.Context, a ma.Multiaddr) (transport.Conn, error) {
	switch t.way(a) {
	case directly:
		return t.tcp.Dial(ctx, a)
	case resolved:
		return t.dialResolved(ctx, a, func(netip.Addr) error { return nil })
	}
	return t.proxy.Dial(ctx, a)
}

// DialPermitted is Dial, but connects only to IP addresses for which permit returns nil, and asks
// the proxy for no name without a dot. What a name stands for that the proxy dials only the proxy
// knows; see [socks.Transport.DialPermitted].
func (t *Transport) DialPermitted(ctx context.Context, a ma.Multiaddr, permit func(netip.Addr) error) (transport.Conn, error) {
	switch t.way(a) {
	case directly:
		return t.tcp.DialPermitted(ctx, a, permit)
	case resolved:
		if err := socks.CheckName(a[0].Value()); err != nil {
			return nil, &transport.DialError{Addr: a, Stage: transport.StageAddress, Err: err}
		}
		return t.dialResolved(ctx, a, permit)
	}
	return t.proxy.DialPermitted(ctx, a, permit)
}

// DialLimit returns the limit of a dial through the proxy.
func (t *Transport) DialLimit(a ma.Multiaddr) time.Duration {
	if t.way(a) == byProxy {
		return t.proxy.DialLimit(a)
	}
	return 0
}

// dialResolved has the proxy look the name up and dials the IP address.
func (t *Transport) dialResolved(ctx context.Context, a ma.Multiaddr, permit func(netip.Addr) error) (transport.Conn, error) {
	if !t.tcp.Handles(a) {
		return nil, &transport.DialError{Addr: a, Stage: transport.StageAddress, Err: transport.ErrUnsupported}
	}
	ip, err := t.proxy.Resolve(ctx, a[0].Value())
	if err != nil {
		e := &transport.DialError{Addr: a, Stage: transport.StageResolve, Err: err}
		switch s, _ := errors.AsType[*socks.Error](err); {
		case s == nil:
		case s.Step == socks.StepAddress:
			e.Stage = transport.StageAddress
		case s.Step != socks.StepRequest:
			e.Stage = transport.StageProxy
		}
		return nil, e
	}
	port := a[1].RawValue()
	return t.tcp.DialPermitted(ctx, transport.FromAddrPort(netip.AddrPortFrom(ip, uint16(port[0])<<8|uint16(port[1]))), permit)
}

// Listen binds a on TCP. Behind Tor it must be an address of loopback, so that nobody reaches
// the node but through Tor; the error wraps [ErrNotLoopback] then.
func (t *Transport) Listen(ctx context.Context, a ma.Multiaddr) (transport.Listener, error) {
	if t.open {
		return t.tcp.Listen(ctx, a)
	}
	if ip, ok := transport.IP(a); ok && !ip.IsLoopback() {
		return nil, &transport.ListenError{Addr: a, Err: ErrNotLoopback}
	}
	l, err := t.tcp.Listen(ctx, a)
	if err != nil {
		return nil, err
	}
	return hiddenListener{l}, nil
}

// Stranger is the remote address of a connection that came through the onion service: Tor
// does not say where from.
var Stranger = ma.StringCast("/unix/onion")

// hiddenListener accepts connections from Tor. They come from a port of loopback, which
// says nothing about the peer.
type hiddenListener struct{ transport.Listener }

func (l hiddenListener) Accept() (transport.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return hiddenConn{c}, nil
}

type hiddenConn struct{ transport.Conn }

// RemoteMultiaddr returns [Stranger].
func (hiddenConn) RemoteMultiaddr() ma.Multiaddr { return Stranger }

// CloseWrite ends this side's half.
func (c hiddenConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return transport.ErrUnsupported
}
