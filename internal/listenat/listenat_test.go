package listenat

import (
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
)

// TestParse: a port alone is one of loopback, and a mistake says what to write.
func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"9465": "127.0.0.1:9465", "0": "127.0.0.1:0", "localhost:1": "127.0.0.1:1", "10.0.0.7:9465": "10.0.0.7:9465", "[::]:9465": "[::]:9465",
	} {
		if got, err := Parse(text, "9465"); err != nil || got.String() != want {
			t.Errorf("%q: got %s, %v, want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "such as 9465", "x": "such as 9465", "65536": "such as 9465", ":9465": "0.0.0.0:9465 for all", "example.org:9465": "example.org is no IP address",
	} {
		if _, err := Parse(text, "9465"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q in it", text, err, want)
		}
	}
}

// TestSource: an address of IPv4 is a source, and so is a /64 of IPv6.
func TestSource(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := Source(netip.MustParseAddr(text)); got.String() != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// TestLimit: a source has so many connections, all together so many, and a closed one leaves its place, once.
func TestLimit(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs other addresses of loopback")
	}
	at, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	l := Limit(at, 3, 2)
	defer l.Close()
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	dial := func(from string) net.Conn {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	refused := func(from string) {
		t.Helper()
		if _, err := dial(from).Read(make([]byte, 1)); err == nil {
			t.Errorf("got a connection of %s", from)
		}
	}
	dial("127.0.0.2")
	first := <-accepted
	dial("127.0.0.2")
	second := <-accepted
	refused("127.0.0.2")
	dial("127.0.0.3")
	third := <-accepted
	refused("127.0.0.4")
	if open, n := l.Open(); open != 3 || n != 2 {
		t.Errorf("got %d open, %d refused", open, n)
	}
	for range 2 {
		first.Close()
	}
	dial("127.0.0.4")
	fourth := <-accepted
	refused("127.0.0.2")
	for _, c := range []net.Conn{second, third, fourth} {
		c.Close()
	}
	if open, n := l.Open(); open != 0 || n != 3 || len(l.sources) != 0 {
		t.Errorf("got %d open, %d refused, %v", open, n, l.sources)
	}
	at2, err := Listen(netip.MustParseAddrPort(l.Addr().String()))
	if err == nil {
		at2.Close()
		t.Error("got a port twice")
	}
}
