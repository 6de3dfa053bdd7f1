package noise

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	flynn "github.com/flynn/noise"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

func newSecret(t testing.TB) *identity.Secret {
	t.Helper()
	s, err := identity.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sockets returns the two ends of a connection in memory.
func sockets(t testing.TB) (dialled, accepted net.Conn) {
	t.Helper()
	n := memory.NewNetwork()
	n.SetLink(memory.Link{Buffer: 128 << 10})
	l, err := n.Transport().Listen(t.Context(), ma.StringCast("/memory/0"))
	if err != nil {
		t.Fatal(err)
	}
	dialled, err = n.Transport().Dial(t.Context(), l.Multiaddr())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	t.Cleanup(func() {
		dialled.Close()
		accepted.Close()
	})
	return dialled, accepted
}

type shaken struct {
	c   *Conn
	err error
}

// shake runs both ends of a handshake over the given connections.
func shake(x, y net.Conn, client, server Config) (c, s shaken) {
	done := make(chan shaken)
	go func() {
		c, err := Server(y, server)
		if err != nil {
			y.Close()
		}
		done <- shaken{c, err}
	}()
	c.c, c.err = Client(x, client)
	if c.err != nil {
		x.Close()
	}
	return c, <-done
}

// connect returns both ends of an encrypted connection in memory.
func connect(t testing.TB) (client, server *Conn) {
	t.Helper()
	x, y := sockets(t)
	c, s := shake(x, y, Config{Static: newSecret(t)}, Config{Static: newSecret(t)})
	if c.err != nil || s.err != nil {
		t.Fatalf("handshake: %v, %v", c.err, s.err)
	}
	return c.c, s.c
}

// peer is the other end by hand: flynn's state machine and frames made here.
type peer struct {
	t     *testing.T
	c     net.Conn
	state *flynn.HandshakeState
	out   *flynn.CipherState
	in    *flynn.CipherState
}

func newPeer(t *testing.T, c net.Conn, p flynn.HandshakePattern, initiator bool) *peer {
	t.Helper()
	state, err := flynn.NewHandshakeState(flynn.Config{
		CipherSuite: flynn.NewCipherSuite(dh{}, flynn.CipherChaChaPoly, flynn.HashBLAKE2b), Pattern: p, Initiator: initiator,
		Prologue: []byte(protocol.Prologue), StaticKeypair: keypair(newSecret(t)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return &peer{t: t, c: c, state: state}
}

func frame(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

func (p *peer) keys(k1, k2 *flynn.CipherState, initiator bool) {
	if p.out, p.in = k1, k2; !initiator {
		p.out, p.in = k2, k1
	}
}

// message returns the next handshake message, as a frame.
func (p *peer) message(payload []byte) []byte {
	p.t.Helper()
	m, k1, k2, err := p.state.WriteMessage(nil, payload)
	if err != nil {
		p.t.Fatalf("peer: write message: %v", err)
	}
	if k1 != nil {
		p.keys(k1, k2, p.state.MessageIndex()%2 == 1)
	}
	return frame(m)
}

// take reads the next handshake message and returns its length and payload.
func (p *peer) take() (length int, payload []byte) {
	p.t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(p.c, head[:]); err != nil {
		p.t.Fatalf("peer: read message: %v", err)
	}
	m := make([]byte, binary.BigEndian.Uint16(head[:]))
	if _, err := io.ReadFull(p.c, m); err != nil {
		p.t.Fatalf("peer: read message: %v", err)
	}
	payload, k1, k2, err := p.state.ReadMessage(nil, m)
	if err != nil {
		p.t.Fatalf("peer: read message: %v", err)
	}
	if k1 != nil {
		p.keys(k1, k2, p.state.MessageIndex()%2 == 0)
	}
	return len(m), payload
}

// sealed returns a transport frame.
func (p *peer) sealed(plain string) []byte {
	p.t.Helper()
	m, err := p.out.Encrypt(nil, nil, []byte(plain))
	if err != nil {
		p.t.Fatal(err)
	}
	return frame(m)
}

func (p *peer) send(frames ...[]byte) {
	p.t.Helper()
	if _, err := p.c.Write(bytes.Join(frames, nil)); err != nil {
		p.t.Fatalf("peer: write: %v", err)
	}
}

func TestHandshake(t *testing.T) {
	for _, pattern := range []protocol.Pattern{protocol.XX, protocol.IX} {
		t.Run(pattern.String(), func(t *testing.T) {
			x, y := sockets(t)
			a, b := newSecret(t), newSecret(t)
			c, s := shake(x, y, Config{Pattern: pattern, Static: a}, Config{Pattern: pattern, Static: b})
			if c.err != nil || s.err != nil {
				t.Fatalf("got %v, %v", c.err, s.err)
			}
			if c.c.RemoteKey() != b.PublicKey() || s.c.RemoteKey() != a.PublicKey() {
				t.Errorf("keys: got %s and %s, want %s and %s", c.c.RemoteKey(), s.c.RemoteKey(), b.PublicKey(), a.PublicKey())
			}
			if !bytes.Equal(c.c.HandshakeHash(), s.c.HandshakeHash()) || len(c.c.HandshakeHash()) != 64 {
				t.Errorf("hashes: got %x and %x, want the same 64 bytes", c.c.HandshakeHash(), s.c.HandshakeHash())
			}
			for _, ends := range [][2]*Conn{{c.c, s.c}, {s.c, c.c}} {
				if _, err := io.WriteString(ends[0], "hello"); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, 5)
				if _, err := io.ReadFull(ends[1], got); err != nil || string(got) != "hello" {
					t.Errorf("got %q, %v, want hello", got, err)
				}
			}
		})
	}
}

// IX is checked against the pattern as another library plays it; there are no
// recorded bytes of it.
func TestIXWithPeer(t *testing.T) {
	x, y := sockets(t)
	p := newPeer(t, x, flynn.HandshakeIX, true)
	p.send(p.message(nil)) // the buffer takes it
	c, err := Server(y, Config{Pattern: protocol.IX, Static: newSecret(t)})
	if err != nil {
		t.Fatal(err)
	}
	if n, payload := p.take(); n != 96 || len(payload) != 0 {
		t.Errorf("message 2: got %d bytes with payload %x, want 96 with none", n, payload)
	}
	p.send(p.sealed("hi"))
	got := make([]byte, 2)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "hi" {
		t.Errorf("got %q, %v, want hi", got, err)
	}
}

// conforms: comms 32
func TestPayloadsAreEmpty(t *testing.T) {
	for _, c := range []struct {
		name    string
		with    int // which message carries a payload
		message int // where we must fail
	}{{"message 1", 1, 1}, {"message 2", 2, 2}, {"message 3", 3, 3}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, y := sockets(t)
				payload := func(i int) []byte {
					if i == c.with {
						return []byte("x")
					}
					return nil
				}
				result := make(chan error, 1)
				if c.with == 2 {
					p := newPeer(t, y, flynn.HandshakeXX, false)
					go func() {
						_, err := Client(x, Config{Static: newSecret(t)})
						result <- err
					}()
					p.take()
					p.send(p.message(payload(2)))
				} else {
					p := newPeer(t, x, flynn.HandshakeXX, true)
					go func() {
						_, err := Server(y, Config{Static: newSecret(t)})
						result <- err
					}()
					p.send(p.message(payload(1)))
					if c.with == 3 {
						p.take()
						p.send(p.message(payload(3)))
					}
				}
				wantHandshakeError(t, <-result, c.message, ErrPayload)
			})
		})
	}
}

