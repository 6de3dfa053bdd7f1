package tcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/openfiles"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/transport"
)

// Options change how a [Transport] dials. The zero value is ready for use.
type Options struct {
	// Resolver resolves names; nil is net.DefaultResolver.
	Resolver *net.Resolver
	// DialTimeout limits one dial, including the look-up of the name, in addition to
	// the caller's context. 0 means no limit but the context's.
	DialTimeout time.Duration
}

// Transport dials and listens over TCP. Make one with [New].
type Transport struct{ options Options }

// New returns a transport.
func New(o Options) *Transport { return &Transport{o} }

var (
	_ transport.Transport    = (*Transport)(nil)
	_ transport.PermitDialer = (*Transport)(nil)
)

// Name returns "tcp".
func (t *Transport) Name() string { return "tcp" }

// Handles reports whether a has one of the forms of the package comment. It looks at the
// first two components only.
func (t *Transport) Handles(a ma.Multiaddr) bool {
	_, ok := targetOf(a)
	return ok
}

// LookupTXT returns the TXT records of a DNS name, by which a network may name its seeds.
func (t *Transport) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return cmp.Or(t.options.Resolver, net.DefaultResolver).LookupTXT(ctx, name)
}

// target is an address in the form of package net.
type target struct {
	network  string // tcp, tcp4 or tcp6
	host     string
	port     int
	resolved bool // host is an IP address
}

func (t target) hostPort() string { return net.JoinHostPort(t.host, strconv.Itoa(t.port)) }

func targetOf(a ma.Multiaddr) (t target, ok bool) {
	if len(a) < 2 || a[1].Code() != ma.P_TCP {
		return t, false
	}
	switch a[0].Code() {
	case ma.P_IP4:
		t.network, t.resolved = "tcp4", true
	case ma.P_IP6:
		t.network, t.resolved = "tcp6", true
	case ma.P_DNS:
		t.network = "tcp"
	case ma.P_DNS4:
		t.network = "tcp4"
	case ma.P_DNS6:
		t.network = "tcp6"
	default:
		return t, false
	}
	port := a[1].RawValue()
	t.host, t.port = a[0].Value(), int(port[0])<<8|int(port[1])
	return t, true
}

// ErrGroup reports a listener on an address of many machines, multicast or broadcast.
var ErrGroup = errors.New("an address of many machines, which nobody can dial; listen on one of this machine, or on 0.0.0.0 (::) for all of them")

// ErrNoZone reports a listener on a link-local IPv6 address. Such an address is one only
// together with its interface, for which a peer's address has no place.
var ErrNoZone = errors.New("a link-local IPv6 address, with or without a zone, names no interface of those who dial it; listen on /ip6/::/tcp/PORT, which includes it, or on another address")

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// Dial connects to a. It resolves a name with the resolver and tries its addresses, of
// the family that a asks for, in turn.
func (t *Transport) Dial(ctx context.Context, a ma.Multiaddr) (transport.Conn, error) {
	return t.dial(ctx, a, nil)
}

// DialPermitted is Dial, but connects only to IP addresses for which permit returns nil.
// It calls permit for each address of a name, after it has made the socket and before it
// sends anything.
func (t *Transport) DialPermitted(ctx context.Context, a ma.Multiaddr, permit func(netip.Addr) error) (transport.Conn, error) {
	return t.dial(ctx, a, func(_ context.Context, _, at string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(at)
		if err != nil {
			return err
		}
		return permit(ap.Addr())
	})
}

// control is the function that net.Dialer calls before a socket connects; see
// [net.Dialer].
type control = func(ctx context.Context, network, address string, c syscall.RawConn) error

func (t *Transport) dial(ctx context.Context, a ma.Multiaddr, before control) (transport.Conn, error) {
	to, ok := targetOf(a)
	if !ok {
		return nil, &transport.DialError{Addr: a, Stage: transport.StageAddress, Err: transport.ErrUnsupported}
	}
	if to.port == 0 {
		return nil, &transport.DialError{Addr: a, Stage: transport.StageAddress, Err: fmt.Errorf("%w: port 0 cannot be dialled", transport.ErrUnsupported)}
	}
	var messages icmp
	d := net.Dialer{
		Timeout:   t.options.DialTimeout,
		Resolver:  t.options.Resolver,
		KeepAlive: -1, // the connection's owner sends its own pings

		ControlContext: messages.watch(before),
	}
	c, err := d.DialContext(ctx, to.network, to.hostPort())
	refused := messages.end()
	if err != nil {
		return nil, dialError(ctx, a, err, refused)
	}
	return newConn(c.(*net.TCPConn)), nil
}

