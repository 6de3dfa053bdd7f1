package hostile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// script writes pieces one after the other with a pause before each, and then
// either waits for the other side to close, or closes. It returns what the
// other side has sent.
func script(c transport.Conn, pause time.Duration, closeIt bool, pieces ...[]byte) []byte {
	for _, piece := range pieces {
		time.Sleep(pause)
		if _, err := c.Write(piece); err != nil {
			break
		}
	}
	if closeIt {
		time.Sleep(time.Second)
		c.Close()
		return nil
	}
	all, _ := io.ReadAll(c)
	return all
}

// single cuts bytes into pieces of one.
func single(b []byte) (pieces [][]byte) {
	for i := range b {
		pieces = append(pieces, b[i:i+1])
	}
	return pieces
}

// noiseFrame is a handshake message with its length.
func noiseFrame(body []byte) []byte {
	return append([]byte{byte(len(body) >> 8), byte(len(body))}, body...)
}

func noisy(n int) []byte {
	random := rand.New(rand.NewChaCha8([32]byte{1}))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// TestSilenceAndNoise says nothing or the wrong things before the node knows
// who it is talking to: each ends the connection with the stage and the cause,
// within the limit of time, bans nobody and learns nothing.
func TestSilenceAndNoise(t *testing.T) {
	wire := []byte{wireByte}
	point := secretOf(1).PublicKey()
	for _, c := range []struct {
		name   string
		pause  time.Duration
		closes bool
		pieces [][]byte
		stage  string
		cause  error
		after  time.Duration // when the node must have given up
	}{
		{name: "wrong wire byte", pieces: [][]byte{{0x26}}, stage: "wire byte", cause: upgrade.ErrWrongWireByte},
		{name: "liveness byte", pieces: [][]byte{{0xa7}}, stage: "wire byte", cause: upgrade.ErrWrongWireByte},
		{name: "HTTP", pieces: [][]byte{[]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")}, stage: "wire byte", cause: upgrade.ErrWrongWireByte},
		{name: "nothing at all", stage: "wire byte", cause: upgrade.ErrSilent, after: 6 * time.Second},
		{name: "hangs up", closes: true, stage: "wire byte", cause: upgrade.ErrHungUp, after: time.Second},
		{name: "silence after the wire byte", pieces: [][]byte{wire}, stage: "noise", cause: upgrade.ErrSilent, after: 6 * time.Second},
		{
			name: "one byte per second", pause: 900 * time.Millisecond, stage: "noise", cause: upgrade.ErrSilent, after: 7 * time.Second,
			pieces: single(append(wire, noiseFrame(point[:])...)),
		},
		{
			name: "random bytes", pieces: [][]byte{append(wire, noisy(4096)...)},
			stage: "noise", cause: noise.ErrPayload,
		},
		{
			name: "truncated message", pieces: [][]byte{append(wire, noiseFrame(point[:])[:20]...)}, closes: true,
			stage: "noise", cause: upgrade.ErrHungUp, after: time.Second,
		},
		{
			name: "oversized message", pieces: [][]byte{append(append(wire, 0xff, 0xff), make([]byte, 65535)...)},
			stage: "noise", cause: noise.ErrPayload,
		},
		{
			name: "short message", pieces: [][]byte{append(wire, noiseFrame(point[:31])...)},
			stage: "noise", cause: noise.ErrLength,
		},
		{
			name: "empty message", pieces: [][]byte{append(wire, 0, 0)},
			stage: "noise", cause: upgrade.ErrSilent, after: 6 * time.Second, // it is no message (comms 36)
		},
		{
			name: "identity element as key", pieces: [][]byte{append(wire, noiseFrame(make([]byte, 32))...)},
			stage: "noise", cause: noise.ErrBadKey,
		},
		{
			name: "key that is not canonical", pieces: [][]byte{append(wire, noiseFrame(bytes.Repeat([]byte{0xff}, 32))...)},
			stage: "noise", cause: noise.ErrBadKey,
		},
		{
			name: "good key, then random bytes", pieces: [][]byte{append(append(wire, noiseFrame(point[:])...), noiseFrame(noisy(64))...)},
			stage: "noise", cause: noise.ErrHandshake,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *target) {
				began := time.Now()
				got := script(rawDial(t, n.net.Transport(), n.Addr), c.pause, c.closes, c.pieces...)
				if took := time.Since(began).Truncate(time.Second); took != c.after {
					t.Errorf("the connection ended after %v, want %v", took, c.after)
				}
				if len(got) > 0 && c.stage == "wire byte" {
					t.Errorf("the node sent %x, want nothing", got)
				}
				r := n.rejected(c.stage, c.cause)
				if !r.Peer.IsZero() {
					t.Errorf("peer: got %s, want none", r.Peer)
				}
				if bans := happened[actors.PeerBanned](n); len(bans) > 1 { // the first is the test's own
					t.Errorf("got a ban: %v", bans)
				}
				if peers := n.Peers().Len(); peers > 1 {
					t.Errorf("got %d peers in the store, want none", peers-1)
				}
			})
		})
	}
}