func wantHandshakeError(t *testing.T, err error, message int, want error) {
	t.Helper()
	var he *HandshakeError
	if !errors.As(err, &he) || he.Message != message || !errors.Is(err, want) {
		t.Errorf("got %v, want %v at message %d", err, want, message)
	}
}

// A node of one pattern meets one of the other.
func TestPatternsDoNotMix(t *testing.T) {
	for _, c := range []struct {
		client, server protocol.Pattern
		want           error
	}{{protocol.IX, protocol.XX, ErrPayload}, {protocol.XX, protocol.IX, ErrLength}} {
		synctest.Test(t, func(t *testing.T) {
			x, y := sockets(t)
			client, server := shake(x, y, Config{Pattern: c.client, Static: newSecret(t)}, Config{Pattern: c.server, Static: newSecret(t)})
			wantHandshakeError(t, server.err, 1, c.want)
			if client.err == nil {
				t.Error("client: got no error, want one")
			}
		})
	}
}

func TestPrologueMustAgree(t *testing.T) {
	x, y := sockets(t)
	c, s := shake(x, y, Config{Static: newSecret(t), Prologue: "other"}, Config{Static: newSecret(t)})
	wantHandshakeError(t, c.err, 2, ErrHandshake)
	wantHandshakeError(t, s.err, 3, io.EOF)
}

