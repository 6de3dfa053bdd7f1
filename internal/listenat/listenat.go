// Package listenat has what the node's HTTP servers over TCP share: how an address is written, and a
// listener with limits of open connections.
package listenat

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Parse returns the address that a text stands for. A port alone is one of 127.0.0.1; port 0 is a free
// one. The error says what to write instead; its examples have the port of example.
func Parse(text, example string) (netip.AddrPort, error) {
	bad := func(why string) (netip.AddrPort, error) { return netip.AddrPort{}, errors.New(why) }
	forms := "write a port, such as " + example + ", or an IP address with a port, such as 10.0.0.7:" + example
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = "127.0.0.1", text
	}
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil:
		return bad(forms)
	case host == "":
		return bad("write " + port + " for this machine alone, or 0.0.0.0:" + port + " for all of its IPv4 addresses")
	case strings.EqualFold(host, "localhost"):
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return bad(host + " is no IP address; " + forms)
	}
	return netip.AddrPortFrom(ip, uint16(n)), nil
}

// Listen listens at an address. The error is the system's, without the address.
func Listen(at netip.AddrPort) (net.Listener, error) {
	network := "tcp"
	if at.Addr().Is4() {
		network = "tcp4" // 0.0.0.0 would be all addresses of IPv6 as well
	}
	l, err := net.ListenTCP(network, net.TCPAddrFromAddrPort(at))
	if err == nil {
		return l, nil
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	return nil, err
}

// Source returns where an address belongs to when limits count: an IPv4 address, or an IPv6 /64.
func Source(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // the zero Addr has the zero Prefix
	return p
}

// Limited is a listener with limits of open connections, in all and for each source. One that nobody has vouched
// for may make way for a new one: see [Limited.take]. If none does, the new one is closed at once.
type Limited struct {
	net.Listener
	total, each int

	mu      sync.Mutex
	conns   []*placed // oldest first
	refused uint64
}

// Limit returns a Limited.
func Limit(l net.Listener, total, each int) *Limited {
	return &Limited{Listener: l, total: total, each: each}
}

// Accept returns the next connection for which there is a place.
func (l *Limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		p := &placed{Conn: c, of: l, source: sourceOf(c), since: time.Now()}
		ok, out := l.take(p)
		if out != nil {
			out.Close()
		}
		if ok {
			return p, nil
		}
		c.Close()
	}
}

// Open returns how many connections are open, and how many were closed for want of a place.
func (l *Limited) Open() (open int, refused uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns), l.refused
}

// Grace is how long a connection keeps its place at least, unless its source has more of them than others: time
// for a handshake and the first request.
const Grace = 250 * time.Millisecond

// take gives p a place, and returns the connection that makes way for it, if there is none left. A source that
// has all of its own places loses its oldest connection for which nobody has vouched. So does, of all sources, the one
// with most of these: at once if it then still has no fewer than the source of p, otherwise after [Grace].
func (l *Limited) take(p *placed) (ok bool, out *placed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all, oldest := make(map[netip.Prefix]int), make(map[netip.Prefix]*placed)
	unknown := make(map[netip.Prefix]int)
	for _, c := range l.conns {
		if all[c.source]++; c.user == nobody {
			if unknown[c.source]++; unknown[c.source] == 1 {
				oldest[c.source] = c
			}
		}
	}
	at := p.source // whose connection makes way
	switch {
	case all[p.source] >= l.each:
	case len(l.conns) < l.total:
		l.conns = append(l.conns, p)
		return true, nil
	default:
		for _, c := range l.conns { // in the order of age, so that nothing depends on that of a map
			if unknown[c.source] > unknown[at] {
				at = c.source
			}
		}
	}
	l.refused++ // p, or the one that makes way
	out = oldest[at]
	if out == nil || unknown[at] <= unknown[p.source]+1 && p.since.Sub(out.since) < Grace {
		return false, nil
	}
	l.give(out)
	l.conns = append(l.conns, p)
	return true, out
}

// give frees the place of a connection, if it has one; mu is locked.
func (l *Limited) give(p *placed) {
	if i := slices.Index(l.conns, p); i >= 0 {
		l.conns = slices.Delete(l.conns, i, i+1)
	}
}

// user is who uses a connection, as far as it is known.
type user int

const (
	nobody user = iota // has shown that it may
	guest
	owner
)

type placed struct {
	net.Conn
	of     *Limited
	source netip.Prefix
	since  time.Time
	user   user // under of.mu
}

// Close closes the connection and frees its place.
func (p *placed) Close() error {
	p.of.mu.Lock()
	p.of.give(p)
	p.of.mu.Unlock()
	return p.Conn.Close()
}

type connKey struct{}

// Context returns the context of a server's connection, for [Vouch]: it is a ConnContext of an [http.Server].
func Context(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return context.WithValue(ctx, connKey{}, c)
}

// Vouch says who sends a request of that context: an owner, or a guest. From then on its connection makes way for no
// other. Guests have three quarters of the places, in all and of each source; the result is false if all of
// these are taken.
func Vouch(ctx context.Context, isOwner bool) bool {
	p, ok := ctx.Value(connKey{}).(*placed)
	if !ok {
		return true
	}
	l := p.of
	l.mu.Lock()
	defer l.mu.Unlock()
	if isOwner {
		p.user = owner
		return true
	}
	all, each := 1, 1
	for _, c := range l.conns {
		if c == p || c.user != guest {
			continue
		}
		if all++; c.source == p.source {
			each++
		}
	}
	if all > l.total*3/4 || each > l.each*3/4 {
		l.refused++
		return false
	}
	p.user = guest
	return true
}

func sourceOf(c net.Conn) netip.Prefix {
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return Source(tcp.AddrPort().Addr())
	}
	return netip.Prefix{}
}
