package transporttest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport"
)

// New returns the transport under test and an address on which it can listen any number
// of times, each time on another free port.
type New func(t *testing.T) (tr transport.Transport, listen ma.Multiaddr)

// long is a time limit that only a broken transport reaches.
const long = time.Minute

// Reach returns the address at which others reach a listener, when it is not the
// one on which it listens: an onion service leads to it.
type Reach func(t *testing.T, l transport.Listener) ma.Multiaddr

// Conformance runs the suite, each part with its own transport.
func Conformance(t *testing.T, create New) { conformance(t, create, false, nil) }

// ConformanceThroughProxy runs the suite for a transport that dials through a proxy. It leaves
// out what a proxy need not pass on: the end of one direction alone, a reset, and the
// address of the dialling end.
func ConformanceThroughProxy(t *testing.T, create New) { conformance(t, create, true, nil) }

// ConformanceThroughOnion is ConformanceThroughProxy for listeners that are dialled at
// another address than their own.
func ConformanceThroughOnion(t *testing.T, create New, reach Reach) {
	conformance(t, create, true, reach)
}

// directOnly are the parts that a proxy cannot pass.
var directOnly = []string{"half close", "close with unread data resets"}

func conformance(t *testing.T, create New, proxied bool, reach Reach) {
	for _, part := range []struct {
		name string
		run  func(*suite, *testing.T)
	}{
		{"addresses", (*suite).addresses},
		{"echo", (*suite).echo},
		{"half close", (*suite).halfClose},
		{"close delivers what was written", (*suite).closeDelivers},
		{"close with unread data resets", (*suite).closeUnread},
		{"close unblocks", (*suite).closeUnblocks},
		{"write to a closed peer fails", (*suite).writeToClosed},
		{"read deadline", (*suite).readDeadline},
		{"write deadline", (*suite).writeDeadline},
		{"a deadline in the past interrupts", (*suite).interrupt},
		{"listener", (*suite).listener},
		{"accept ends with close", (*suite).acceptEnds},
		{"dial errors", (*suite).dialErrors},
		{"listen errors", (*suite).listenErrors},
		{"many at once", (*suite).many},
		{"use after close", (*suite).afterClose},
	} {
		if proxied && slices.Contains(directOnly, part.name) {
			continue
		}
		t.Run(part.name, func(t *testing.T) {
			tr, listen := create(t)
			part.run(&suite{tr: tr, listen: listen, proxied: proxied, reach: reach, reached: map[string]ma.Multiaddr{}}, t)
		})
	}
}

type suite struct {
	tr     transport.Transport
	listen ma.Multiaddr

	proxied bool
	reach   Reach
	reached map[string]ma.Multiaddr // by the listener's own address
}

// at returns the address at which a listener is dialled.
func (s *suite) at(t *testing.T, l transport.Listener) ma.Multiaddr {
	t.Helper()
	if s.reach == nil {
		return l.Multiaddr()
	}
	own := l.Multiaddr().String()
	if s.reached[own] == nil {
		s.reached[own] = s.reach(t, l)
	}
	return s.reached[own]
}

func (s *suite) addresses(t *testing.T) {
	l := s.bind(t)
	if s.tr.Name() == "" {
		t.Error("got an empty name, want one")
	}
	if !s.tr.Handles(l.Multiaddr()) {
		t.Errorf("Handles(%s): got false, want true", l.Multiaddr())
	}
	if l.Multiaddr().Equal(s.listen) {
		t.Errorf("bound address: got %s, want a real port", l.Multiaddr())
	}
	dialled, accepted := s.pair(t, l)
	if got := dialled.RemoteMultiaddr(); !got.Equal(s.at(t, l)) {
		t.Errorf("remote address of the dialled end: got %s, want %s", got, s.at(t, l))
	}
	if got := accepted.LocalMultiaddr(); !got.Equal(l.Multiaddr()) {
		t.Errorf("local address of the accepted end: got %s, want %s", got, l.Multiaddr())
	}
	if got, want := accepted.RemoteMultiaddr(), dialled.LocalMultiaddr(); !s.proxied && !got.Equal(want) {
		t.Errorf("remote address of the accepted end: got %s, want %s", got, want)
	}
	for _, c := range []transport.Conn{dialled, accepted} {
		if c.LocalAddr().String() == "" || c.RemoteAddr().Network() != c.LocalAddr().Network() {
			t.Errorf("net addresses: got %v and %v", c.LocalAddr(), c.RemoteAddr())
		}
	}
}