// conforms: comms 38
func TestMessageTimeout(t *testing.T) {
	for _, c := range []struct {
		name    string
		run     func(t *testing.T, x, y net.Conn) error
		message int
	}{
		{"listener, message 1", func(t *testing.T, x, y net.Conn) error {
			_, err := Server(y, Config{Static: newSecret(t)})
			return err
		}, 1},
		{"dialer, message 2", func(t *testing.T, x, y net.Conn) error {
			_, err := Client(x, Config{Static: newSecret(t)})
			return err
		}, 2},
		{"listener, one byte per second", func(t *testing.T, x, y net.Conn) error {
			go func() {
				for _, b := range newPeer(t, x, flynn.HandshakeXX, true).message(nil) {
					if _, err := x.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			}()
			_, err := Server(y, Config{Static: newSecret(t)})
			y.Close()
			return err
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, y := sockets(t)
				start := time.Now()
				err := c.run(t, x, y)
				if took := time.Since(start); took != 6*time.Second {
					t.Errorf("got an end after %v, want 6s", took)
				}
				wantHandshakeError(t, err, c.message, ErrTimeout)
				time.Sleep(2 * time.Second) // the peer notices
			})
		})
	}
	t.Run("listener, message 3", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x, y := sockets(t)
			p := newPeer(t, x, flynn.HandshakeXX, true)
			start := time.Now()
			go func() {
				time.Sleep(5 * time.Second)
				p.send(p.message(nil))
			}()
			_, err := Server(y, Config{Static: newSecret(t)})
			// Each message has its own limit.
			if took := time.Since(start); took != 11*time.Second {
				t.Errorf("got an end after %v, want 11s", took)
			}
			wantHandshakeError(t, err, 3, ErrTimeout)
		})
	})
}

func TestDeadlinesAreClearedAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := connect(t)
		time.Sleep(time.Hour)
		if _, err := io.WriteString(c, "late"); err != nil {
			t.Errorf("write: %v", err)
		}
		if _, err := io.ReadFull(s, make([]byte, 4)); err != nil {
			t.Errorf("read: %v", err)
		}
	})
}

func TestBadMessages(t *testing.T) {
	zero := make([]byte, 32)
	not := bytes.Repeat([]byte{0xff}, 32)
	for _, c := range []struct {
		name    string
		bytes   []byte
		message int
		want    error
	}{
		{"identity element", frame(zero), 1, ErrBadKey},
		{"not a point", frame(not), 1, ErrBadKey},
		{"short message", frame(zero[:31]), 1, ErrLength},
		{"long message", frame(make([]byte, 65535)), 1, ErrPayload},
		{"nothing", nil, 1, io.EOF},
		{"half a length", []byte{0}, 1, io.ErrUnexpectedEOF},
		{"half a message", frame(zero)[:20], 1, io.ErrUnexpectedEOF},
		{"zero lengths only", make([]byte, 100), 1, io.EOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &scripted{in: bytes.NewReader(c.bytes)}
			_, err := Server(s, Config{Static: newSecret(t)})
			wantHandshakeError(t, err, c.message, c.want)
			if len(s.writes) != 0 {
				t.Errorf("got %x written, want nothing", s.writes)
			}
		})
	}
	t.Run("static key that is no point, IX", func(t *testing.T) {
		e := newSecret(t).PublicKey()
		s := &scripted{in: bytes.NewReader(frame(append(e[:], not...)))}
		_, err := Server(s, Config{Pattern: protocol.IX, Static: newSecret(t)})
		wantHandshakeError(t, err, 1, ErrBadKey)
	})
	t.Run("random bytes as message 2", func(t *testing.T) {
		e := newSecret(t).PublicKey()
		m := make([]byte, 96)
		copy(m, e[:])
		_, err := Client(&scripted{in: bytes.NewReader(frame(m))}, Config{Static: newSecret(t)})
		wantHandshakeError(t, err, 2, ErrHandshake)
	})
	t.Run("zero length before a message is skipped", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x, y := sockets(t)
			p := newPeer(t, x, flynn.HandshakeXX, true)
			done := make(chan error, 1)
			go func() {
				_, err := Server(y, Config{Static: newSecret(t)})
				done <- err
			}()
			p.send([]byte{0, 0}, p.message(nil))
			p.take()
			p.send([]byte{0, 0, 0, 0}, p.message(nil))
			if err := <-done; err != nil {
				t.Errorf("got %v, want a handshake", err)
			}
		})
	})
}

