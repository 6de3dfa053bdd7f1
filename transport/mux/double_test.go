package mux

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/noise"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

// frame is one frame as the double sees it.
type frame struct {
	header
	data []byte
}

func (f frame) String() string {
	s := fmt.Sprintf("%x %x %x %x", f.header[:2], f.header[2:4], f.header[4:8], f.header[8:])
	if len(f.data) > 16 {
		return fmt.Sprintf("%s %x… (%d bytes)", s, f.data[:16], len(f.data))
	}
	if len(f.data) > 0 {
		s += fmt.Sprintf(" %x", f.data)
	}
	return s
}

// double is a peer that speaks frames by hand, as rust-yamux does, and
// remembers what it was sent.
type double struct {
	t    testing.TB
	conn net.Conn

	mu     sync.Mutex
	frames []frame
	news   chan struct{}
	err    error
	pause  chan struct{} // not nil: do not read until closed
	eager  bool          // answers pings
}

// connect returns a session and a double at the other end of a net.Pipe.
func connect(t testing.TB, client bool, cfg Config) (*Session, *double) {
	t.Helper()
	s, d := connectHeld(t, client, cfg)
	s.Release()
	return s, d
}

func connectHeld(t testing.TB, client bool, cfg Config) (*Session, *double) {
	t.Helper()
	a, b := net.Pipe()
	s, err := NewHeld(&full{Conn: a}, client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	d := &double{t: t, conn: b, news: make(chan struct{}, 1), eager: true}
	go d.read()
	t.Cleanup(func() {
		s.Close()
		b.Close()
	})
	return s, d
}

// read takes everything that the session sends.
func (d *double) read() {
	for {
		d.mu.Lock()
		pause := d.pause
		d.mu.Unlock()
		if pause != nil {
			<-pause
		}
		var f frame
		_, err := io.ReadFull(d.conn, f.header[:])
		if err == nil {
			f.data = make([]byte, f.body())
			_, err = io.ReadFull(d.conn, f.data)
		}
		d.mu.Lock()
		if err != nil {
			d.err = err
		} else {
			d.frames = append(d.frames, f)
		}
		select {
		case d.news <- struct{}{}:
		default:
		}
		d.mu.Unlock()
		if err != nil {
			return
		}
		if f.kind() == typePing && f.flags() == flagSYN && d.eager {
			go d.send(typePing, flagACK, 0, f.length())
		}
	}
}

// stop makes the double read nothing until the returned function is called.
func (d *double) stop() (resume func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ch := make(chan struct{})
	d.pause = ch
	resume = sync.OnceFunc(func() {
		d.mu.Lock()
		d.pause = nil
		d.mu.Unlock()
		close(ch)
	})
	d.t.Cleanup(resume)
	return resume
}

// send writes a frame; body only for data frames, whose length it then is.
func (d *double) send(kind uint8, flags uint16, id, length uint32, body ...byte) {
	if kind == typeData && body != nil {
		length = uint32(len(body))
	}
	h := newHeader(kind, flags, id, length)
	d.raw(append(h[:], body...))
}

func (d *double) raw(b []byte) { d.conn.Write(b) }

func (d *double) data(id uint32, flags uint16, body string) {
	d.send(typeData, flags, id, 0, []byte(body)...)
}

// next returns the next frame that is not a ping of ours.
func (d *double) next() frame {
	d.t.Helper()
	for {
		d.mu.Lock()
		if len(d.frames) > 0 {
			f := d.frames[0]
			d.frames = d.frames[1:]
			d.mu.Unlock()
			return f
		}
		err := d.err
		d.mu.Unlock()
		if err != nil {
			d.t.Fatalf("got the end of the connection (%v), want a frame", err)
		}
		select {
		case <-d.news:
		case <-time.After(20 * time.Second):
			d.t.Fatal("got no frame, want one")
		}
	}
}

// expect compares the next frame with hex digits, spaces ignored.
func (d *double) expect(want string) {
	d.t.Helper()
	f := d.next()
	got := append(f.header[:], f.data...)
	if w := unhex(d.t, want); !bytes.Equal(got, w) {
		d.t.Fatalf("got frame %v, want %s", f, want)
	}
}

// windows takes the frames that the session has sent, which must be window updates, and
// returns their substreams.
func (d *double) windows() (ids []uint32) {
	d.t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.frames {
		if f.kind() != typeWindow {
			d.t.Fatalf("got %v, want a window update", f)
		}
		ids = append(ids, f.id())
	}
	d.frames = nil
	return ids
}

// quiet checks that the session has sent nothing more.
func (d *double) quiet() {
	d.t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.frames) > 0 {
		d.t.Fatalf("got frames %v, want none", d.frames)
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
	synctest.Test(t, f)
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
	s, err := New(c, client, cfg)
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