// echo sends more than any buffer holds, both ways at once.
func (s *suite) echo(t *testing.T) {
	a, b := s.pair(t, s.bind(t))
	const size = 1 << 20
	limit := time.Now().Add(long)
	set(t, a.SetDeadline, limit)
	set(t, b.SetDeadline, limit)
	var wg sync.WaitGroup
	for i, ends := range [][2]transport.Conn{{a, b}, {b, a}} {
		data := random(uint64(i), size)
		wg.Go(func() {
			for p := data; len(p) > 0; {
				k := min(len(p), 1+len(p)%70_000)
				if n, err := ends[0].Write(p[:k]); n != k || err != nil {
					t.Errorf("write: got %d, %v, want %d", n, err, k)
					return
				}
				p = p[k:]
			}
		})
		wg.Go(func() {
			got := make([]byte, size)
			if n, err := io.ReadFull(ends[1], got); err != nil {
				t.Errorf("read: after %d bytes %v", n, err)
				return
			}
			if sha256.Sum256(got) != sha256.Sum256(data) {
				t.Error("got other bytes than were written")
			}
		})
	}
	wg.Wait()
}

func (s *suite) halfClose(t *testing.T) {
	a, b := s.pair(t, s.bind(t))
	half, ok := a.(interface{ CloseWrite() error })
	if !ok {
		t.Skipf("%s has no CloseWrite", s.tr.Name())
	}
	write(t, a, "question")
	if err := half.CloseWrite(); err != nil {
		t.Fatalf("CloseWrite: %v", err)
	}
	if _, err := a.Write([]byte("more")); err == nil {
		t.Error("write after CloseWrite: got no error, want one")
	}
	wantAll(t, b, "question")
	write(t, b, "answer")
	b.Close()
	wantAll(t, a, "answer")
}

func (s *suite) closeDelivers(t *testing.T) {
	a, b := s.pair(t, s.bind(t))
	write(t, a, "last words")
	if err := a.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	wantAll(t, b, "last words")
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("second read at the end: got %v, want EOF", err)
	}
}

func (s *suite) closeUnread(t *testing.T) {
	a, b := s.pair(t, s.bind(t))
	write(t, a, "read")
	write(t, b, "never read")
	want(t, b, "read") // all bytes have arrived then
	peek := make([]byte, 1)
	if _, err := io.ReadFull(a, peek); err != nil {
		t.Fatalf("read: %v", err)
	}
	a.Close()
	set(t, b.SetReadDeadline, time.Now().Add(long))
	_, err := b.Read(make([]byte, 1))
	if !transport.IsReset(err) || !transport.IsHangUp(err) {
		t.Errorf("read: got %v, want a reset", err)
	}
}

func (s *suite) closeUnblocks(t *testing.T) {
	a, _ := s.pair(t, s.bind(t))
	read, written := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := a.Read(make([]byte, 1))
		read <- err
	}()
	go func() {
		for {
			if _, err := a.Write(make([]byte, 64<<10)); err != nil {
				written <- err
				return
			}
		}
	}()
	time.Sleep(20 * time.Millisecond) // likely both wait then; the test holds either way
	a.Close()
	for name, c := range map[string]chan error{"read": read, "write": written} {
		if err := within(t, name, c); !isClosed(err) {
			t.Errorf("%s: got %v, want net.ErrClosed", name, err)
		}
	}
}

func (s *suite) writeToClosed(t *testing.T) {
	a, b := s.pair(t, s.bind(t))
	b.Close()
	limit := time.Now().Add(long)
	set(t, a.SetWriteDeadline, limit)
	var err error
	for err == nil && time.Now().Before(limit) {
		_, err = a.Write(make([]byte, 1024))
		time.Sleep(time.Millisecond) // a socket notices the close with the answer
	}
	if !transport.IsReset(err) {
		t.Errorf("write: got %v, want a reset", err)
	}
}

