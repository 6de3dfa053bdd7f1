package upgrade

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// bubble runs f in virtual time; a goroutine left behind fails it.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	// yamux keeps timers in a pool of its package: none of outside may be used
	// in the bubble, nor one of the bubble outside.
	emptyPools()
	defer emptyPools()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(20 * time.Second) }) // runs last: peers by hand notice the end
		f(t)
	})
}

func emptyPools() {
	runtime.GC()
	runtime.GC()
}

// sockets returns the two ends of a connection in memory.
func sockets(t testing.TB, link memory.Link) (dialled, accepted net.Conn) {
	t.Helper()
	n := memory.NewNetwork()
	n.SetLink(link)
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

func newSecret(t testing.TB) *identity.Secret {
	t.Helper()
	s, err := identity.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// own is what a node says about itself in these tests.
func own(t testing.TB, s *identity.Secret) identify.Message {
	t.Helper()
	claim, err := identity.SignClaim(s, identity.FeatureNode, [][]byte{ma.StringCast("/ip4/127.0.0.1/tcp/18189").Bytes()}, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return identify.Message{Claim: claim, Protocols: []protocol.ID{"t/msg/0.1"}, UserAgent: "test/1"}
}

func config(t testing.TB, p protocol.Profile) Config {
	t.Helper()
	s := newSecret(t)
	m := own(t, s)
	return Config{Profile: p, Secret: s, Local: func() identify.Message { return m }}
}

func tari() protocol.Profile { return protocol.Tari(protocol.LocalNet) }

type outcome struct {
	r   *Result
	err error
}

// inbound runs Inbound beside the test.
func inbound(t *testing.T, c net.Conn, cfg Config) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		r, err := Inbound(t.Context(), c, cfg)
		done <- outcome{r, err}
	}()
	return done
}

// outbound runs Outbound beside the test.
func outbound(t *testing.T, c net.Conn, cfg Config, want identity.PublicKey) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		r, err := Outbound(t.Context(), c, cfg, want)
		done <- outcome{r, err}
	}()
	return done
}

// wantError checks stage and cause of a failure, and the ban it is worth.
func wantError(t *testing.T, o outcome, stage Stage, cause error, ban time.Duration) {
	t.Helper()
	var e *Error
	if !errors.As(o.err, &e) || e.Stage != stage || !errors.Is(o.err, cause) {
		t.Fatalf("got %v, want %v at %s", o.err, cause, stage)
	}
	if o.r != nil {
		t.Errorf("got a result beside the error %v", o.err)
	}
	v := e.Violation()
	switch {
	case v == nil && ban > 0:
		t.Errorf("got no violation, want a ban of %v", ban)
	case v != nil && v.Ban != ban:
		t.Errorf("got a ban of %v for %v, want %v", v.Ban, o.err, ban)
	case (v != nil) != errors.Is(o.err, protocol.ErrViolation):
		t.Errorf("Violation and errors.Is do not agree about %v", o.err)
	}
}

// typed returns the failure as what it must be.
func typed(t *testing.T, o outcome) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](o.err)
	if !ok {
		t.Fatalf("got %v, want an *Error", o.err)
	}
	return e
}