// TestSlowSetup keeps every limit of a single step and is slow all the same:
// the whole set-up is limited.
func TestSlowSetup(t *testing.T) {
	bubble(t, func(t *testing.T, n *target) {
		c := rawDial(t, n.net.Transport(), n.Addr)
		began := time.Now()
		time.Sleep(5 * time.Second)
		if _, err := c.Write([]byte{wireByte}); err != nil {
			t.Fatal(err)
		}
		secure, err := noise.Client(slowConn{c, 4 * time.Second}, noise.Config{Static: secretOf(1)})
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, secure)
		if took := time.Since(began); took != 15*time.Second {
			t.Errorf("the set-up ended after %v, want 15s", took)
		}
		n.rejected("identity", upgrade.ErrSetupTimeout)
		n.banned(secretOf(1).NodeID(), 0) // it did not run out of the time for its identity
	})
}

// slowConn waits before each write.
type slowConn struct {
	net.Conn
	pause time.Duration
}

func (c slowConn) Write(b []byte) (int, error) {
	time.Sleep(c.pause)
	return c.Conn.Write(b)
}

// slowStart waits before its first write only: later ones are made with a lock
// held, and who waits for a lock keeps the clock of a bubble from moving.
type slowStart struct {
	net.Conn
	pause time.Duration
	begun bool
}

func (c *slowStart) Write(b []byte) (int, error) {
	if !c.begun {
		c.begun = true
		time.Sleep(c.pause)
	}
	return c.Conn.Write(b)
}

// tape remembers what is written.
type tape struct {
	transport.Conn
	written []byte
}

func (c *tape) Write(b []byte) (int, error) {
	c.written = append(c.written, b...)
	return c.Conn.Write(b)
}