// A recorded dialer is played again to the same listener: its message 3 was
// made for another ephemeral key.
func TestReplayedHandshake(t *testing.T) {
	var v kat
	load(t, "noise-kat.json", &v)
	var in []byte
	for _, i := range []int{0, 2} {
		in = append(in, unhex(t, v.Bytes.Handshake[i])...)
	}
	s := &scripted{in: bytes.NewReader(in)}
	_, err := Server(s, Config{Static: secret(t, v.Inputs.ResponderStatic)})
	wantHandshakeError(t, err, 3, ErrHandshake)
}

// conforms: comms 39, 40
func TestCheck(t *testing.T) {
	refusal := errors.New("no")
	for _, c := range []struct {
		name    string
		pattern protocol.Pattern
		client  bool
		message int
		writes  int // by the side that refuses, before it did
	}{
		{"XX dialer", protocol.XX, true, 2, 1},
		{"XX listener", protocol.XX, false, 3, 1},
		{"IX dialer", protocol.IX, true, 2, 1},
		{"IX listener", protocol.IX, false, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, y := sockets(t)
				a, b := newSecret(t), newSecret(t)
				var got identity.PublicKey
				client, server := Config{Pattern: c.pattern, Static: a}, Config{Pattern: c.pattern, Static: b}
				strict, other := &server, a
				if c.client {
					strict, other = &client, b
				}
				strict.Check = func(k identity.PublicKey) error { got = k; return refusal }
				cx, cy := &counting{Conn: x}, &counting{Conn: y}
				cr, sr := shake(cx, cy, client, server)
				r, n := sr, cy.writes
				if c.client {
					r, n = cr, cx.writes
				}
				var ce *CheckError
				if !errors.As(r.err, &ce) || !errors.Is(r.err, refusal) {
					t.Errorf("got %v, want a CheckError with the refusal", r.err)
				}
				wantHandshakeError(t, r.err, c.message, refusal)
				if got != other.PublicKey() {
					t.Errorf("checked key: got %s, want %s", got, other.PublicKey())
				}
				if n != c.writes {
					t.Errorf("got %d writes, want %d", n, c.writes)
				}
			})
		})
	}
}

type counting struct {
	net.Conn
	writes int
	sizes  []int
}

func (c *counting) Write(b []byte) (int, error) {
	c.writes++
	c.sizes = append(c.sizes, len(b))
	return c.Conn.Write(b)
}

func TestPrefixSharesTheFirstWrite(t *testing.T) {
	s := &scripted{in: strings.NewReader("")}
	_, err := Client(s, Config{Static: newSecret(t), Prefix: []byte{0x10}})
	wantHandshakeError(t, err, 2, io.EOF)
	if len(s.writes) != 1 || len(s.writes[0]) != 35 || s.writes[0][0] != 0x10 {
		t.Errorf("got %x, want one write: the prefix, then message 1", s.writes)
	}
}

// conforms: comms 34, 35
func TestWrite(t *testing.T) {
	for _, c := range []struct {
		n      int
		frames []int
	}{
		{0, nil},
		{1, []int{1}},
		{4078, []int{4078}}, // fills a small buffer
		{4079, []int{4079}},
		{65519, []int{65519}},
		{65520, []int{65519, 1}},
		{200_000, []int{65519, 65519, 65519, 3443}},
	} {
		t.Run(fmt.Sprint(c.n), func(t *testing.T) {
			s := &scripted{in: strings.NewReader("")}
			w := &Conn{Conn: s}
			w.out.init([32]byte{1})
			data := make([]byte, c.n)
			rand.Read(data)
			if n, err := w.Write(data); n != c.n || err != nil {
				t.Fatalf("got %d, %v, want %d", n, err, c.n)
			}
			if len(s.writes) != len(c.frames) {
				t.Fatalf("got %d writes, want one for each of %d frames", len(s.writes), len(c.frames))
			}
			var got []byte
			for i, f := range s.writes {
				if length := int(binary.BigEndian.Uint16(f)); length != c.frames[i]+16 || len(f) != length+2 {
					t.Errorf("frame %d: got length %d in %d bytes, want %d", i, length, len(f), c.frames[i]+16)
				}
				got = append(got, decrypt(t, "0100000000000000000000000000000000000000000000000000000000000000", byte(i), f)...)
			}
			wantBytes(t, "content", got, data)
		})
	}
}