// wantClosed checks that the other end of a failed set-up was closed, and that
// nothing more was sent on it.
func wantClosed(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	if b, err := io.ReadAll(c); len(b) > 0 || errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		t.Errorf("other end: got %x, %v, want nothing sent and the connection closed", b, err)
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

func TestUpgrade(t *testing.T) {
	for _, p := range []protocol.Profile{tari(), protocol.Lesson2020()} {
		for name, link := range map[string]memory.Link{
			"immediate":    {},
			"tiny buffers": {Buffer: 1, MaxRead: 1},
			"slow":         {Latency: 300 * time.Millisecond, Jitter: 200 * time.Millisecond, Bandwidth: 3000, Buffer: 1},
		} {
			t.Run(p.Name+" "+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					x, y := sockets(t, link)
					a, b := config(t, p), config(t, p)
					// As large as identity messages get.
					big := a.Local()
					for len(big.Protocols) < 20 {
						big.Protocols = append(big.Protocols, protocol.ID(string(rune('a'+len(big.Protocols)))+"/34 bytes of protocol id - no less"))
					}
					a.Local = func() identify.Message { return big }
					b.Local = func() identify.Message {
						m := big
						m.Claim = own(t, b.Secret).Claim
						return m
					}
					checked := []identity.PublicKey{}
					b.Check = func(k identity.PublicKey) error {
						checked = append(checked, k)
						return nil
					}
					in := inbound(t, y, b)
					out := <-outbound(t, x, a, b.Secret.PublicKey())
					accepted := <-in
					if out.err != nil || accepted.err != nil {
						t.Fatalf("got %v and %v", out.err, accepted.err)
					}
					defer out.r.Session.Close()
					defer accepted.r.Session.Close()
					if out.r.Peer != b.Secret.PublicKey() || accepted.r.Peer != a.Secret.PublicKey() {
						t.Errorf("peers: got %s and %s", out.r.Peer, accepted.r.Peer)
					}
					if !slices.Equal(checked, []identity.PublicKey{a.Secret.PublicKey()}) {
						t.Errorf("checked keys: got %v, want the dialer's once", checked)
					}
					got := accepted.r.Message
					if got.UserAgent != big.UserAgent || !slices.Equal(got.Protocols, big.Protocols) || got.Claim.Signature != big.Claim.Signature {
						t.Errorf("message: got %+v, want %+v", got, big)
					}
					talk(t, out.r.Session, accepted.r.Session)
					talk(t, accepted.r.Session, out.r.Session)
				})
			})
		}
	}
}

// talk sends a few bytes on a new substream and reads them back.
func talk(t *testing.T, from, to *mux.Session) {
	t.Helper()
	s, err := from.Open()
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	defer s.Close()
	if _, err := io.WriteString(s, "hello"); err != nil {
		t.Fatalf("write: %v", err)
	}
	o, err := to.Accept()
	if err != nil {
		t.Fatalf("accept: %v", err)
	}
	defer o.Close()
	got := make([]byte, 5)
	if _, err := io.ReadFull(o, got); err != nil || string(got) != "hello" {
		t.Fatalf("read: got %q, %v, want hello", got, err)
	}
}

// The limits on substreams are those of Config.Mux, and where it has none those
// of the profile.
func TestLimitsOnSubstreams(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, y := sockets(t, memory.Link{})
		a, b := config(t, tari()), config(t, tari())
		a.Mux.MaxStreams, a.Mux.MaxInbound = 7, 1
		in := inbound(t, y, b)
		out := <-outbound(t, x, a, b.Secret.PublicKey())
		other := <-in
		if out.err != nil || other.err != nil {
			t.Fatal(out.err, other.err)
		}
		defer out.r.Session.Close()
		defer other.r.Session.Close()
		// One less than the limit, so that fewer than it are open.
		if got := out.r.Session.Room(); got != 6 {
			t.Errorf("a limit of 7 in Config: got room for %d, want 6", got)
		}
		if got, want := other.r.Session.Room(), b.Profile.Limits.Streams-1; got != want {
			t.Errorf("no limit in Config: got room for %d, want the profile's %d", got, want)
		}
		var refused []bool
		for range 2 {
			s, err := other.r.Session.Open()
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // nothing is written on it, so its SYN leaves a moment later
			_, over := s.PeerEnded()
			refused = append(refused, over)
		}
		if refused[0] || !refused[1] {
			t.Errorf("an inbound limit of 1 in Config: refused are %v of 2, want the second alone", refused)
		}
	})
}

// Without a key, or without something to say, nothing is sent.
func TestConfigMustBeWhole(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no secret":  func(c *Config) { c.Secret = nil },
		"no message": func(c *Config) { c.Local = nil },
		"no profile": func(c *Config) { c.Profile = protocol.Profile{} },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				x, y := sockets(t, memory.Link{})
				cfg := config(t, tari())
				change(&cfg)
				o := <-outbound(t, x, cfg, newSecret(t).PublicKey())
				if o.err == nil || o.r != nil || !strings.HasPrefix(o.err.Error(), "upgrade: ") {
					t.Errorf("got %v, %v, want an error of this package", o.r, o.err)
				}
				wantClosed(t, y)
			})
		})
	}
}