// TestReplay plays what an honest peer has said in a handshake once more: its
// key must not be taken for proved, neither with the node listening nor with it
// dialling.
func TestReplay(t *testing.T) {
	bubble(t, func(t *testing.T, n *target) {
		honest := secretOf(1)
		c := &tape{Conn: rawDial(t, n.net.Transport(), n.Addr)}
		secure := shake(t, c, honest)
		if _, err := secure.Write(correct(t, honest, ownAddress).Frame()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, ok := n.Connection(honest.NodeID()); !ok {
			t.Fatal("the honest peer is not connected")
		}
		c.Close()
		n.disconnected(honest.NodeID(), actors.CloseEnded, nil)

		script(rawDial(t, n.net.Transport(), n.Addr), 0, false, c.written)
		r := n.rejected("noise", noise.ErrHandshake)
		if !r.Peer.IsZero() {
			t.Errorf("peer: got %s, want none: it has proved nothing", r.Peer)
		}
		n.banned(honest.NodeID(), 0)
	})
	bubble(t, func(t *testing.T, n *target) {
		honest := secretOf(1)
		l := listen(t, n, honest)
		var c *tape
		for range 2 {
			failed := dialing(n, honest.NodeID())
			raw, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if c != nil {
				script(raw, 0, false, c.written)
				checkDial(t, n, <-failed, "noise", noise.ErrHandshake)
				n.banned(honest.NodeID(), 0)
				return
			}
			c = &tape{Conn: raw}
			p := &peer{t: t, secret: honest, raw: c}
			p.respond(nil)
			if err := <-failed; err != nil {
				t.Fatal(err)
			}
			raw.Close()
			n.disconnected(honest.NodeID(), actors.CloseEnded, nil)
		}
	})
}

// listen makes a listener of the test that the node knows as a peer.
func listen(t *testing.T, n *target, secret *identity.Secret) transport.Listener {
	t.Helper()
	l, err := n.net.Transport().Listen(context.Background(), ma.StringCast("/memory/60000"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if _, err := n.Peers().AddSeed(t.Context(), secret.PublicKey().String()+"::/memory/60000"); err != nil {
		t.Fatal(err)
	}
	return l
}

// dialing has the node dial a peer; the channel gives the outcome.
func dialing(n *target, peer identity.NodeID) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := n.Dial(n.t.Context(), peer)
		done <- err
	}()
	return done
}

// checkDial checks what a dial has failed with, and that the event says the
// same.
func checkDial(t *testing.T, n *target, err error, stage string, cause error) {
	t.Helper()
	if !errors.Is(err, cause) {
		t.Errorf("dial: got %v, want an error that wraps %q", err, cause)
	}
	var failed *actors.DialError
	if !errors.As(err, &failed) || len(failed.Attempts) == 0 || failed.Attempts[0].Stage != stage {
		t.Errorf("dial: got %v, want an attempt that came to stage %q", err, stage)
	}
	synctest.Wait()
	events := happened[actors.DialFailed](n)
	if len(events) != 1 {
		t.Fatalf("got %d failed dials in the events, want 1", len(events))
	}
	if e := events[0]; !errors.Is(e.Err, cause) || len(e.Attempts) != 1 || e.Attempts[0].Stage != stage || !strings.Contains(e.Err.Error(), stage) {
		t.Errorf("event: got %v, %v, want stage %q and cause %q", e.Err, e.Attempts, stage, cause)
	}
}

// TestHostileListener is dialled by the node and says nothing or the wrong
// things: the dial fails with the stage and the cause, and bans nobody.
func TestHostileListener(t *testing.T) {
	for _, c := range []struct {
		name   string
		closes bool
		says   []byte
		stage  string
		cause  error
		after  time.Duration
	}{
		{name: "silence", stage: "noise", cause: upgrade.ErrSilent, after: 6 * time.Second},
		{name: "hangs up", closes: true, stage: "noise", cause: upgrade.ErrRefused, after: time.Second},
		{name: "random bytes", says: noisy(4096), stage: "noise", cause: noise.ErrPayload},
		{name: "oversized message", says: append([]byte{0xff, 0xff}, make([]byte, 65535)...), stage: "noise", cause: noise.ErrPayload},
		{name: "bad point", says: noiseFrame(make([]byte, 96)), stage: "noise", cause: noise.ErrBadKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *target) {
				secret := secretOf(1)
				l := listen(t, n, secret)
				began := time.Now()
				failed := dialing(n, secret.NodeID())
				raw, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				script(raw, 0, c.closes, c.says)
				err = <-failed
				if took := time.Since(began).Truncate(time.Second); took != c.after {
					t.Errorf("the dial ended after %v, want %v", took, c.after)
				}
				checkDial(t, n, err, c.stage, c.cause)
				n.banned(secret.NodeID(), 0)
			})
		})
	}
}

// TestWrongPeerKey answers a dial with another key than the one that was
// dialled: the node says no more, and bans neither.
func TestWrongPeerKey(t *testing.T) {
	bubble(t, func(t *testing.T, n *target) {
		wanted, other := secretOf(1), secretOf(2)
		l := listen(t, n, wanted)
		failed := dialing(n, wanted.NodeID())
		raw, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		io.ReadFull(raw, make([]byte, 1))
		if _, err := noise.Server(raw, noise.Config{Static: other}); err == nil {
			t.Error("the node has finished the handshake, want it to hang up after message 2")
		}
		checkDial(t, n, <-failed, "key", upgrade.ErrWrongKey)
		n.banned(wanted.NodeID(), 0)
		n.banned(other.NodeID(), 0)
	})
}

