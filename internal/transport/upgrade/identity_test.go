package upgrade

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// roles runs f with a set-up of profile tari under way in each role, and the
// encrypted connection of a peer by hand on the other end, past the handshake.
func roles(t *testing.T, f func(t *testing.T, peer *noise.Conn, s *identity.Secret, done <-chan outcome)) {
	t.Run("dialer", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			x, y := sockets(t, memory.Link{})
			s := newSecret(t)
			done := outbound(t, x, config(t, tari()), s.PublicKey())
			io.ReadFull(y, make([]byte, 1))
			peer, err := noise.Server(y, noise.Config{Static: s})
			if err != nil {
				t.Fatal(err)
			}
			f(t, peer, s, done)
		})
	})
	t.Run("listener", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			x, y := sockets(t, memory.Link{})
			s := newSecret(t)
			done := inbound(t, y, config(t, tari()))
			x.Write([]byte{0x10})
			peer, err := noise.Client(x, noise.Config{Static: s})
			if err != nil {
				t.Fatal(err)
			}
			f(t, peer, s, done)
		})
	})
}

func frameOf(t *testing.T, s *identity.Secret) []byte {
	t.Helper()
	b, err := identify.Append(nil, 0, own(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// conforms: comms 44
func TestIdentityIsSentWithoutWaiting(t *testing.T) {
	roles(t, func(t *testing.T, peer *noise.Conn, s *identity.Secret, done <-chan outcome) {
		body, err := identify.Read(peer, tari())
		if err != nil {
			t.Fatalf("read our frame before sending one: %v", err)
		}
		// comms 45: version 0, length little-endian, are identify's to test.
		if len(body) == 0 {
			t.Error("got an empty body")
		}
		if _, err := peer.Write(frameOf(t, s)); err != nil {
			t.Fatal(err)
		}
		o := <-done
		if o.err != nil {
			t.Fatal(o.err)
		}
		o.r.Session.Close()
	})
}

// conforms: comms 41
func TestBytesAfterIdentityReachYamux(t *testing.T) {
	ping := []byte{0, 2, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4}
	pong := []byte{0, 2, 0, 2, 0, 0, 0, 0, 1, 2, 3, 4}
	roles(t, func(t *testing.T, peer *noise.Conn, s *identity.Secret, done <-chan outcome) {
		// One Write is one Noise frame.
		if _, err := peer.Write(append(frameOf(t, s), ping...)); err != nil {
			t.Fatal(err)
		}
		if _, err := identify.Read(peer, tari()); err != nil {
			t.Fatal(err)
		}
		o := <-done
		if o.err != nil {
			t.Fatal(o.err)
		}
		defer o.r.Session.Close()
		got := make([]byte, 12)
		if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, pong) {
			t.Errorf("got %x, %v, want the pong %x", got, err, pong)
		}
	})
}

// batching keeps writes back until the next read, so that they leave as one.
type batching struct {
	net.Conn
	held   []byte
	writes int
}

func (b *batching) Write(p []byte) (int, error) {
	b.held = append(b.held, p...)
	return len(p), nil
}

func (b *batching) Read(p []byte) (int, error) {
	if len(b.held) > 0 {
		held := b.held
		b.held = nil
		b.writes++
		if _, err := b.Conn.Write(held); err != nil {
			return 0, err
		}
	}
	return b.Conn.Read(p)
}

// conforms: comms 42
func TestIdentityInTheSegmentOfMessage3(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, y := sockets(t, memory.Link{})
		done := inbound(t, y, config(t, tari()))
		s := newSecret(t)
		b := &batching{Conn: x}
		peer, err := noise.Client(b, noise.Config{Static: s, Prefix: []byte{0x10}})
		if err != nil {
			t.Fatal(err)
		}
		peer.Write(frameOf(t, s))
		if _, err := identify.Read(peer, tari()); err != nil {
			t.Fatal(err)
		}
		if b.writes != 2 {
			t.Errorf("got %d writes of the peer, want 2: message 1, and message 3 with the identity", b.writes)
		}
		o := <-done
		if o.err != nil {
			t.Fatal(o.err)
		}
		o.r.Session.Close()
	})
}