func TestTimings(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, y := sockets(t, memory.Link{Latency: time.Second})
		a, b := config(t, tari()), config(t, tari())
		in := inbound(t, y, b)
		out := <-outbound(t, x, a, b.Secret.PublicKey())
		got := <-in
		if out.err != nil || got.err != nil {
			t.Fatal(out.err, got.err)
		}
		out.r.Session.Close()
		got.r.Session.Close()
		if want := (transport.Timings{Noise: 2 * time.Second, Identity: 2 * time.Second}); out.r.Timings != want {
			t.Errorf("dialer: got %+v, want %+v", out.r.Timings, want)
		}
		// The dialer's frame is right behind its last handshake message.
		if want := (transport.Timings{Wire: time.Second, Noise: 2 * time.Second}); got.r.Timings != want {
			t.Errorf("listener: got %+v, want %+v", got.r.Timings, want)
		}
	})
}

// conforms: comms 21
func TestWireByteComesFirst(t *testing.T) {
	for _, n := range []protocol.Network{protocol.MainNet, protocol.NextNet, protocol.LocalNet, protocol.Esmeralda} {
		bubble(t, func(t *testing.T) {
			x, y := sockets(t, memory.Link{})
			done := outbound(t, x, config(t, protocol.Tari(n)), newSecret(t).PublicKey())
			synctest.Wait()
			got := make([]byte, 100)
			k, err := y.Read(got)
			want := []byte{n.WireByte(protocol.Release6), 0, 32}
			if err != nil || k != 1+2+32 || !bytes.HasPrefix(got, want) {
				t.Errorf("%s: got %x, %v, want %x and 32 bytes", n, got[:k], err, want)
			}
			y.Close()
			<-done
		})
	}
}

// conforms: comms 22, 25
func TestWrongWireByte(t *testing.T) {
	for _, b := range []byte{0x00, 0x11, 0xa6, 0xa7, 0xff} {
		bubble(t, func(t *testing.T) {
			x, y := sockets(t, memory.Link{})
			done := inbound(t, y, config(t, tari()))
			x.Write([]byte{b})
			wantError(t, <-done, StageWire, ErrWrongWireByte, 0)
			wantClosed(t, x)
		})
	}
}

// conforms: comms 24
func TestLivenessByteIsNoWireByte(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := tari()
		p.WireByte = 0xa7
		x, y := sockets(t, memory.Link{})
		if r, err := Outbound(t.Context(), x, config(t, p), newSecret(t).PublicKey()); r != nil || !errors.Is(err, protocol.ErrBadProfile) {
			t.Errorf("dial: got %v, want ErrBadProfile", err)
		}
		wantClosed(t, y)
		x, y = sockets(t, memory.Link{})
		if r, err := Inbound(t.Context(), y, config(t, p)); r != nil || !errors.Is(err, protocol.ErrBadProfile) {
			t.Errorf("listen: got %v, want ErrBadProfile", err)
		}
		wantClosed(t, x)
	})
}

// conforms: comms 23, 38
func TestSilence(t *testing.T) {
	for _, c := range []struct {
		name  string
		sent  func(t *testing.T) []byte
		stage Stage
		after time.Duration
	}{
		{"before the wire byte", func(*testing.T) []byte { return nil }, StageWire, 6 * time.Second},
		{"after the wire byte", func(*testing.T) []byte { return []byte{0x10} }, StageNoise, 6 * time.Second},
		{"in message 1", func(*testing.T) []byte { return []byte{0x10, 0, 32, 1, 2} }, StageNoise, 6 * time.Second},
		{"after message 1", func(t *testing.T) []byte {
			k := newSecret(t).PublicKey()
			return append([]byte{0x10, 0, 32}, k[:]...)
		}, StageNoise, 6 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				x, y := sockets(t, memory.Link{})
				start := time.Now()
				done := inbound(t, y, config(t, tari()))
				x.Write(c.sent(t))
				o := <-done
				if got := time.Since(start); got != c.after {
					t.Errorf("got an end after %v, want %v", got, c.after)
				}
				wantError(t, o, c.stage, ErrSilent, 0)
				if e := typed(t, o); !e.Timeout() {
					t.Errorf("Timeout of %v: got false, want true", e)
				}
			})
		})
	}
	t.Run("of the listener", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			x, _ := sockets(t, memory.Link{})
			start := time.Now()
			wantError(t, <-outbound(t, x, config(t, tari()), newSecret(t).PublicKey()), StageNoise, ErrSilent, 0)
			if got := time.Since(start); got != 6*time.Second {
				t.Errorf("got an end after %v, want 6s", got)
			}
		})
	})
}