// TestAddressTaken has somebody else listen at the first of a peer's addresses:
// that says nothing of the peer, so the next one is tried in the same dial.
func TestAddressTaken(t *testing.T) {
	bubble(t, func(t *testing.T, n *target) {
		wanted, other := secretOf(1), secretOf(2)
		now, err := n.net.Transport().Listen(t.Context(), ma.StringCast("/memory/60001"))
		if err != nil {
			t.Fatal(err)
		}
		defer now.Close()
		if _, err := n.Peers().AddSeed(t.Context(), wanted.PublicKey().String()+"::/memory/60001"); err != nil {
			t.Fatal(err)
		}
		old := listen(t, n, wanted) // given last: the next dial tries it first
		wrong := make(chan struct{})
		go func() {
			defer close(wrong)
			raw, err := old.Accept()
			if err != nil {
				return
			}
			defer raw.Close()
			io.ReadFull(raw, make([]byte, 1))
			noise.Server(raw, noise.Config{Static: other})
		}()
		done := dialing(n, wanted.NodeID())
		accept(t, now, wanted)
		if err := <-done; err != nil {
			t.Errorf("got %v, want the connection at the other address", err)
		}
		<-wrong
		attempts := n.Inspection().Peer(wanted.NodeID()).Attempts
		if len(attempts) != 2 || attempts[0].Stage != "key" || !errors.Is(attempts[0].Err, upgrade.ErrWrongKey) || attempts[1].Err != nil {
			t.Errorf("got attempts %v, want one with another key and one that succeeds", attempts)
		}
		n.banned(other.NodeID(), 0)
	})
}

// relay passes the next connection of l on to another address.
func relay(l transport.Listener, to ma.Multiaddr, tr transport.Transport) {
	in, err := l.Accept()
	if err != nil {
		return
	}
	defer in.Close()
	out, err := tr.Dial(context.Background(), to)
	if err != nil {
		return
	}
	go func() {
		defer out.Close()
		io.Copy(out, in)
	}()
	io.Copy(in, out)
}

// TestSelfDial has a node meet itself: by its own id, behind another key's
// address, and by whoever has its key.
func TestSelfDial(t *testing.T) {
	bubble(t, func(t *testing.T, n *target) {
		if _, err := n.Dial(t.Context(), n.ID()); !errors.Is(err, actors.ErrSelf) {
			t.Errorf("dial of its own id: got %v, want %v", err, actors.ErrSelf)
		}
		if out, err := n.Send(t.Context(), n.ID(), nil); err != nil || out.Kind != protocol.Confirmed {
			t.Errorf("message to itself: got %v, %v, want it confirmed, without a connection", out, err)
		}
		secret := secretOf(1)
		l := listen(t, n, secret)
		go relay(l, n.Addr, n.net.Transport())
		_, err := n.Dial(t.Context(), secret.NodeID())
		checkDial(t, n, err, "key", upgrade.ErrSelf)
		n.rejected("noise", upgrade.ErrHungUp)
		n.banned(secret.NodeID(), 0)
	})
	bubble(t, func(t *testing.T, n *target) {
		c := rawDial(t, n.net.Transport(), n.Addr)
		secure := shake(t, c, gamelantest.Secret(n.Number))
		if got, err := io.ReadAll(secure); len(got) > 0 {
			t.Errorf("the node sent %x, %v, want nothing", got, err)
		}
		n.rejected("key", upgrade.ErrSelf)
		n.banned(n.ID(), 0)
	})
}

// identityCase is one identity message, what it is worth, and why.
type identityCase struct {
	name   string
	frame  func(t *testing.T, s *identity.Secret) []byte // nil: nothing is sent
	closes bool
	cause  error
	ban    time.Duration
	after  time.Duration
}

