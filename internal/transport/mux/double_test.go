package mux

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/internal/transport/transporttest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

// double is a peer that speaks frames by hand, as rust-yamux does, and
// remembers what it was sent.
type double struct {
	*rawpeer.Peer
	t    testing.TB
	conn net.Conn
	seen int // frames that a test has looked at
}

func newDouble(t testing.TB, conn net.Conn) *double {
	d := &double{Peer: rawpeer.New(conn, rawpeer.Options{Record: true}), t: t, conn: conn}
	go d.Run()
	return d
}

// connect returns a session and a double at the other end of a net.Pipe.
func connect(t testing.TB, client bool, cfg Config) (*Session, *double) {
	t.Helper()
	s, d := connectHeld(t, client, cfg, inParts)
	s.Release()
	return s, d
}

// connectWhole is connect for much data: frames come whole.
func connectWhole(t testing.TB, client bool, cfg Config) (*Session, *double) {
	t.Helper()
	s, d := connectHeld(t, client, cfg, over)
	s.Release()
	return s, d
}

func connectHeld(t testing.TB, client bool, cfg Config, as func(net.Conn) Conn) (*Session, *double) {
	t.Helper()
	a, b := net.Pipe()
	s, err := New(as(a), client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	d := newDouble(t, b)
	t.Cleanup(func() {
		s.Close()
		b.Close()
	})
	return s, d
}

// over makes a [Conn] of a connection without encryption.
func over(c net.Conn) Conn { return transporttest.NewBuffered(c, 4096) }

// inParts is over with a buffer so small that frames come in parts.
func inParts(c net.Conn) Conn { return transporttest.NewBuffered(c, 16) }

// stop makes the double read nothing until the returned function is called, but for what it waits for.
func (d *double) stop() (resume func()) {
	synctest.Wait() // it has what was sent, and waits
	resume = d.Pause()
	d.t.Cleanup(resume)
	return resume
}

// next returns the next frame.
func (d *double) next() rawpeer.Frame {
	d.t.Helper()
	if !d.Wait(20*time.Second, func() bool { return len(d.Frames()) > d.seen }) {
		d.t.Fatalf("got no frame (the end: %v), want one", d.Err())
	}
	d.seen++
	return d.Frames()[d.seen-1]
}

// rest returns all further frames that have come.
func (d *double) rest() []rawpeer.Frame {
	rest := d.Frames()[d.seen:]
	d.seen += len(rest)
	return rest
}

// expect compares the next frame with hex digits, spaces ignored.
func (d *double) expect(want string) {
	d.t.Helper()
	f := d.next()
	got := append(f.Header[:], f.Body...)
	if w := unhex(d.t, want); !bytes.Equal(got, w) {
		d.t.Fatalf("got frame %v, want %s", f, want)
	}
}

// windows takes the frames that the session has sent, which must be window updates, and
// returns their substreams.
func (d *double) windows() (ids []uint32) {
	d.t.Helper()
	synctest.Wait()
	for _, f := range d.rest() {
		if f.Type() != typeWindow {
			d.t.Fatalf("got %v, want a window update", f)
		}
		ids = append(ids, f.ID())
	}
	return ids
}

// quiet checks that the session has sent nothing more.
func (d *double) quiet() {
	d.t.Helper()
	synctest.Wait()
	if rest := d.rest(); len(rest) > 0 {
		d.t.Fatalf("got frames %v, want none", rest)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bubble runs f with a clock of its own. The library keeps timers in a pool
// that outlives a bubble; two collections empty it.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	dropTimers()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Millisecond) }) // an eager lookout ends
		f(t)
	})
	dropTimers()
}

func dropTimers() {
	runtime.GC()
	runtime.GC()
}

// pair returns two sessions over the two ends of a pipe, or of a loopback TCP
// connection.
func pair(t testing.TB, tcp bool, cfg Config) (client, server *Session) {
	t.Helper()
	a, b := net.Pipe()
	if tcp {
		a, b = tcpPair(t)
	}
	return wrap(t, a, true, cfg), wrap(t, b, false, cfg)
}

func wrap(t testing.TB, c net.Conn, client bool, cfg Config) *Session {
	t.Helper()
	conn, ok := c.(Conn)
	if !ok {
		conn = over(c)
	}
	s, err := start(conn, client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func tcpPair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// accept runs the accept loop and passes on what it returns.
func accept(s *Session) <-chan *Stream {
	ch := make(chan *Stream, 1000)
	go func() {
		defer close(ch)
		for {
			st, err := s.Accept()
			if err != nil {
				return
			}
			ch <- st
		}
	}()
	return ch
}

func mustOpen(t testing.TB, s *Session) *Stream {
	t.Helper()
	st, err := s.Open()
	if err != nil {
		t.Fatalf("got open error %v, want a stream", err)
	}
	return st
}

func mustWrite(t testing.TB, w io.Writer, b string) {
	t.Helper()
	if n, err := io.WriteString(w, b); n != len(b) || err != nil {
		t.Fatalf("got write %d, %v, want %d, nil", n, err, len(b))
	}
}

func mustRead(t testing.TB, r io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(r, b); err != nil || string(b) != want {
		t.Fatalf("got read %q, %v, want %q", b[:n], err, want)
	}
}

func wantErr(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("got error %v, want %v", got, want)
	}
}

// noisePair is a Noise connection over loopback TCP.
func noisePair(t testing.TB) (client, server net.Conn) {
	ln, err := tcp.New(tcp.Options{}).Listen(t.Context(), ma.StringCast("/ip4/127.0.0.1/tcp/0"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	x, err := tcp.New(tcp.Options{}).Dial(t.Context(), ln.Multiaddr())
	if err != nil {
		t.Fatal(err)
	}
	y, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	key := func() *identity.Secret {
		s, err := identity.NewSecret(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	done := make(chan net.Conn)
	go func() {
		c, err := noise.Server(y, noise.Config{Pattern: protocol.XX, Static: key()})
		if err != nil {
			t.Error(err)
		}
		done <- c
	}()
	c, err := noise.Client(x, noise.Config{Pattern: protocol.XX, Static: key()})
	if err != nil {
		t.Fatal(err)
	}
	return c, <-done
}

// inbound returns how many live substreams the peer has opened.
func (s *Session) inbound() int {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	return s.table.liveInbound
}

// start starts a session that reads at once.
func start(conn Conn, client bool, cfg Config) (*Session, error) {
	s, err := New(conn, client, cfg)
	if err == nil {
		s.Release()
	}
	return s, err
}