func (s *suite) readDeadline(t *testing.T) {
	a, b := s.pair(t, s.bind(t))
	set(t, a.SetReadDeadline, time.Now().Add(10*time.Millisecond))
	n, err := a.Read(make([]byte, 1))
	if n != 0 || !transport.IsTimeout(err) {
		t.Fatalf("read: got %d, %v, want a timeout", n, err)
	}
	write(t, b, "later")
	if _, err := a.Read(make([]byte, 5)); !transport.IsTimeout(err) {
		t.Errorf("read while the deadline is over: got %v, want a timeout", err)
	}
	set(t, a.SetReadDeadline, time.Time{})
	want(t, a, "later")
}

func (s *suite) writeDeadline(t *testing.T) {
	a, b := s.pair(t, s.bind(t))
	set(t, a.SetWriteDeadline, time.Now().Add(50*time.Millisecond))
	written := 0
	for {
		n, err := a.Write(make([]byte, 256<<10))
		written += n
		if err != nil {
			if !transport.IsTimeout(err) {
				t.Fatalf("write: got %v, want a timeout", err)
			}
			break
		}
	}
	set(t, a.SetWriteDeadline, time.Time{})
	a.Close()
	set(t, b.SetReadDeadline, time.Now().Add(2*long))
	got, err := io.Copy(io.Discard, b)
	if err != nil || got != int64(written) {
		t.Errorf("read: got %d bytes, %v, want the %d that Write reported", got, err, written)
	}
}

func (s *suite) interrupt(t *testing.T) {
	a, b := s.pair(t, s.bind(t))
	read := make(chan error, 1)
	go func() {
		_, err := a.Read(make([]byte, 1))
		read <- err
	}()
	time.Sleep(10 * time.Millisecond)
	set(t, a.SetReadDeadline, time.Unix(1, 0))
	if err := within(t, "read", read); !transport.IsTimeout(err) {
		t.Errorf("read: got %v, want a timeout", err)
	}
	set(t, a.SetReadDeadline, time.Time{})
	write(t, b, "still here")
	want(t, a, "still here")
}

func (s *suite) listener(t *testing.T) {
	l := s.bind(t)
	// Dials do not wait for Accept, and connections come in order.
	const n = 5
	for i := range n {
		write(t, s.dial(t, s.at(t, l)), fmt.Sprint(i))
	}
	for i := range n {
		s.meet(t, l, fmt.Sprint(i))
	}
	// The end of Listen's context does not end the listener.
	ctx, cancel := context.WithCancel(t.Context())
	other, err := s.tr.Listen(ctx, s.listen)
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	defer other.Close()
	cancel()
	s.pair(t, other)
}

func (s *suite) acceptEnds(t *testing.T) {
	l := s.bind(t)
	ended := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		ended <- err
	}()
	time.Sleep(10 * time.Millisecond)
	waiting := s.bind(t)
	queued := s.dial(t, s.at(t, waiting))
	a, b := s.pair(t, s.bind(t))
	if err := l.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if err := within(t, "accept", ended); !errors.Is(err, transport.ErrClosed) || !isClosed(err) {
		t.Errorf("accept: got %v, want ErrClosed", err)
	}
	if _, err := l.Accept(); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("accept after close: got %v, want ErrClosed", err)
	}
	// Accepted connections stay open, others are gone.
	write(t, a, "open")
	want(t, b, "open")
	waiting.Close()
	set(t, queued.SetReadDeadline, time.Now().Add(long))
	if _, err := queued.Read(make([]byte, 1)); !transport.IsHangUp(err) {
		t.Errorf("read of a connection nobody accepted: got %v, want a reset or EOF", err)
	}
}

