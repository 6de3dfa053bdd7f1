package socks

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

// Options describe the proxy.
type Options struct {
	// Proxy is the proxy's address: /ip4/…/tcp/…, /ip6/…/tcp/… or /unix/….
	Proxy ma.Multiaddr
	// Later says that there is no Proxy yet: [Transport.SetProxy] names it. Until then every
	// dial fails.
	Later bool
	// Tor says that the proxy is a Tor, which looks names up at an exit of its network and not
	// in a network that strangers cannot reach. Without it, [Transport.DialPermitted] dials
	// no names.
	Tor bool
	// Credentials are for a proxy that wants some. With them there is no isolation.
	Credentials Credentials
	// Isolation chooses which dials share a pair of user name and password that stands for
	// nothing. Default: PerPeer.
	Isolation Isolation
	// Limits are the time limits of each dial.
	Limits Limits
}

// Transport dials through a SOCKS5 proxy, and listens on TCP. Make one with [New].
type Transport struct {
	options Options
	proxy   atomic.Pointer[proxy]
	pairs   *pairs
	stuck   atomic.Pointer[func()]
	tcp     *tcp.Transport // listens, and never dials
}

var (
	_ transport.Transport    = (*Transport)(nil)
	_ transport.PermitDialer = (*Transport)(nil)
	_ transport.DialLimiter  = (*Transport)(nil)
)

// New returns a transport through the proxy. It does not connect to it.
func New(o Options) (*Transport, error) {
	t := &Transport{options: o, tcp: tcp.New(tcp.Options{})}
	if err := o.Credentials.check(); err != nil {
		return nil, err
	}
	t.options.Limits = o.Limits.withDefaults()
	if o.Later {
		_ = t.SetProxy(nil)
	} else if _, _, err := proxyAddress(o.Proxy); err != nil {
		return nil, err
	} else if err := t.SetProxy(o.Proxy); err != nil {
		return nil, err
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // it never fails
	t.pairs = newPairs(o.Isolation, secret)
	return t, nil
}

// ErrNoProxy reports a dial while the proxy's address is not known.
var ErrNoProxy = errors.New("its address is not known at present")

// ErrName reports a name that this transport does not have looked up for a stranger.
var ErrName = errors.New("a peer chose this name, and the proxy may look it up inside its own network; set proxy.tor if the proxy is a Tor, or give the address yourself")

// ErrBareName reports a name without a dot, which stands for something in a local network.
var ErrBareName = errors.New("a peer chose this name, which has no dot and can only be one of a local network; give the address yourself if you trust it")

func noProxyYet(context.Context, string, string) (net.Conn, error) { return nil, ErrNoProxy }

// SetProxy changes the proxy's address for further dials. It does not connect to it. With nil
// dials fail until the next one.
func (t *Transport) SetProxy(a ma.Multiaddr) error {
	if a == nil {
		t.proxy.Store(&proxy{limits: t.options.Limits, connect: noProxyYet})
		return nil
	}
	p := &proxy{multiaddr: a, limits: t.options.Limits, connect: (&net.Dialer{KeepAlive: -1}).DialContext}
	var err error
	if p.network, p.addr, err = proxyAddress(a); err != nil {
		return err
	}
	t.proxy.Store(p)
	return nil
}

// OnStuck sets the function to call when dials of one onion service keep failing although
// they had other credentials, and so circuits of their own. It must not wait.
func (t *Transport) OnStuck(f func()) { t.stuck.Store(&f) }

// DialLimit returns the limit of a whole dial of the address.
func (t *Transport) DialLimit(a ma.Multiaddr) time.Duration {
	return t.options.Limits.of(destination{onion: len(a) > 0 && a[0].Code() == ma.P_ONION3})
}

// proxyAddress returns the proxy's address in the form of package net.
func proxyAddress(a ma.Multiaddr) (network, addr string, err error) {
	hint := "the proxy's address must be /ip4/…/tcp/…, /ip6/…/tcp/… or /unix/…, such as /ip4/127.0.0.1/tcp/9050"
	if a == nil {
		return "", "", fmt.Errorf("socks: no proxy; %s", hint)
	}
	switch a[0].Code() {
	case ma.P_IP4, ma.P_IP6, ma.P_UNIX:
		if network, addr, err = manet.DialArgs(a); err == nil && (a[0].Code() == ma.P_UNIX || len(a) == 2 && a[1].Code() == ma.P_TCP) {
			return network, addr, nil
		}
	}
	return "", "", fmt.Errorf("socks: proxy %s; %s", a, hint)
}

// Name returns "socks".
func (t *Transport) Name() string { return "socks" }

// Handles reports whether the proxy can dial an address of this kind. It looks at the first
// two components only.
func (t *Transport) Handles(a ma.Multiaddr) bool {
	if len(a) == 0 {
		return false
	}
	switch a[0].Code() {
	case ma.P_ONION3:
		return true
	case ma.P_IP4, ma.P_IP6, ma.P_DNS, ma.P_DNS4:
		return len(a) > 1 && a[1].Code() == ma.P_TCP
	}
	return false
}

// Dial connects to a through the proxy. The *[transport.DialError] wraps an *[Error].
func (t *Transport) Dial(ctx context.Context, a ma.Multiaddr) (transport.Conn, error) {
	to, err := destinationOf(a)
	if err != nil {
		return nil, dialError(a, &Error{Step: StepAddress, Cause: CauseAddress, Err: err})
	}
	return t.dial(ctx, a, to)
}

// DialPermitted is Dial, but asks the proxy for no IP address for which permit returns an
// error. What a name stands for only the proxy knows: only a Tor is asked for names, and for
// none without a dot ([CheckName]). The error wraps [ErrName] or [ErrBareName] otherwise.
func (t *Transport) DialPermitted(ctx context.Context, a ma.Multiaddr, permit func(netip.Addr) error) (transport.Conn, error) {
	to, err := destinationOf(a)
	switch {
	case err != nil:
	case to.ip.IsValid():
		if err := permit(to.ip); err != nil {
			return nil, &transport.DialError{Addr: a, Stage: transport.StageConnect, Err: err}
		}
	case !to.onion && !t.options.Tor:
		err = ErrName
	case !to.onion:
		err = CheckName(to.name)
	}
	if err != nil {
		return nil, dialError(a, &Error{Step: StepAddress, Cause: CauseAddress, Err: err})
	}
	return t.dial(ctx, a, to)
}

// CheckName returns [ErrBareName] for a name without a dot but the last.
func CheckName(name string) error {
	if !strings.Contains(strings.TrimRight(name, "."), ".") {
		return ErrBareName
	}
	return nil
}

func (t *Transport) dial(ctx context.Context, a ma.Multiaddr, to destination) (transport.Conn, error) {
	p := t.proxy.Load()
	conn, e := t.connect(ctx, p, to, a.String())
	if e != nil {
		return nil, dialError(a, e)
	}
	return newConn(conn, a, p.multiaddr), nil
}

// connect makes a connection through the proxy. An onion service whose Tor has restarted may leave a
// request without an answer, because circuits lead to its earlier life. So a quarter of the
// time without an answer counts as two failures, and the request is made again with a fresh
// pair; that happens twice at most. A service that is new to Tor may be refused once although
// it is there ([Error.momentary]), so such a request is made twice, and counts as one failure.
func (t *Transport) connect(ctx context.Context, p *proxy, to destination, key string) (net.Conn, *Error) {
	ctx, cancel := context.WithTimeout(ctx, p.limits.of(to))
	defer cancel()
	again := to.onion
	for fresh := 2; ; fresh-- {
		c := t.options.Credentials
		if c.IsZero() {
			c = t.pairs.credentials(peerOf(ctx), key)
		}
		limited, end := ctx, func() {}
		if deadline, ok := ctx.Deadline(); ok && to.onion && fresh > 0 && c.User == isolationUser {
			limited, end = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(2+fresh))
		}
		conn, _, e := p.request(limited, commandConnect, to, c)
		hung := e != nil && e.Step == StepRequest && limited.Err() != nil && ctx.Err() == nil
		end()
		if e == nil {
			t.pairs.ended(key, true)
			return conn, nil
		}
		if again && e.momentary() {
			again, fresh = false, fresh+1
			continue
		}
		if e.Step == StepRequest && !errors.Is(e, context.Canceled) {
			t.failed(to, key)
		}
		if !hung {
			return nil, e
		}
		t.failed(to, key)
	}
}