// A peer that uses most of each limit still has to end within 15 seconds.
//
// conforms: V 8
func TestSetupLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, y := sockets(t, memory.Link{})
		start := time.Now()
		done := inbound(t, y, config(t, tari()))
		go func() {
			time.Sleep(5 * time.Second)
			x.Write([]byte{0x10})
			time.Sleep(5 * time.Second)
			// The client sends message 1 and, 4 s later, 3, but no identity.
			c, err := noise.Client(&slow{x, 4 * time.Second}, noise.Config{Static: newSecret(t)})
			if err != nil {
				t.Errorf("peer: %v", err)
				return
			}
			io.Copy(io.Discard, c)
		}()
		o := <-done
		if got := time.Since(start); got != 15*time.Second {
			t.Errorf("got an end after %v, want 15s", got)
		}
		wantError(t, o, StageIdentity, ErrSetupTimeout, 0)
		if !typed(t, o).Timeout() || !errors.Is(o.err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a timeout", o.err)
		}
	})
}

// slow delays every write but the first.
type slow struct {
	net.Conn
	delay time.Duration
}

func (s *slow) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	time.Sleep(s.delay)
	return n, err
}

func TestContext(t *testing.T) {
	cases := map[string]func(ctx context.Context, t *testing.T, x, y net.Conn) (net.Conn, error){
		"inbound": func(ctx context.Context, t *testing.T, x, y net.Conn) (other net.Conn, err error) {
			_, err = Inbound(ctx, y, config(t, tari()))
			return x, err
		},
		"outbound": func(ctx context.Context, t *testing.T, x, y net.Conn) (other net.Conn, err error) {
			_, err = Outbound(ctx, x, config(t, tari()), newSecret(t).PublicKey())
			return y, err
		},
	}
	for name, run := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				x, y := sockets(t, memory.Link{})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				other, err := run(ctx, t, x, y)
				if got := time.Since(start); got != time.Second {
					t.Errorf("got an end after %v, want 1s", got)
				}
				var e *Error
				if !errors.As(err, &e) || !errors.Is(err, context.DeadlineExceeded) || !e.Timeout() {
					t.Errorf("got %v, want a typed timeout", err)
				}
				io.Copy(io.Discard, other) // ends: the connection is closed

				x, y = sockets(t, memory.Link{})
				ctx, cancel = context.WithCancel(t.Context())
				cancel()
				other, err = run(ctx, t, x, y)
				if !errors.As(err, &e) || !errors.Is(err, context.Canceled) || e.Timeout() {
					t.Errorf("got %v, want context.Canceled", err)
				}
				io.Copy(io.Discard, other)
			})
		})
	}
}

// The end of the context after the set-up is not the session's.
func TestContextAfterwards(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, y := sockets(t, memory.Link{})
		a, b := config(t, tari()), config(t, tari())
		in := inbound(t, y, b)
		ctx, cancel := context.WithCancel(t.Context())
		out, err := Outbound(ctx, x, a, b.Secret.PublicKey())
		accepted := <-in
		if err != nil || accepted.err != nil {
			t.Fatal(err, accepted.err)
		}
		defer out.Session.Close()
		defer accepted.r.Session.Close()
		cancel()
		time.Sleep(time.Minute)
		talk(t, out.Session, accepted.r.Session)
	})
}