// conforms: comms 48, 148
func TestBadIdentity(t *testing.T) {
	for _, c := range []struct {
		name  string
		send  func(t *testing.T, peer *noise.Conn, s *identity.Secret)
		cause error
		ban   time.Duration
		after time.Duration
	}{
		{"too long", func(t *testing.T, peer *noise.Conn, _ *identity.Secret) {
			peer.Write([]byte{0, 0x01, 0x04}) // 1025
		}, identify.ErrTooLong, protocol.BanLong, 0},
		{"newer version", func(t *testing.T, peer *noise.Conn, s *identity.Secret) {
			peer.Write(append([]byte{1}, frameOf(t, s)[1:]...))
		}, identify.ErrVersion, protocol.BanShort, 0},
		{"silence", func(*testing.T, *noise.Conn, *identity.Secret) {}, ErrSilent, protocol.BanShort, 10 * time.Second},
		{"half a frame, then silence", func(t *testing.T, peer *noise.Conn, s *identity.Secret) {
			peer.Write(frameOf(t, s)[:50])
		}, ErrSilent, protocol.BanShort, 10 * time.Second},
		{"one byte per second", func(t *testing.T, peer *noise.Conn, s *identity.Secret) {
			for _, b := range frameOf(t, s) {
				if _, err := peer.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}, ErrSilent, protocol.BanShort, 10 * time.Second},
		{"end", func(_ *testing.T, peer *noise.Conn, _ *identity.Secret) { peer.Close() }, ErrHungUp, 0, 0},
		{"end in the frame", func(t *testing.T, peer *noise.Conn, s *identity.Secret) {
			peer.Write(frameOf(t, s)[:50])
			peer.Close()
		}, ErrHungUp, 0, 0},
		{"reset", func(_ *testing.T, peer *noise.Conn, _ *identity.Secret) {
			peer.Conn.(*memory.Conn).Cut()
		}, ErrHungUp, 0, 0},
		{"random bytes", func(_ *testing.T, peer *noise.Conn, _ *identity.Secret) {
			peer.Write(append([]byte{0, 32, 0}, bytes.Repeat([]byte{0xff}, 32)...))
		}, identify.ErrUndecodable, protocol.BanLong, 0},
		{"signature of another key", func(t *testing.T, peer *noise.Conn, _ *identity.Secret) {
			peer.Write(frameOf(t, newSecret(t)))
		}, identity.ErrBadSignature, protocol.BanLong, 0},
		{"a frame that does not decrypt", func(_ *testing.T, peer *noise.Conn, _ *identity.Secret) {
			peer.Conn.Write(append([]byte{0, 20}, make([]byte, 20)...))
		}, noise.ErrDecrypt, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			roles(t, func(t *testing.T, peer *noise.Conn, s *identity.Secret, done <-chan outcome) {
				start := time.Now()
				c.send(t, peer, s)
				o := <-done
				if got := time.Since(start); c.after > 0 && c.name != "one byte per second" && got != c.after {
					t.Errorf("got an end after %v, want %v", got, c.after)
				}
				wantError(t, o, StageIdentity, c.cause, c.ban)
				if got := typed(t, o).Peer; got != s.PublicKey() {
					t.Errorf("peer of the error: got %s, want %s", got, s.PublicKey())
				}
			})
		})
	}
}

// A peer that takes nothing cannot hold us up either.
func TestPeerThatNeverReads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, y := sockets(t, memory.Link{})
		s := newSecret(t)
		done := outbound(t, &full{x}, config(t, tari()), s.PublicKey())
		io.ReadFull(y, make([]byte, 1))
		if _, err := noise.Server(y, noise.Config{Static: s}); err != nil {
			t.Fatal(err)
		}
		wantError(t, <-done, StageIdentity, ErrStalled, 0)
	})
}

// full takes handshake messages and lets everything longer wait for the
// deadline.
type full struct{ net.Conn }

func (f *full) Write(b []byte) (int, error) {
	if len(b) <= 100 {
		return f.Conn.Write(b)
	}
	for { // the buffer of the connection is finite
		if n, err := f.Conn.Write(make([]byte, 64<<10)); err != nil {
			return min(n, len(b)), err
		}
	}
}

// Our own message is checked before it leaves.
func TestOwnMessageMustBeSendable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, y := sockets(t, memory.Link{})
		b := config(t, tari())
		a := config(t, tari())
		a.Local = func() identify.Message { return identify.Message{} }
		in := inbound(t, y, b)
		wantError(t, <-outbound(t, x, a, b.Secret.PublicKey()), StageIdentity, identify.ErrNotSendable, 0)
		wantError(t, <-in, StageIdentity, ErrHungUp, 0)
	})
}