func TestReadSizes(t *testing.T) {
	c, s := connect(t)
	sizes := []int{1, 100, 4077, 4078, 4079, 4080, 5000, 30_000, 65_519, 100_000, 7}
	var sent []byte
	for _, n := range sizes {
		b := make([]byte, n)
		rand.Read(b)
		sent = append(sent, b...)
	}
	go func() {
		rest := sent
		for _, n := range sizes {
			c.Write(rest[:n])
			rest = rest[n:]
		}
		c.Close()
	}()
	var got []byte
	for i := 0; ; i++ {
		b := make([]byte, []int{1, 13, 70_000, 3000}[i%4])
		n, err := s.Read(b)
		got = append(got, b[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, sent) {
		t.Error("got other bytes than were written")
	}
	if s.large != nil || s.plain != nil {
		t.Error("a buffer is still held, want it back in the pool")
	}
	if n, err := s.Read(nil); n != 0 || err != nil {
		t.Errorf("read into nothing: got %d, %v, want 0", n, err)
	}
}

// conforms: comms 36
func TestEmptyFramesAreSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := sockets(t)
		p := newPeer(t, x, flynn.HandshakeXX, true)
		done := make(chan shaken, 1)
		go func() {
			c, err := Server(y, Config{Static: newSecret(t)})
			done <- shaken{c, err}
		}()
		p.send(p.message(nil))
		p.take()
		// Everything in one segment with message 3.
		p.send(p.message(nil), []byte{0, 0}, p.sealed(""), p.sealed("a"), []byte{0, 0, 0, 0}, p.sealed(""), p.sealed(""), p.sealed("b"))
		x.Close()
		s := <-done
		if s.err != nil {
			t.Fatal(s.err)
		}
		// A Read that returned nothing would be taken for the end.
		for _, want := range []string{"a", "b"} {
			got := make([]byte, 100)
			if n, err := s.c.Read(got); string(got[:n]) != want || err != nil {
				t.Errorf("got %q, %v, want %q", got[:n], err, want)
			}
		}
		if n, err := s.c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("got %d, %v, want EOF", n, err)
		}
	})
}

// conforms: comms 37
func TestDecryptErrorIsFinal(t *testing.T) {
	good := func(p *peer) []byte { return p.sealed("good") }
	for name, bad := range map[string]func(p *peer) []byte{
		"flipped bit": func(p *peer) []byte {
			f := p.sealed("x")
			f[4] ^= 1
			return f
		},
		"large frame": func(p *peer) []byte {
			f := p.sealed(strings.Repeat("x", 60_000))
			f[30_000] ^= 1
			return f
		},
		"too short": func(*peer) []byte { return frame(make([]byte, 15)) },
		"replayed":  nil,
		"left out": func(p *peer) []byte {
			p.sealed("never sent")
			return p.sealed("x")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, y := sockets(t)
				p := newPeer(t, x, flynn.HandshakeXX, true)
				done := make(chan shaken, 1)
				go func() {
					c, err := Server(y, Config{Static: newSecret(t)})
					done <- shaken{c, err}
				}()
				p.send(p.message(nil))
				p.take()
				p.send(p.message(nil))
				first := good(p)
				second := first
				if bad != nil {
					second = bad(p)
				}
				s := <-done
				if s.err != nil {
					t.Fatal(s.err)
				}
				p.send(first, second)
				go x.Write(good(p))
				got := make([]byte, 100_000)
				if n, err := s.c.Read(got); string(got[:n]) != "good" || err != nil {
					t.Errorf("first frame: got %q, %v, want good", got[:n], err)
				}
				for range 3 {
					if n, err := s.c.Read(got); n != 0 || !errors.Is(err, ErrDecrypt) {
						t.Fatalf("after the bad frame: got %q, %v, want ErrDecrypt", got[:n], err)
					}
				}
			})
		})
	}
}

