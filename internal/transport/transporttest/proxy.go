package transporttest

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"testing"
)

// Proxy is a SOCKS5 proxy on loopback for tests of what dials through one. It knows
// CONNECT and Tor's RESOLVE.
type Proxy struct {
	// User and Password are what it wants; empty: nothing, but it takes whatever is sent.
	User, Password string
	// Names are what it resolves, onion names among them.
	Names map[string]netip.Addr
	// Ports replaces the port of a request; one that is not in it stays.
	Ports map[uint16]uint16

	mu    sync.Mutex
	asked []Asked
}

// Asked is a request that a [Proxy] got.
type Asked struct {
	User, Password string
	Command        byte
	Host           string // an IP address or a name
	Port           uint16
}

// Start begins to serve until the test ends, and returns the address.
func (p *Proxy) Start(t testing.TB) netip.AddrPort {
	t.Helper()
	at, stop, err := p.Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return at
}

// Listen begins to serve until stop, which waits for the end of all connections.
func (p *Proxy) Listen() (at netip.AddrPort, stop func(), err error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return at, nil, err
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { p.serve(c) })
		}
	})
	return l.Addr().(*net.TCPAddr).AddrPort(), func() {
		l.Close()
		open.Wait()
	}, nil
}

// Asked returns the requests so far.
func (p *Proxy) Asked() []Asked {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Asked(nil), p.asked...)
}

// serve has one connection. Whatever does not fit ends it without an answer.
func (p *Proxy) serve(c net.Conn) {
	defer c.Close()
	var a Asked
	if !p.greet(c, &a) {
		return
	}
	head := read(c, 4)
	if head == nil {
		return
	}
	a.Command = head[1]
	switch head[3] {
	case 1:
		a.Host = ipText(read(c, 4))
	case 4:
		a.Host = ipText(read(c, 16))
	case 3:
		a.Host = string(readCounted(c))
	}
	port := read(c, 2)
	if port == nil {
		return
	}
	a.Port = binary.BigEndian.Uint16(port)
	p.mu.Lock()
	p.asked = append(p.asked, a)
	p.mu.Unlock()

	ip, err := netip.ParseAddr(a.Host)
	if err != nil {
		var known bool
		if ip, known = p.Names[a.Host]; !known {
			say(c, 5, 4, 0, 0, 0, 0, 0, 0, 0, 0)
			return
		}
	}
	if a.Command == 0xF0 {
		kind := byte(4)
		if ip.Is4() {
			kind = 1
		}
		say(c, append(append([]byte{5, 0, 0, kind}, ip.AsSlice()...), 0, 0)...)
		return
	}
	to := a.Port
	if other, ok := p.Ports[to]; ok {
		to = other
	}
	out, err := net.Dial("tcp", net.JoinHostPort(ip.String(), strconv.Itoa(int(to))))
	if err != nil {
		say(c, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0)
		return
	}
	defer out.Close()
	say(c, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(c, out)
		c.Close()
		out.Close()
	})
	_, _ = io.Copy(out, c)
	c.Close()
	out.Close()
	back.Wait()
}

// greet agrees on the authentication. It prefers user name and password, as Tor does.
func (p *Proxy) greet(c net.Conn, a *Asked) bool {
	head := read(c, 1)
	if head == nil || head[0] != 5 {
		return false
	}
	password, none := false, false
	for _, m := range readCounted(c) {
		password, none = password || m == 2, none || m == 0
	}
	switch {
	case password:
		say(c, 5, 2)
	case none && p.User == "":
		say(c, 5, 0)
		return true
	default:
		say(c, 5, 0xFF)
		return false
	}
	if v := read(c, 1); v == nil || v[0] != 1 {
		return false
	}
	a.User, a.Password = string(readCounted(c)), string(readCounted(c))
	if p.User != "" && (a.User != p.User || a.Password != p.Password) {
		say(c, 1, 1)
		return false
	}
	say(c, 1, 0)
	return true
}

// say writes an answer. Whoever does not read it has gone, and the next read says so.
func say(w io.Writer, b ...byte) { _, _ = w.Write(b) }

// read returns the next n bytes; nil when there are not as many.
func read(r io.Reader, n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil
	}
	return b
}

// readCounted returns the bytes behind their number, which is one byte.
func readCounted(r io.Reader) []byte {
	n := read(r, 1)
	if n == nil {
		return nil
	}
	return read(r, int(n[0]))
}

func ipText(b []byte) string {
	ip, _ := netip.AddrFromSlice(b)
	return ip.String()
}