// dialError returns the DialError of a failed dial, with its stage and cause.
func dialError(ctx context.Context, a ma.Multiaddr, err error, refused *transport.Refusal) error {
	e := &transport.DialError{Addr: a, Stage: transport.StageConnect, Err: err}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		e.Stage = transport.StageResolve
	}
	special, isSpecial := errors.AsType[*address.SpecialError](err)
	switch {
	case isSpecial:
		e.Err = transport.Known(special, err)
	case ctx.Err() != nil:
		e.Err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			e.Err = fmt.Errorf("%w: %w", transport.ErrTimeout, e.Err)
			if e.Stage == transport.StageResolve { // it is the name server that has not answered
				e.Err = fmt.Errorf("%w: %w", transport.ErrResolve, e.Err)
			}
		}
	case e.Stage == transport.StageResolve:
		e.Err = fmt.Errorf("%w: %w", transport.ErrResolve, err)
	case transport.IsTimeout(err):
		e.Err = transport.Known(transport.ErrTimeout, err)
	case refused != nil:
		e.Err = transport.Known(refused, err)
	default:
		if e.Err = transport.Classify(err); errors.Is(e.Err, transport.ErrAddressNotAvailable) {
			e.Err = transport.Known(transport.ErrNoLocalPort, err)
		}
	}
	return e
}

// Listen binds a, which is /ip4/…/tcp/… or /ip6/…/tcp/…; with port 0 the
// system chooses the port. An IPv6 listener takes no IPv4 connections.
func (t *Transport) Listen(ctx context.Context, a ma.Multiaddr) (transport.Listener, error) {
	if err := CheckListen(a); err != nil {
		return nil, err
	}
	at, _ := targetOf(a)
	lc := net.ListenConfig{KeepAlive: -1}
	l, err := lc.Listen(ctx, at.network, at.hostPort())
	if err != nil {
		return nil, &transport.ListenError{Addr: a, Err: transport.Classify(err)}
	}
	bound, ok := transport.FromNetAddr(l.Addr())
	if !ok {
		l.Close()
		return nil, &transport.ListenError{Addr: a, Err: fmt.Errorf("unexpected address %s", l.Addr())}
	}
	return &listener{TCPListener: l.(*net.TCPListener), addr: bound}, nil
}

// CheckListen returns the error with which Listen refuses an address on any machine, a
// [*transport.ListenError], or nil.
func CheckListen(a ma.Multiaddr) error {
	at, ok := targetOf(a)
	if !ok && len(a) > 0 && a[0].Code() == ma.P_IP6ZONE {
		return &transport.ListenError{Addr: a, Err: ErrNoZone}
	}
	if !ok || !at.resolved {
		return &transport.ListenError{Addr: a, Err: transport.ErrUnsupported}
	}
	switch ip, _ := netip.ParseAddr(at.host); {
	case ip.Is6() && ip.IsLinkLocalUnicast():
		return &transport.ListenError{Addr: a, Err: ErrNoZone}
	case ip.IsMulticast(), ip == broadcast:
		return &transport.ListenError{Addr: a, Err: ErrGroup}
	}
	return nil
}

type listener struct {
	*net.TCPListener
	addr ma.Multiaddr
}

func (l *listener) Multiaddr() ma.Multiaddr { return l.addr }

func (l *listener) Accept() (transport.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		if errors.Is(err, net.ErrClosed) {
			err = fmt.Errorf("%w: accept on %s", transport.ErrClosed, l.addr)
		}
		return nil, err
	}
	if l.crowded(c) {
		c.Close()
		return nil, fmt.Errorf("accept on %s: %w; the last ones are kept for the rest of the process", l.addr, syscall.EMFILE)
	}
	return newConn(c), nil
}

// crowded reports whether a connection takes a file that the rest of the process needs.
func (l *listener) crowded(c *net.TCPConn) (is bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false // closed already
	}
	_ = raw.Control(func(fd uintptr) { is = openfiles.Crowded(fd) }) // an error: closed already
	return is
}