func TestEnds(t *testing.T) {
	for name, c := range map[string]struct {
		bytes []byte
		want  error
	}{
		"between frames":       {nil, io.EOF},
		"in the length":        {[]byte{0}, io.ErrUnexpectedEOF},
		"after the length":     {[]byte{0, 20}, io.ErrUnexpectedEOF},
		"in a frame":           {append([]byte{0, 20}, make([]byte, 19)...), io.ErrUnexpectedEOF},
		"in a large frame":     {append([]byte{255, 255}, make([]byte, 5000)...), io.ErrUnexpectedEOF},
		"after a large length": {[]byte{255, 255}, io.ErrUnexpectedEOF},
		"after only zeros":     {make([]byte, 10_000), io.EOF},
		"in the zeros":         {make([]byte, 9_999), io.ErrUnexpectedEOF},
	} {
		r := newConn(&scripted{in: bytes.NewReader(c.bytes)})
		r.in.init([32]byte{})
		for range 2 {
			if n, err := r.Read(make([]byte, 10)); n != 0 || err != c.want {
				t.Errorf("%s: got %d, %v, want %v", name, n, err, c.want)
			}
		}
		if r.large != nil {
			t.Errorf("%s: a buffer is still held", name)
		}
	}
}

// stuttering gives one byte, then a deadline error, and so on.
type stuttering struct {
	scripted
	b     []byte
	pause bool
}

func (s *stuttering) Read(b []byte) (int, error) {
	if s.pause = !s.pause; s.pause {
		return 0, os.ErrDeadlineExceeded
	}
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:1], s.b)
	s.b = s.b[n:]
	return n, nil
}

// Reading goes on where a deadline interrupted it, at every byte.
func TestReadIsResumable(t *testing.T) {
	w := &scripted{in: strings.NewReader("")}
	out := &Conn{Conn: w}
	out.out.init([32]byte{7})
	want := make([]byte, 0, 10_000)
	for _, n := range []int{1, 50, 5000, 3} {
		b := make([]byte, n)
		rand.Read(b)
		want = append(want, b...)
		out.Write(b)
	}
	in := newConn(&stuttering{b: bytes.Join(w.writes, []byte{0, 0})})
	in.in.init([32]byte{7})
	var got []byte
	b := make([]byte, 600)
	deadlines := 0
	for {
		n, err := in.Read(b)
		got = append(got, b[:n]...)
		if err == io.EOF {
			break
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			deadlines++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	wantBytes(t, "content", got, want)
	if deadlines < len(want) {
		t.Errorf("got %d interruptions, want one for each byte", deadlines)
	}
}

type failing struct {
	scripted
	n   int
	err error
}

func (f *failing) Write(b []byte) (int, error) { return min(f.n, len(b)), f.err }

func TestWriteErrorIsFinal(t *testing.T) {
	for _, f := range []*failing{{n: 0, err: os.ErrDeadlineExceeded}, {n: 5, err: io.ErrClosedPipe}, {n: 5, err: nil}} {
		c := &Conn{Conn: f}
		c.out.init([32]byte{})
		n, first := c.Write(make([]byte, 100))
		if n != 0 || first == nil {
			t.Errorf("short write: got %d, %v, want 0 and an error", n, first)
		}
		f.n, f.err = 1<<20, nil
		if n, err := c.Write([]byte("x")); n != 0 || err != first {
			t.Errorf("next write: got %d, %v, want %v", n, err, first)
		}
	}
}

func TestNoncesRunOut(t *testing.T) {
	c := newConn(&scripted{in: bytes.NewReader(frame(make([]byte, 16)))})
	c.in.init([32]byte{})
	c.out.init([32]byte{})
	c.in.n, c.out.n = 1<<64-1, 1<<64-1
	if _, err := c.Write([]byte("x")); !errors.Is(err, ErrExhausted) {
		t.Errorf("write: got %v, want ErrExhausted", err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, ErrExhausted) {
		t.Errorf("read: got %v, want ErrExhausted", err)
	}
}

func TestBadConfig(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no key":          {},
		"unknown pattern": {Pattern: 9, Static: newSecret(t)},
		"no randomness":   {Static: newSecret(t), Random: strings.NewReader("short")},
	} {
		s := &scripted{in: strings.NewReader("")}
		if _, err := Client(s, cfg); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
		if len(s.writes) != 0 {
			t.Errorf("%s: got %x written, want nothing", name, s.writes)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	for _, n := range []int{64, 1024, 60_000} {
		w := &scripted{in: strings.NewReader("")}
		c := &Conn{Conn: discard{w}}
		c.out.init([32]byte{})
		b := make([]byte, n)
		if got := testing.AllocsPerRun(100, func() { c.Write(b) }); got > 0 {
			t.Errorf("write %d bytes: got %v allocations, want 0", n, got)
		}
	}
}

type discard struct{ *scripted }

func (discard) Write(b []byte) (int, error) { return len(b), nil }
