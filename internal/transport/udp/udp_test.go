package udp

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport"
)

func listen(t *testing.T, at string, o Options) *Socket {
	t.Helper()
	s, err := Listen(t.Context(), ma.StringCast(at), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// transmit runs the sending loop of a socket until the test ends.
func transmit(t *testing.T, s *Socket) {
	t.Helper()
	var loop sync.WaitGroup
	loop.Go(func() {
		if err := s.Transmit(); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	})
	t.Cleanup(func() {
		s.Close()
		loop.Wait()
	})
}

func receive(t *testing.T, s *Socket) (string, netip.AddrPort) {
	t.Helper()
	buffer := make([]byte, ReceiveBuffer)
	if err := s.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	n, from, err := s.Receive(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n]), from
}

// at returns where a socket of the loopback can be reached.
func at(t *testing.T, s *Socket) netip.AddrPort {
	t.Helper()
	a, ok := AddrPort(s.Multiaddr())
	if !ok {
		t.Fatalf("got no address of UDP: %s", s.Multiaddr())
	}
	return a
}

func TestSendAndReceive(t *testing.T) {
	for _, on := range []string{"/ip4/127.0.0.1/udp/0", "/ip6/::1/udp/0"} {
		a, b := listen(t, on, Options{}), listen(t, on, Options{})
		transmit(t, a)
		for _, size := range []int{0, 1, 1400, MaxDatagram} {
			want := bytes.Repeat([]byte{byte(size)}, size)
			if err := a.Send(at(t, b), want, false); err != nil {
				t.Fatal(err)
			}
			got, from := receive(t, b)
			if got != string(want) || from != at(t, a) {
				t.Errorf("%s: got %d bytes from %s, want %d from %s", on, len(got), from, size, at(t, a))
			}
		}
		if c := b.Counts(); c.In != 4 || c.BytesIn != 1401+MaxDatagram {
			t.Errorf("got %+v, want 4 datagrams in", c)
		}
	}
}

// TestSendRefuses says why it takes a datagram not.
func TestSendRefuses(t *testing.T) {
	s := listen(t, "/ip4/127.0.0.1/udp/0", Options{Answers: 2, Others: 3, Bytes: 1000})
	to := netip.MustParseAddrPort("127.0.0.1:9")
	small, large := make([]byte, 10), make([]byte, 990)
	for i, c := range []struct {
		to     netip.AddrPort
		b      []byte
		answer bool
		want   error
	}{
		{to, make([]byte, MaxDatagram+1), false, ErrTooLong},
		{netip.MustParseAddrPort("[::1]:9"), small, false, transport.ErrUnsupported},
		{to, small, true, nil},
		{to, small, true, nil},
		{to, small, true, ErrFull}, // three answers
		{to, small, false, nil},
		{to, large, false, nil},
		{to, small, false, ErrFull}, // more than 1,000 bytes
		{to, nil, false, nil},
		{to, nil, false, ErrFull}, // four others
	} {
		if err := s.Send(c.to, c.b, c.answer); !errors.Is(err, c.want) {
			t.Errorf("%d: got %v, want %v", i, err, c.want)
		}
	}
	if got := s.Counts().Refused; got != 5 {
		t.Errorf("got %d refused, want 5", got)
	}
	s.Close()
	if err := s.Send(to, small, true); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("closed: got %v, want ErrClosed", err)
	}
}

// TestAnswersFirst queues requests and answers before the loop begins: the answers leave
// first, each kind in its order.
func TestAnswersFirst(t *testing.T) {
	a, b := listen(t, "/ip4/127.0.0.1/udp/0", Options{}), listen(t, "/ip4/127.0.0.1/udp/0", Options{})
	for _, text := range []string{"r1", "a1", "r2", "a2"} {
		if err := a.Send(at(t, b), []byte(text), text[0] == 'a'); err != nil {
			t.Fatal(err)
		}
	}
	transmit(t, a)
	var got []string
	for range 4 {
		text, _ := receive(t, b)
		got = append(got, text)
	}
	if want := [4]string{"a1", "a2", "r1", "r2"}; [4]string(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestFlush waits until all datagrams have left, those that are being sent included, and ends
// with its context or with the socket.
func TestFlush(t *testing.T) {
	a, b := listen(t, "/ip4/127.0.0.1/udp/0", Options{}), listen(t, "/ip4/127.0.0.1/udp/0", Options{})
	const n = 50
	for i := range n {
		if err := a.Send(at(t, b), []byte("x"), i%2 == 0); err != nil {
			t.Fatal(err)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := a.Flush(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("before anything is sent: got %v, want the end of the context", err)
	}
	transmit(t, a)
	if err := a.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := a.Counts().Out; got != n {
		t.Errorf("got %d datagrams sent after Flush, want %d", got, n)
	}
	a.Close()
	if err := a.Flush(t.Context()); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("closed: got %v, want ErrClosed", err)
	}
}

// TestCloseEndsLoops that wait, and frees the port. Another process may take the port first,
// so there are several attempts.
func TestCloseEndsLoops(t *testing.T) {
	for attempt := 1; ; attempt++ {
		freed, err := Listen(t.Context(), closedUnderLoops(t), Options{})
		switch {
		case err == nil:
			freed.Close()
			return
		case attempt == 5 || !errors.Is(err, transport.ErrAddressInUse):
			t.Fatalf("attempt %d: got %v, want the port free", attempt, err)
		}
	}
}

// closedUnderLoops closes a socket while both of its loops run, and returns its address.
func closedUnderLoops(t *testing.T) ma.Multiaddr {
	t.Helper()
	s := listen(t, "/ip4/127.0.0.1/udp/0", Options{})
	var loops sync.WaitGroup
	loops.Go(func() {
		if _, _, err := s.Receive(make([]byte, 10)); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("receive: got %v, want ErrClosed", err)
		}
	})
	loops.Go(func() {
		if err := s.Transmit(); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("transmit: got %v, want ErrClosed", err)
		}
	})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("again: got %v, want nil", err)
	}
	loops.Wait()
	return s.Multiaddr()
}