// lessonPeer dials a listener of profile lesson by hand, up to yamux.
func lessonPeer(t *testing.T, x net.Conn, s *identity.Secret) *mux.Session {
	t.Helper()
	c, err := noise.Client(x, noise.Config{Pattern: protocol.IX, Static: s, Prefix: []byte{0x10}})
	if err != nil {
		t.Fatal(err)
	}
	session, err := mux.New(c, true, mux.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	session.Release()
	return session
}

func TestLessonSubstream(t *testing.T) {
	id := []byte("\x14\x00/tari/identity/1.0.0")
	bubble(t, func(t *testing.T) {
		x, y := sockets(t, memory.Link{})
		done := inbound(t, y, config(t, protocol.Lesson2020()))
		s := newSecret(t)
		session := lessonPeer(t, x, s)
		first, err := session.Open()
		if err != nil {
			t.Fatal(err)
		}
		first.Write(id)
		got := make([]byte, len(id))
		if _, err := io.ReadFull(first, got); err != nil || !bytes.Equal(got, id) {
			t.Fatalf("answer: got %q, %v, want %q", got, err, id)
		}
		// A substream that comes too early waits unanswered.
		early, err := session.Open()
		if err != nil {
			t.Fatal(err)
		}
		early.Write([]byte("\x09\x00t/msg/0.1"))
		if _, err := identify.Read(first, protocol.Lesson2020()); err != nil {
			t.Fatal(err)
		}
		if _, err := first.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after the frame: got %v, want EOF", err)
		}
		synctest.Wait()
		select {
		case o := <-done:
			t.Fatalf("got %v before our frame, want it to wait", o.err)
		default:
		}
		if early.Ahead(make([]byte, 1)) != 0 {
			t.Error("the early substream was answered")
		}
		first.Write(frameOf(t, s))
		first.CloseWrite()
		o := <-done
		if o.err != nil {
			t.Fatal(o.err)
		}
		defer o.r.Session.Close()
		next, err := o.r.Session.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := negotiate.Accept(next, 1, func(protocol.ID) bool { return true }); got != "t/msg/0.1" {
			t.Errorf("early substream: got %q, %v, want t/msg/0.1", got, err)
		}
	})
}

func TestBadLessonIdentity(t *testing.T) {
	propose := func(t *testing.T, session *mux.Session) *mux.Stream {
		t.Helper()
		s, err := session.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := negotiate.Open(s, []protocol.ID{protocol.LessonIdentity}); err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, c := range []struct {
		name  string
		send  func(t *testing.T, session *mux.Session, s *identity.Secret)
		cause error
		ban   time.Duration
	}{
		{"silence on the substream", func(t *testing.T, session *mux.Session, s *identity.Secret) {
			propose(t, session)
		}, ErrSilent, protocol.BanShort},
		{"two frames", func(t *testing.T, session *mux.Session, s *identity.Secret) {
			propose(t, session).Write(append(frameOf(t, s), 0))
		}, errTrailing, 0},
		{"too long", func(t *testing.T, session *mux.Session, s *identity.Secret) {
			propose(t, session).Write([]byte{0, 1, 4})
		}, identify.ErrTooLong, protocol.BanLong},
		{"another protocol", func(t *testing.T, session *mux.Session, s *identity.Secret) {
			st, err := session.Open()
			if err != nil {
				t.Fatal(err)
			}
			negotiate.OpenOptimistic(st, "t/msg/0.1")
		}, negotiate.ErrUnsupported, 0},
		{"bad flags", func(t *testing.T, session *mux.Session, s *identity.Secret) {
			st, err := session.Open()
			if err != nil {
				t.Fatal(err)
			}
			st.Write([]byte{1, 0xf0, 'x'})
		}, protocol.ErrViolation, protocol.BanLong},
		{"reset", func(t *testing.T, session *mux.Session, s *identity.Secret) {
			propose(t, session).Reset()
		}, ErrHungUp, 0},
		{"end", func(t *testing.T, session *mux.Session, s *identity.Secret) {
			propose(t, session)
			session.Close()
		}, ErrHungUp, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				x, y := sockets(t, memory.Link{})
				done := inbound(t, y, config(t, protocol.Lesson2020()))
				s := newSecret(t)
				c.send(t, lessonPeer(t, x, s), s)
				wantError(t, <-done, StageIdentity, c.cause, c.ban)
			})
		})
	}
}

// With IX anybody can name a key in message 1. Silence afterwards must not get
// its owner banned.
func TestLessonSilenceOfAStranger(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, y := sockets(t, memory.Link{})
		done := inbound(t, y, config(t, protocol.Lesson2020()))
		victim, e := newSecret(t).PublicKey(), newSecret(t).PublicKey()
		x.Write(append(append([]byte{0x10, 0, 64}, e[:]...), victim[:]...))
		o := <-done
		wantError(t, o, StageIdentity, ErrSilent, 0)
		if !strings.Contains(o.err.Error(), victim.Short()) {
			t.Errorf("got %v, want the key that was named", o.err)
		}
	})
}