// failed counts a failure, and says when fresh pairs do not help.
func (t *Transport) failed(to destination, key string) {
	failures := t.pairs.ended(key, false)
	if f := t.stuck.Load(); f != nil && to.onion && failures > freshAfter && failures%freshAfter == 0 {
		(*f)()
	}
}

func peerOf(ctx context.Context) string {
	peer, ok := transport.PeerOf(ctx)
	if !ok {
		return ""
	}
	return peer.String()
}

func dialError(a ma.Multiaddr, e *Error) error {
	return &transport.DialError{Addr: a, Stage: e.stage(), Err: e}
}

// Resolve asks the proxy for an IP address of a name, with the RESOLVE request that Tor
// knows and most other proxies do not. The error is an *[Error].
func (t *Transport) Resolve(ctx context.Context, name string) (netip.Addr, error) {
	p := t.proxy.Load()
	ip, host, err := nameOf(name)
	if err != nil {
		return netip.Addr{}, &Error{Proxy: p.addr, Step: StepAddress, Cause: CauseAddress, Err: err}
	}
	if ip.IsValid() {
		return ip, nil
	}
	c := t.options.Credentials
	if c.IsZero() {
		c = t.pairs.credentials(peerOf(ctx), host)
	}
	conn, found, e := p.request(ctx, commandResolve, destination{name: host}, c)
	if e != nil {
		return netip.Addr{}, e
	}
	conn.Close()
	if !found.IsValid() {
		return netip.Addr{}, p.named(&Error{Step: StepRequest, Cause: CauseProtocol, Err: fmt.Errorf("%w: a name for an address", ErrReply)})
	}
	return found, nil
}

// Listen binds a on TCP; see package tcp.
func (t *Transport) Listen(ctx context.Context, a ma.Multiaddr) (transport.Listener, error) {
	return t.tcp.Listen(ctx, a)
}

// Conn is a connection through the proxy. A proxy need not pass on the end of one direction
// alone, so it has no CloseWrite.
type Conn struct {
	net.Conn
	local, remote ma.Multiaddr
}

var _ transport.Conn = (*Conn)(nil)

func newConn(c net.Conn, dialled, proxy ma.Multiaddr) *Conn {
	local, ok := transport.FromNetAddr(c.LocalAddr())
	if !ok {
		local = proxy // a Unix socket; this end has no address of its own
	}
	return &Conn{Conn: c, local: local, remote: dialled}
}

// LocalMultiaddr returns this end's address on the way to the proxy; for a proxy at a Unix
// socket, that socket.
func (c *Conn) LocalMultiaddr() ma.Multiaddr { return c.local }

// RemoteMultiaddr returns the dialled address. A name in it is not resolved.
func (c *Conn) RemoteMultiaddr() ma.Multiaddr { return c.remote }