// conforms: comms 39
func TestWrongKey(t *testing.T) {
	for _, p := range []protocol.Profile{tari(), protocol.Lesson2020()} {
		bubble(t, func(t *testing.T) {
			x, y := sockets(t, memory.Link{})
			a, b := config(t, p), config(t, p)
			other := newSecret(t).PublicKey()
			in := inbound(t, y, b)
			o := <-outbound(t, x, a, other)
			wantError(t, o, StageKey, ErrWrongKey, 0)
			if got := typed(t, o).Peer; got != b.Secret.PublicKey() {
				t.Errorf("peer of the error: got %s, want the one that answered", got)
			}
			// The dialer has not told the stranger who it is (XX).
			if got := <-in; p.Pattern == protocol.XX {
				wantError(t, got, StageNoise, ErrHungUp, 0)
				if !typed(t, got).Peer.IsZero() {
					t.Errorf("listener: got to know %s, want nothing", typed(t, got).Peer)
				}
			} else {
				wantError(t, got, StageIdentity, ErrHungUp, 0)
			}
		})
	}
}

// conforms: comms 40
func TestBannedKey(t *testing.T) {
	for _, p := range []protocol.Profile{tari(), protocol.Lesson2020()} {
		bubble(t, func(t *testing.T) {
			x, y := sockets(t, memory.Link{})
			a, b := config(t, p), config(t, p)
			banned := errors.New("banned until tomorrow")
			b.Check = func(identity.PublicKey) error { return banned }
			b.Local = func() identify.Message {
				t.Error("got an identity frame made for a banned peer")
				return own(t, b.Secret)
			}
			in := inbound(t, y, b)
			out := <-outbound(t, x, a, b.Secret.PublicKey())
			o := <-in
			wantError(t, o, StageKey, ErrBanned, 0)
			if !errors.Is(o.err, banned) || typed(t, o).Peer != a.Secret.PublicKey() {
				t.Errorf("got %v, want the reason and the peer", o.err)
			}
			if p.Pattern == protocol.XX {
				// Message 2 was the last that the listener sent.
				wantError(t, out, StageIdentity, ErrHungUp, 0)
			} else {
				wantError(t, out, StageNoise, ErrRefused, 0)
			}
		})
	}
}

func TestSelf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, y := sockets(t, memory.Link{})
		a := config(t, tari())
		wantError(t, <-outbound(t, x, a, a.Secret.PublicKey()), StageKey, ErrSelf, 0)
		wantClosed(t, y)

		// Our own address under another key.
		x, y = sockets(t, memory.Link{})
		in := inbound(t, y, a)
		wantError(t, <-outbound(t, x, a, newSecret(t).PublicKey()), StageKey, ErrSelf, 0)
		wantError(t, <-in, StageNoise, ErrHungUp, 0)

		// Somebody with our key.
		x, y = sockets(t, memory.Link{})
		in = inbound(t, y, a)
		x.Write([]byte{0x10})
		c, err := noise.Client(x, noise.Config{Static: a.Secret})
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, <-in, StageKey, ErrSelf, 0)
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read: got %v, want EOF and no identity", err)
		}
	})
}

