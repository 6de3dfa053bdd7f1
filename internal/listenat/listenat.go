// Package listenat has what the node's HTTP servers over TCP share: how an address is written, and a
// listener with limits of open connections.
package listenat

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
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

// Limited is a listener with limits of open connections, in all and for each source. It closes further
// ones at once.
type Limited struct {
	net.Listener
	total, each int

	mu      sync.Mutex
	open    int
	sources map[netip.Prefix]int
	refused uint64
}

// Limit returns a Limited.
func Limit(l net.Listener, total, each int) *Limited {
	return &Limited{Listener: l, total: total, each: each, sources: make(map[netip.Prefix]int)}
}

// Accept returns the next connection for which there is a place.
func (l *Limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source := sourceOf(c)
		if l.take(source) {
			return &placed{Conn: c, leave: sync.OnceFunc(func() { l.give(source) })}, nil
		}
		c.Close()
	}
}

// Open returns how many connections are open, and how many were closed at once.
func (l *Limited) Open() (open int, refused uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open, l.refused
}

func (l *Limited) take(source netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.total || l.sources[source] >= l.each {
		l.refused++
		return false
	}
	l.open++
	l.sources[source]++
	return true
}

func (l *Limited) give(source netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.sources[source]--; l.sources[source] == 0 {
		delete(l.sources, source)
	}
}

func sourceOf(c net.Conn) netip.Prefix {
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return Source(tcp.AddrPort().Addr())
	}
	return netip.Prefix{}
}

type placed struct {
	net.Conn
	leave func()
}

// Close closes the connection and frees its place.
func (c *placed) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