// identityCases follow the table of spec: comms 7.4, and V 4 to 6.
func identityCases() []identityCase {
	good := ownAddress
	with := func(change func(*rawpeer.Claim)) func(*testing.T, *identity.Secret) []byte {
		return func(t *testing.T, s *identity.Secret) []byte {
			c := correct(t, s, good)
			change(c)
			return c.Frame()
		}
	}
	over := func(addresses ...[]byte) func(*testing.T, *identity.Secret) []byte {
		return func(t *testing.T, s *identity.Secret) []byte { return correct(t, s, addresses...).Frame() }
	}
	dated := func(ahead time.Duration) func(*testing.T, *identity.Secret) []byte {
		return func(t *testing.T, s *identity.Secret) []byte {
			return claimed(t, s, identity.FeatureNode, time.Now().Add(ahead), good).Frame()
		}
	}
	return []identityCase{
		{name: "silence", cause: identify.ErrSilent, ban: protocol.BanShort, after: 10 * time.Second},
		{name: "version 1", frame: with(func(c *rawpeer.Claim) { c.Version = 1 }), cause: identify.ErrVersion, ban: protocol.BanShort},
		{name: "too long", frame: with(func(c *rawpeer.Claim) { c.Length = 1025 }), cause: identify.ErrTooLong, ban: protocol.BanLong},
		{name: "longest", frame: with(func(c *rawpeer.Claim) { c.Length = 65535 }), cause: identify.ErrTooLong, ban: protocol.BanLong},
		{name: "truncated", frame: with(func(c *rawpeer.Claim) { c.Length = 1024 }), closes: true, cause: upgrade.ErrHungUp, after: time.Second},
		{name: "announced and not sent", frame: with(func(c *rawpeer.Claim) { c.Length = 1024 }), cause: identify.ErrSilent, ban: protocol.BanShort, after: 10 * time.Second},
		{name: "random bytes", frame: func(*testing.T, *identity.Secret) []byte { return append([]byte{0, 0, 4}, noisy(1024)...) }, cause: identify.ErrUndecodable, ban: protocol.BanLong},
		{name: "user agent that is not UTF-8", frame: with(func(c *rawpeer.Claim) { c.Agent = "\xff" }), cause: identify.ErrUndecodable, ban: protocol.BanLong},
		{name: "user agent of 51 bytes", frame: with(func(c *rawpeer.Claim) { c.Agent = strings.Repeat("a", 51) }), cause: identify.ErrTooMany, ban: protocol.BanLong},
		{name: "21 protocols", frame: with(func(c *rawpeer.Claim) { c.Protocols = slices.Repeat([]string{"t/x/1"}, 21) }), cause: identify.ErrTooMany, ban: protocol.BanLong},
		{name: "protocol id of 51 bytes", frame: with(func(c *rawpeer.Claim) { c.Protocols = []string{strings.Repeat("\x00", 51)} }), cause: identify.ErrTooMany, ban: protocol.BanLong},
		{name: "six addresses", frame: over(slices.Repeat([][]byte{good}, 6)...), cause: identify.ErrTooMany, ban: protocol.BanLong},
		{name: "address that is none", frame: over([]byte("not a multiaddr")), cause: identify.ErrBadAddress},
		{name: "address with port 0", frame: over(ma.StringCast("/ip4/1.2.3.4/tcp/0").Bytes()), cause: identify.ErrBadAddress, ban: protocol.BanLong},
		{name: "address without a port", frame: over(ma.StringCast("/ip4/1.2.3.4").Bytes()), cause: identify.ErrBadAddress, ban: protocol.BanLong},
		{name: "address with something behind", frame: over(ma.StringCast("/ip4/1.2.3.4/tcp/1/tcp/2").Bytes()), cause: identify.ErrBadAddress, ban: protocol.BanLong},
		{name: "name with a slash", frame: over([]byte("\x36\x03a/b\x06\x00\x50")), cause: identify.ErrBadAddress, ban: protocol.BanLong},
		{name: "unknown features", frame: with(func(c *rawpeer.Claim) { c.Features = 4 }), cause: identify.ErrBadFeatures},
		{name: "no signature", frame: with(func(c *rawpeer.Claim) { c.Signature = nil }), cause: identify.ErrNoSignature},
		{name: "signature of one byte", frame: with(func(c *rawpeer.Claim) { c.Signature = rawpeer.AppendBytes(nil, 2, []byte{1}) }), cause: identify.ErrNoSignature},
		{name: "changed features", frame: with(func(c *rawpeer.Claim) { c.Features = 0 }), cause: identity.ErrBadSignature, ban: protocol.BanLong},
		{name: "changed address", frame: with(func(c *rawpeer.Claim) { c.Addresses = [][]byte{ma.StringCast("/memory/60001").Bytes()} }), cause: identity.ErrBadSignature, ban: protocol.BanLong},
		{name: "foreign claim", frame: func(t *testing.T, _ *identity.Secret) []byte { return correct(t, secretOf(77), good).Frame() }, cause: identity.ErrBadSignature, ban: protocol.BanLong},
		{name: "dated 25 hours ahead", frame: dated(25 * time.Hour), cause: identity.ErrClaimFromFuture, ban: protocol.BanLong},
	}
}