// TestListenErrors are typed.
func TestListenErrors(t *testing.T) {
	s := listen(t, "/ip4/127.0.0.1/udp/0", Options{})
	for a, want := range map[string]error{
		"/ip4/127.0.0.1/tcp/0":         transport.ErrUnsupported,
		"/dns4/localhost/udp/0":        transport.ErrUnsupported,
		"/ip4/127.0.0.1/udp/0/quic-v1": transport.ErrUnsupported,
		s.Multiaddr().String():         transport.ErrAddressInUse,
		"/ip4/192.0.2.1/udp/0":         transport.ErrAddressNotAvailable,
	} {
		_, err := Listen(t.Context(), ma.StringCast(a), Options{})
		typed, ok := errors.AsType[*transport.ListenError](err)
		if !ok || !errors.Is(err, want) {
			t.Errorf("%s: got %v (%v), want %v", a, err, typed, want)
		}
	}
}

// TestFailedSendsAreCounted sends to a broadcast address, which the system does not permit,
// and goes on.
func TestFailedSendsAreCounted(t *testing.T) {
	a, b := listen(t, "/ip4/127.0.0.1/udp/0", Options{}), listen(t, "/ip4/127.0.0.1/udp/0", Options{})
	for _, to := range []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0"), at(t, b)} {
		if err := a.Send(to, []byte("x"), false); err != nil {
			t.Fatal(err)
		}
	}
	transmit(t, a)
	receive(t, b)
	c := a.Counts()
	failed, ok := errors.AsType[*SendError](c.Last)
	if c.Failed != 1 || c.Out != 1 && c.Out != 0 || !ok || failed.Size != 1 {
		t.Errorf("got %+v, want one failed and one sent", c)
	}
}

// TestReplyLeavesFromWhereItCame binds all addresses and is asked at two of them. A connected
// socket gets datagrams only from the address that it is connected to.
//
// conforms: kad 4
func TestReplyLeavesFromWhereItCame(t *testing.T) {
	probe, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)})
	if err != nil {
		t.Log("this machine has one loopback address: only that is tested")
	} else {
		probe.Close()
	}
	s := listen(t, "/ip4/0.0.0.0/udp/0", Options{})
	transmit(t, s)
	if s.local == nil {
		t.Log("this system does not tell where a datagram was sent: only 127.0.0.1 is tested")
	}
	port := int(s.addr.Port())
	for _, host := range []byte{1, 2, 1, 3} {
		if host != 1 && (err != nil || s.local == nil) {
			continue
		}
		c, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, host), Port: port})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("ask")); err != nil {
			t.Fatal(err)
		}
		_, from := receive(t, s)
		if err := s.Send(from, []byte("answer"), true); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 10)); n != 6 || err != nil {
			t.Errorf("127.0.0.%d: got %d bytes and %v, want the answer from there", host, n, err)
		}
	}
}

// TestReplyOfIPv6 is the same with IPv6, whose loopback has one address.
func TestReplyOfIPv6(t *testing.T) {
	s := listen(t, "/ip6/::/udp/0", Options{})
	transmit(t, s)
	c, err := net.DialUDP("udp6", nil, &net.UDPAddr{IP: net.IPv6loopback, Port: int(s.addr.Port())})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("ask")); err != nil {
		t.Fatal(err)
	}
	_, from := receive(t, s)
	if err := s.Send(from, []byte("answer"), true); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 10)); n != 6 || err != nil {
		t.Errorf("got %d bytes and %v, want the answer", n, err)
	}
}

// TestLocalsAreBounded fills the memory of senders.
func TestLocalsAreBounded(t *testing.T) {
	l := newLocals()
	control := sendFrom(netip.MustParseAddr("127.0.0.1"))
	if control == nil {
		return // this system tells nothing
	}
	first := netip.MustParseAddrPort("127.0.0.1:1")
	for i := range 5 * localsKept {
		ip := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		l.note(netip.AddrPortFrom(ip, 1), control)
		l.note(first, control)
	}
	if n := len(l.recent) + len(l.old); n > 2*localsKept {
		t.Errorf("got %d senders remembered, want at most %d", n, 2*localsKept)
	}
	if _, ok := l.of(first); !ok {
		t.Error("got the busy sender forgotten")
	}
	l.note(netip.MustParseAddrPort("127.0.0.1:2"), []byte("nonsense"))
}