func (s *suite) dialErrors(t *testing.T) {
	l := s.bind(t)
	gone := s.at(t, l)
	l.Close()
	_, err := s.tr.Dial(t.Context(), gone)
	var de *transport.DialError
	if !errors.As(err, &de) || de.Stage != transport.StageConnect || !de.Addr.Equal(gone) {
		t.Errorf("dial where nobody listens: got %v, want a *DialError at connect for %s", err, gone)
	}
	if !errors.Is(err, transport.ErrUnreachable) {
		t.Errorf("dial where nobody listens: got %v, want ErrUnreachable", err)
	}

	strange := ma.StringCast("/unix/tmp")
	if s.tr.Handles(strange) || s.tr.Handles(nil) {
		t.Error("Handles of strange addresses: got true, want false")
	}
	for _, a := range []ma.Multiaddr{strange, nil} {
		_, err = s.tr.Dial(t.Context(), a)
		if !errors.As(err, &de) || de.Stage != transport.StageAddress || !errors.Is(err, transport.ErrUnsupported) {
			t.Errorf("dial %v: got %v, want ErrUnsupported", a, err)
		}
		if errors.Is(err, transport.ErrUnreachable) {
			t.Errorf("dial %v: got ErrUnreachable, want none: no retry can help", a)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	open := s.bind(t)
	_, err = s.tr.Dial(ctx, s.at(t, open))
	if !errors.As(err, &de) || !errors.Is(err, context.Canceled) || errors.Is(err, transport.ErrUnreachable) || de.Timeout() {
		t.Errorf("dial with a cancelled context: got %v, want context.Canceled alone", err)
	}
	ctx, cancel = context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err = s.tr.Dial(ctx, s.at(t, open))
	if !errors.As(err, &de) || !de.Timeout() || !errors.Is(err, transport.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, transport.ErrUnreachable) {
		t.Errorf("dial after the deadline: got %v, want a timeout that is ErrUnreachable", err)
	}
}

func (s *suite) listenErrors(t *testing.T) {
	l := s.bind(t)
	_, err := s.tr.Listen(t.Context(), l.Multiaddr())
	var le *transport.ListenError
	if !errors.As(err, &le) || !errors.Is(err, transport.ErrAddressInUse) || !le.Addr.Equal(l.Multiaddr()) {
		t.Errorf("second listener on %s: got %v, want ErrAddressInUse", l.Multiaddr(), err)
	}
	for _, a := range []ma.Multiaddr{ma.StringCast("/unix/tmp"), nil} {
		_, err = s.tr.Listen(t.Context(), a)
		if !errors.As(err, &le) || !errors.Is(err, transport.ErrUnsupported) {
			t.Errorf("listen on %v: got %v, want ErrUnsupported", a, err)
		}
	}
	// The port is free again after Close.
	l.Close()
	again, err := s.tr.Listen(t.Context(), l.Multiaddr())
	for try := 0; try < 3 && errors.Is(err, transport.ErrAddressInUse); try++ { // another program has taken it meanwhile
		l = s.bind(t)
		l.Close()
		again, err = s.tr.Listen(t.Context(), l.Multiaddr())
	}
	if err != nil {
		t.Fatalf("listen on a port that was closed: %v", err)
	}
	defer again.Close()
	s.pair(t, again)
}

func (s *suite) many(t *testing.T) {
	l := s.bind(t)
	to := s.at(t, l)
	const n = 50
	var accepting, dialling sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // the listener was closed
			}
			accepting.Go(func() {
				defer c.Close()
				// A connection of no dial may come from afar, and end in any way.
				if _, err := io.Copy(c, c); err != nil && s.reach == nil {
					t.Errorf("echo: %v", err)
				}
			})
		}
	})
	for i := range n {
		dialling.Go(func() {
			c, err := s.connect(t, to)
			if err != nil {
				t.Errorf("dial: %v", err)
				return
			}
			defer c.Close()
			set(t, c.SetDeadline, time.Now().Add(long))
			data := random(uint64(i), 3000)
			if _, err := c.Write(data); err != nil {
				t.Errorf("write: %v", err)
			}
			got := make([]byte, len(data))
			if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, data) {
				t.Errorf("echo of connection %d: got other bytes or %v", i, err)
			}
		})
	}
	dialling.Wait()
	l.Close()
	accepting.Wait()
}

func (s *suite) afterClose(t *testing.T) {
	a, _ := s.pair(t, s.bind(t))
	a.Close()
	_, readErr := a.Read(make([]byte, 1))
	_, writeErr := a.Write([]byte("x"))
	for name, err := range map[string]error{
		"read": readErr, "write": writeErr, "deadline": a.SetDeadline(time.Now()), "close": a.Close(),
	} {
		if !isClosed(err) {
			t.Errorf("%s after close: got %v, want net.ErrClosed", name, err)
		}
	}
}