// TestBadIdentity sends wrong identity messages to a node that listens, and
// answers one that dials with them: the connection ends with the stage, the
// cause and the ban that the table says, and the peer is refused while that
// lasts.
//
// conforms: comms 48
func TestBadIdentity(t *testing.T) {
	for _, c := range identityCases() {
		t.Run(c.name, func(t *testing.T) {
			secret := secretOf(1)
			say := func(t *testing.T, secure *noise.Conn) (took time.Duration) {
				began := time.Now()
				if c.frame != nil {
					if _, err := secure.Write(c.frame(t, secret)); err != nil {
						t.Fatal(err)
					}
				}
				if c.closes {
					time.Sleep(time.Second)
					secure.Close()
				}
				io.Copy(io.Discard, secure)
				return time.Since(began).Truncate(time.Second)
			}
			t.Run("listener", func(t *testing.T) {
				bubble(t, func(t *testing.T, n *target) {
					secure := shake(t, rawDial(t, n.net.Transport(), n.Addr), secret)
					if took := say(t, secure); took != c.after {
						t.Errorf("the connection ended after %v, want %v", took, c.after)
					}
					r := n.rejected("identity", c.cause)
					if r.Peer != secret.NodeID() {
						t.Errorf("peer: got %s, want %s", r.Peer, secret.NodeID())
					}
					n.banned(secret.NodeID(), c.ban)
					if c.ban == 0 {
						return
					}
					again := shake(t, rawDial(t, n.net.Transport(), n.Addr), secret)
					if got, _ := io.ReadAll(again); len(got) > 0 {
						t.Errorf("banned: got %d bytes, want a closed connection", len(got))
					}
					n.rejected("key", upgrade.ErrBanned)
					time.Sleep(c.ban)
					connect(t, n.net.Transport(), n.Addr, secret)
				})
			})
			t.Run("dialer", func(t *testing.T) {
				bubble(t, func(t *testing.T, n *target) {
					l := listen(t, n, secret)
					failed := dialing(n, secret.NodeID())
					raw, err := l.Accept()
					if err != nil {
						t.Fatal(err)
					}
					io.ReadFull(raw, make([]byte, 1))
					secure, err := noise.Server(raw, noise.Config{Static: secret})
					if err != nil {
						t.Fatal(err)
					}
					say(t, secure)
					checkDial(t, n, <-failed, "identity", c.cause)
					n.banned(secret.NodeID(), c.ban)
				})
			})
		})
	}
}