// conforms: V 9; comms 148
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		read  int  // what the listener reads before it leaves
		sends int  // bytes of a message 2 that it writes
		cut   bool // reset instead of an end
	}{
		{"closed at once", 0, 0, false},
		{"closed after the wire byte", 1, 0, false},
		{"closed after message 1", 35, 0, false},
		{"reset", 35, 0, true},
		{"closed within message 2", 35, 10, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				x, y := sockets(t, memory.Link{})
				go func() {
					io.ReadFull(y, make([]byte, c.read))
					y.Write(append([]byte{0, 96}, make([]byte, 96)...)[:c.sends])
					if c.cut {
						y.(*memory.Conn).Cut()
					}
					y.Close()
				}()
				o := <-outbound(t, x, config(t, tari()), newSecret(t).PublicKey())
				wantError(t, o, StageNoise, ErrRefused, 0)
				if !errors.Is(o.err, ErrHungUp) {
					t.Errorf("got %v, want ErrHungUp too", o.err)
				}
			})
		})
	}
	t.Run("a dialer that leaves refuses nobody", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			x, y := sockets(t, memory.Link{})
			done := inbound(t, y, config(t, tari()))
			x.Write(append([]byte{0x10, 0, 32}, make([]byte, 10)...)) // within message 1
			x.Close()
			o := <-done
			wantError(t, o, StageNoise, ErrHungUp, 0)
			if errors.Is(o.err, ErrRefused) {
				t.Errorf("got %v, want no ErrRefused from a dialer", o.err)
			}
		})
	})
	t.Run("later it is only a hang-up", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			x, y := sockets(t, memory.Link{})
			s := newSecret(t)
			go func() {
				io.ReadFull(y, make([]byte, 1))
				noise.Server(y, noise.Config{Static: s})
				y.Close()
			}()
			o := <-outbound(t, x, config(t, tari()), s.PublicKey())
			wantError(t, o, StageIdentity, ErrHungUp, 0)
			if errors.Is(o.err, ErrRefused) {
				t.Errorf("got %v, want no ErrRefused after message 2", o.err)
			}
		})
	})
	t.Run("bad message 2 is no refusal", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			x, y := sockets(t, memory.Link{})
			go func() {
				e := newSecret(t).PublicKey()
				y.Write(append(append([]byte{0, 96}, e[:]...), make([]byte, 64)...))
			}()
			o := <-outbound(t, x, config(t, tari()), newSecret(t).PublicKey())
			wantError(t, o, StageNoise, noise.ErrHandshake, 0)
			if errors.Is(o.err, ErrHungUp) {
				t.Errorf("got %v, want no hang-up", o.err)
			}
		})
	})
}

// Profiles that do not fit fail in the handshake, on both sides, without a ban.
func TestProfilesDoNotMix(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, p := range [][2]protocol.Profile{{tari(), protocol.Lesson2020()}, {protocol.Lesson2020(), tari()}} {
			x, y := sockets(t, memory.Link{})
			b := config(t, p[1])
			in := inbound(t, y, b)
			out := <-outbound(t, x, config(t, p[0]), b.Secret.PublicKey())
			wantError(t, out, StageNoise, ErrRefused, 0)
			cause := noise.ErrLength
			if p[0].Pattern == protocol.IX {
				cause = noise.ErrPayload
			}
			wantError(t, <-in, StageNoise, cause, 0)
		}
	})
}

// What a user can do about a failed set-up is said with it.
func TestHints(t *testing.T) {
	for _, c := range []struct {
		err  *Error
		want string
	}{
		{&Error{Stage: StageIdentity, Err: fmt.Errorf("%w: EOF", ErrHungUp)}, "may have banned this node"},
		{&Error{Stage: StageNoise, Err: fmt.Errorf("%w: EOF", ErrHungUp)}, ""},
		{&Error{Stage: StageNoise, Err: fmt.Errorf("%w: 15393 bytes", noise.ErrPayload)}, "looks like another protocol"},
		{&Error{Stage: StageNoise, Err: fmt.Errorf("%w: 3 bytes", noise.ErrLength)}, "looks like another protocol"},
		{&Error{Stage: StageNoise, Err: &silence{time.Second, io.EOF}}, "no Gamelan or Tari node"},
		{&Error{Stage: StageIdentity, Err: &silence{time.Second, io.EOF}}, ""},
		{&Error{Stage: StageKey, Err: ErrWrongKey}, "another node has taken its address"},
	} {
		text := c.err.Error()
		_, got, _ := strings.Cut(text, "; ")
		if !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("got %q, want %q after the cause", text, c.want)
		}
	}
}

// TestWireByteError names the networks of both bytes.
func TestWireByteError(t *testing.T) {
	for _, c := range []struct {
		got  byte
		want string
	}{
		{0x26, "wire byte 0x26 (esmeralda rc5), expected 0x10 (localnet)"},
		{0x00, "wire byte 0x00 (mainnet), expected 0x10 (localnet)"},
		{'G', "wire byte 0x47 (of no known network), expected 0x10 (localnet)"},
		{0xa7, "wire byte 0xa7 (a liveness check), expected 0x10 (localnet)"},
	} {
		err := &WireByteError{Got: c.got, Want: protocol.LocalNet.WireByte(protocol.Release6), Network: protocol.LocalNet}
		if err.Error() != c.want || !errors.Is(err, ErrWrongWireByte) || err.Probe() != (c.got == 0xa7) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}