func (s *suite) bind(t *testing.T) transport.Listener {
	t.Helper()
	l, err := s.tr.Listen(t.Context(), s.listen)
	if err != nil {
		t.Fatalf("listen on %s: %v", s.listen, err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func (s *suite) dial(t *testing.T, a ma.Multiaddr) transport.Conn {
	t.Helper()
	c, err := s.connect(t, a)
	if err != nil {
		t.Fatalf("dial %s: %v", a, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// farTries is how often a listener is dialled that is reached from afar: on a busy machine a
// Tor may lose its way to an onion service now and then.
const farTries = 3

// connect dials; a listener that is reached from afar several times, if need be.
func (s *suite) connect(t *testing.T, a ma.Multiaddr) (c transport.Conn, err error) {
	t.Helper()
	for try := 1; ; try++ {
		c, err = s.tr.Dial(t.Context(), a)
		if err == nil || s.reach == nil || try == farTries || !errors.Is(err, transport.ErrUnreachable) {
			return c, err
		}
		t.Logf("dial %d: %v", try, err)
	}
}

func (s *suite) pair(t *testing.T, l transport.Listener) (dialled, accepted transport.Conn) {
	t.Helper()
	dialled = s.dial(t, s.at(t, l))
	if s.reach == nil {
		return dialled, s.accept(t, l)
	}
	word := rand.Text()
	write(t, dialled, word)
	return dialled, s.meet(t, l, word)
}

func (s *suite) accept(t *testing.T, l transport.Listener) transport.Conn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatalf("accept: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// meet accepts the connection that brings a word: the next one, unless the listener is
// dialled at another address.
func (s *suite) meet(t *testing.T, l transport.Listener, word string) transport.Conn {
	t.Helper()
	if s.reach == nil {
		c := s.accept(t, l)
		want(t, c, word)
		return c
	}
	return Meet(t, l, word)
}

// Meet accepts connections until one brings a word, returns it, and closes the others. What
// leads to a listener from afar may do so more than once for one dial: a Tor that waited in
// vain for an answer tries another circuit.
func Meet(t *testing.T, l transport.Listener, word string) transport.Conn {
	t.Helper()
	late := time.AfterFunc(5*long, func() { l.Close() }) // Accept returns then
	defer late.Stop()
	for {
		c, err := l.Accept()
		if err != nil {
			t.Fatalf("accept: %v; no connection has brought %q", err, word)
		}
		t.Cleanup(func() { c.Close() })
		set(t, c.SetReadDeadline, time.Now().Add(long/3))
		got := make([]byte, len(word))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != word {
			t.Logf("another connection came first: it brought %q, %v", got, err)
			c.Close()
			continue
		}
		set(t, c.SetReadDeadline, time.Time{})
		return c
	}
}

func write(t *testing.T, c transport.Conn, s string) {
	t.Helper()
	if n, err := c.Write([]byte(s)); n != len(s) || err != nil {
		t.Fatalf("write: got %d, %v, want %d", n, err, len(s))
	}
}

func want(t *testing.T, c transport.Conn, s string) {
	t.Helper()
	got := make([]byte, len(s))
	set(t, c.SetReadDeadline, time.Now().Add(long))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != s {
		t.Fatalf("read: got %q, %v, want %q", got, err, s)
	}
	set(t, c.SetReadDeadline, time.Time{})
}

func wantAll(t *testing.T, c transport.Conn, s string) {
	t.Helper()
	set(t, c.SetReadDeadline, time.Now().Add(long))
	got, err := io.ReadAll(c)
	if err != nil || string(got) != s {
		t.Fatalf("read to the end: got %q, %v, want %q", got, err, s)
	}
	set(t, c.SetReadDeadline, time.Time{})
}

func within(t *testing.T, what string, c <-chan error) error {
	t.Helper()
	select {
	case err := <-c:
		return err
	case <-time.After(long):
		t.Fatalf("%s still waits after %v", what, long)
		return nil
	}
}

func set(t *testing.T, deadline func(time.Time) error, at time.Time) {
	t.Helper()
	if err := deadline(at); err != nil {
		t.Fatalf("set a deadline: %v", err)
	}
}

func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }

func random(seed uint64, n int) []byte {
	r := mathrand.NewChaCha8([32]byte{byte(seed)})
	b := make([]byte, n)
	_, _ = r.Read(b) // it never fails
	return b
}