// TestSlowIdentity sends a correct identity message one byte per second.
func TestSlowIdentity(t *testing.T) {
	bubble(t, func(t *testing.T, n *target) {
		secret := secretOf(1)
		secure := shake(t, rawDial(t, n.net.Transport(), n.Addr), secret)
		began := time.Now()
		for _, b := range single(correct(t, secret, ownAddress).Frame()) {
			if _, err := secure.Write(b); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if took := time.Since(began); took > 12*time.Second {
			t.Errorf("the connection ended after %v, want 10s", took)
		}
		n.rejected("identity", identify.ErrSilent)
		n.banned(secret.NodeID(), protocol.BanShort)
	})
}

// TestHarmlessIdentity sends claims that are odd and allowed: nothing is
// refused, and what is of no use to this node is not kept.
//
// conforms: V 4, 5
func TestHarmlessIdentity(t *testing.T) {
	public := "/ip4/1.2.3.4/tcp/80"
	for _, c := range []struct {
		name      string
		test      bool // the node takes addresses of tests
		addresses []string
		kept      []string
	}{
		{name: "none", test: true},
		{name: "none", test: false},
		{name: "memory", test: true, addresses: []string{"/memory/60000"}, kept: []string{"/memory/60000"}},
		{name: "memory", test: false, addresses: []string{"/memory/60000"}},
		{name: "loopback", test: true, addresses: []string{"/ip4/127.0.0.1/tcp/1"}, kept: []string{"/ip4/127.0.0.1/tcp/1"}},
		{name: "loopback", test: false, addresses: []string{"/ip4/127.0.0.1/tcp/1"}},
		{name: "private and public", test: false, addresses: []string{"/ip4/10.0.0.1/tcp/1", public, "/ip4/0.0.0.0/tcp/2"}, kept: []string{public}},
		{name: "no host name", test: false, addresses: []string{"/dns4/-a-/tcp/80", public}, kept: []string{public}},
		{name: "five", test: false, addresses: []string{public, "/ip4/1.2.3.4/tcp/81", "/ip4/1.2.3.4/tcp/82", "/ip4/1.2.3.4/tcp/83", "/ip4/1.2.3.4/tcp/84"}, kept: []string{public, "/ip4/1.2.3.4/tcp/81", "/ip4/1.2.3.4/tcp/82", "/ip4/1.2.3.4/tcp/83", "/ip4/1.2.3.4/tcp/84"}},
	} {
		name := c.name + ", test addresses off"
		if c.test {
			name = c.name + ", test addresses on"
		}
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				profile := protocol.Tari(protocol.LocalNet)
				profile.TestAddresses = c.test
				cfg := gamelan.Config{Profile: &profile}
				if !c.test {
					cfg.PublicAddresses = []string{public}
				}
				n := start(t, cfg)
				secret := secretOf(1)
				var addresses [][]byte
				for _, a := range c.addresses {
					addresses = append(addresses, ma.StringCast(a).Bytes())
				}
				secure := shake(t, rawDial(t, n.net.Transport(), n.Addr), secret)
				if _, err := secure.Write(correct(t, secret, addresses...).Frame()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if _, ok := n.Connection(secret.NodeID()); !ok {
					t.Fatalf("got no connection; rejected: %v", happened[actors.InboundRejected](n))
				}
				n.banned(secret.NodeID(), 0)
				p, ok := n.Peers().Get(secret.NodeID())
				if !ok {
					t.Fatal("the peer is not in the store")
				}
				kept := make(map[string]bool)
				for _, a := range p.Addresses {
					kept[a.Addr.String()] = true
					if !a.LastSeen.IsZero() {
						t.Errorf("%s: got seen at %v, want never: nobody has dialled it", a.Addr, a.LastSeen)
					}
				}
				for _, want := range c.kept {
					if !kept[want] {
						t.Errorf("got %v kept, want %s among them", kept, want)
					}
				}
				if len(kept) != len(c.kept) {
					t.Errorf("got %v kept, want %v", kept, c.kept)
				}
				if len(c.kept) == 0 {
					secure.Close()
					n.disconnected(secret.NodeID(), actors.CloseEnded, nil)
					if _, err := n.Dial(t.Context(), secret.NodeID()); !errors.Is(err, actors.ErrNoAddress) {
						t.Errorf("dial of a peer without an address: got %v, want %v", err, actors.ErrNoAddress)
					}
				}
			})
		})
	}
}

