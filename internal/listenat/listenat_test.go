package listenat

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
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

// closing is a connection that notes that it was closed.
type closing struct {
	net.Conn
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

// places are those of a Limited, with connections that a test makes.
type places struct {
	*Limited
	t   *testing.T
	now time.Time
}

func newPlaces(t *testing.T, total, each int) *places {
	return &places{Limit(nil, total, each), t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

// come has a connection of a source come, and returns it, nil if it was refused, and the one that made way.
func (l *places) come(source string) (p, out *placed) {
	p = &placed{Conn: new(closing), of: l.Limited, source: Source(netip.MustParseAddr(source)), since: l.now}
	ok, out := l.take(p)
	if !ok {
		return nil, out
	}
	return p, out
}

// has sees that a source has so many places.
func (l *places) has(source string, want int) {
	l.t.Helper()
	n := 0
	for _, c := range l.conns {
		if c.source == Source(netip.MustParseAddr(source)) {
			n++
		}
	}
	if n != want {
		l.t.Errorf("%s has %d places, want %d", source, n, want)
	}
}

// let vouches for a connection.
func (p *placed) let(isOwner bool) bool {
	return Vouch(context.WithValue(context.Background(), connKey{}, p), isOwner)
}

// TestLimit: a source has so many connections, all together so many, and a closed one leaves its place, once.
func TestLimit(t *testing.T) {
	l := newPlaces(t, 3, 2)
	first, _ := l.come("192.0.2.2")
	second, _ := l.come("192.0.2.2")
	if p, out := l.come("192.0.2.2"); p != nil || out != nil {
		t.Errorf("got %v, and %v made way for a third one of the source", p, out)
	}
	third, _ := l.come("192.0.2.3")
	if open, n := l.Open(); open != 3 || n != 1 {
		t.Errorf("got %d open, %d refused", open, n)
	}
	for range 2 {
		first.Close()
	}
	fourth, _ := l.come("192.0.2.4")
	for _, c := range []*placed{second, third, fourth} {
		c.Close()
	}
	if open, n := l.Open(); open != 0 || n != 1 {
		t.Errorf("got %d open, %d refused", open, n)
	}
}

// TestOthersGetIn: strangers from many sources hold all places, and somebody from another one gets in at once. They
// do not get that place, nor one for which somebody has vouched.
func TestOthersGetIn(t *testing.T) {
	l := newPlaces(t, 64, 16)
	strangers := []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}
	for i := range 64 {
		if p, out := l.come(strangers[i%4]); p == nil || out != nil {
			t.Fatalf("got %v, %v for connection %d", p, out, i)
		}
	}
	p, out := l.come("198.51.100.7")
	if p == nil || out == nil || out.source.String() != "192.0.2.1/32" {
		t.Fatalf("got %v, and %v made way", p, out)
	}
	for i := range 1000 {
		if i%100 == 0 {
			l.now = l.now.Add(Grace)
		}
		if _, out := l.come(strangers[i%4]); out == p {
			t.Fatal("strangers with many connections take the place of the only one of a source")
		}
	}
	l.has("198.51.100.7", 1)
	if !p.let(true) {
		t.Error("got no place for an owner")
	}
	for i := range 100 { // from as many sources
		l.now = l.now.Add(Grace)
		if _, out := l.come(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}).String()); out == p {
			t.Fatal("a stranger takes the place of an owner")
		}
	}
	if open, _ := l.Open(); open != 64 {
		t.Errorf("got %d open", open)
	}
}

// TestManySources: of sources with a connection each, the oldest makes way once it has had its grace.
func TestManySources(t *testing.T) {
	l := newPlaces(t, 3, 2)
	oldest, _ := l.come("192.0.2.1")
	l.now = l.now.Add(Grace / 2)
	l.come("192.0.2.2")
	l.come("192.0.2.3")
	if p, out := l.come("192.0.2.4"); p != nil || out != nil {
		t.Errorf("got %v, and %v made way before its time", p, out)
	}
	l.now = l.now.Add(Grace / 2)
	if p, out := l.come("192.0.2.4"); p == nil || out != oldest {
		t.Errorf("got %v, and %v made way", p, out)
	}
}

// TestOwnSource: behind the same address, a stranger's silent connections make way for the next one.
func TestOwnSource(t *testing.T) {
	l := newPlaces(t, 64, 4)
	var all []*placed
	for range 4 {
		p, _ := l.come("192.0.2.1")
		all = append(all, p)
	}
	all[0].let(true)
	if p, _ := l.come("192.0.2.1"); p != nil {
		t.Error("got a fifth place at once")
	}
	l.now = l.now.Add(Grace)
	if p, out := l.come("192.0.2.1"); p == nil || out != all[1] {
		t.Errorf("got %v, and %v made way", p, out)
	}
	l.has("192.0.2.1", 4)
}

// TestGuests: they leave a quarter of the places of all, and of each source, to strangers, of whom one may be an owner.
func TestGuests(t *testing.T) {
	l := newPlaces(t, 16, 8)
	let := 0
	for i := range 16 {
		p, _ := l.come([]string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}[i%4])
		if !p.let(false) {
			p.Close()
			continue
		}
		if let++; !p.let(false) {
			t.Error("a guest loses its place with its second request")
		}
	}
	if let != 12 {
		t.Errorf("got %d guests", let)
	}
	l = newPlaces(t, 64, 8)
	for i := range 8 {
		if p, _ := l.come("192.0.2.1"); p.let(false) != (i < 6) {
			t.Errorf("guest %d of a source: got %v", i, i >= 6)
		}
	}
	if !Vouch(context.Background(), false) {
		t.Error("got no place for a request that came another way")
	}
}

// TestAccept: a connection that makes way is closed, and so is one for which there is no place.
func TestAccept(t *testing.T) {
	at, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	l := Limit(at, 1, 1)
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
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	over := func(c net.Conn) {
		t.Helper()
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("got an answer")
		}
	}
	first := dial()
	held := (<-accepted).(*placed)
	if !held.let(true) {
		t.Error("got no place")
	}
	over(dial())
	l.mu.Lock()
	held.user, held.since = nobody, time.Now().Add(-Grace)
	l.mu.Unlock()
	dial()
	<-accepted
	over(first)
	again, err := Listen(netip.MustParseAddrPort(l.Addr().String()))
	if err == nil {
		again.Close()
		t.Error("got a port twice")
	}
}