// TestSeenAddresses dials a peer that claims more addresses than the dialled
// one, and is then dialled by one: only what was dialled counts as seen.
//
// conforms: comms 59; V 10
func TestSeenAddresses(t *testing.T) {
	bubble(t, func(t *testing.T, n *target) {
		dialled, dials := secretOf(1), secretOf(2)
		l := listen(t, n, dialled)
		done := dialing(n, dialled.NodeID())
		raw, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		io.ReadFull(raw, make([]byte, 1))
		secure, err := noise.Server(raw, noise.Config{Static: dialled})
		if err != nil {
			t.Fatal(err)
		}
		other := ma.StringCast("/memory/60001").Bytes()
		if _, err := secure.Write(correct(t, dialled, other, ownAddress).Frame()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		in := shake(t, rawDial(t, n.net.Transport(), n.Addr), dials)
		if _, err := in.Write(correct(t, dials, other).Frame()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		seen := make(map[string]bool)
		for _, id := range []identity.NodeID{dialled.NodeID(), dials.NodeID()} {
			p, ok := n.Peers().Get(id)
			if !ok {
				t.Fatalf("%s is not in the store", id)
			}
			for _, a := range p.Addresses {
				seen[id.Short()+a.Addr.String()] = !a.LastSeen.IsZero()
			}
		}
		want := map[string]bool{
			dialled.NodeID().Short() + "/memory/60000": true,
			dialled.NodeID().Short() + "/memory/60001": false,
			dials.NodeID().Short() + "/memory/60001":   false,
		}
		for key, want := range want {
			if got, ok := seen[key]; !ok || got != want {
				t.Errorf("%s: got known %v, seen %v, want known and seen %v", key, ok, got, want)
			}
		}
	})
}

// TestRegistrationLimits asks for ids that would get the node banned by its
// peers.
func TestRegistrationLimits(t *testing.T) {
	bubble(t, func(t *testing.T, n *target) {
		for _, id := range []protocol.ID{protocol.ID(strings.Repeat("a", 51)), "a,b", "a\x00b", "ä"} {
			err := n.Register(t.Context(), id, n.heard.New)
			if !errors.Is(err, protocol.ErrBadID) {
				t.Errorf("register %q: got %v, want %v", string(id), err, protocol.ErrBadID)
			}
		}
		if err := n.Register(t.Context(), protocol.ID(strings.Repeat("a", 50)), n.heard.New); err != nil {
			t.Errorf("register an id of 50 bytes: got %v", err)
		}
		for i := nodetest.Trunk(n).Protocols().Len(); i < actors.MaxProtocols; i++ {
			if err := n.Register(t.Context(), protocol.ID(fmt.Sprint("t/", i)), n.heard.New); err != nil {
				t.Errorf("register number %d: got %v", i+1, err)
			}
		}
		if err := n.Register(t.Context(), "t/one-more", n.heard.New); !errors.Is(err, actors.ErrTooManyProtocols) {
			t.Errorf("one too many: got %v, want %v", err, actors.ErrTooManyProtocols)
		}
		p := connect(t, n.net.Transport(), n.Addr, secretOf(1)) // it checks what we say
		if got := len(p.says.Protocols); got != 20 {
			t.Errorf("got %d protocols in our identity message, want 20", got)
		}
		if slices.Contains(p.says.Protocols, protocol.TakenMarker) {
			t.Errorf("got the marker in a full list %q, want the protocols alone", p.says.Protocols)
		}
	})
	t.Run("at the start", func(t *testing.T) {
		gamelantest.Bubble(t, func(t *testing.T) {
			heard := gamelantest.NewCollector()
			opts := []gamelan.Option{quiet, gamelan.WithHandler(heard.New), gamelan.WithTransport(gamelantest.NewNetwork(t).Transport())}
			for i := range actors.MaxProtocols {
				opts = append(opts, gamelan.WithProtocol(protocol.ID(fmt.Sprint("t/", i)), heard.New))
			}
			_, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{"/memory/0"}}, opts...)
			if !errors.Is(err, actors.ErrTooManyProtocols) {
				t.Errorf("start with too many protocols: got %v, want %v", err, actors.ErrTooManyProtocols)
			}
		})
	})
}
