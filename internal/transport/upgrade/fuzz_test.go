package upgrade

import (
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// FuzzUpgradeInbound feeds a listener arbitrary bytes, in the clear from the
// first one on, or as the plaintext of a peer that has shaken hands. It must
// end with a typed error, or with a session if the peer has said who it is,
// and never read or hold more than the limits allow.
func FuzzUpgradeInbound(f *testing.F) {
	server, peer := newSecret(f), newSecret(f)
	local := own(f, server)
	frame, err := identify.Append(nil, 0, own(f, peer))
	if err != nil {
		f.Fatal(err)
	}
	ping := []byte{0, 2, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4}
	key := peer.PublicKey()
	f.Add(false, []byte{})
	f.Add(false, []byte{0x10})
	f.Add(false, []byte{0xa7, 'p', '\n'})
	f.Add(false, append([]byte{0x10, 0, 32}, key[:]...))
	f.Add(true, frame)
	f.Add(true, slices.Concat(frame, ping))
	f.Add(true, frame[:40])
	f.Add(true, []byte{0, 0xff, 0xff})
	f.Add(true, []byte{1, 0, 0})
	f.Fuzz(func(t *testing.T, encrypted bool, data []byte) {
		x, y := sockets(t, memory.Link{Buffer: 1 << 20})
		done := inbound(t, y, Config{
			Profile: tari(), Secret: server,
			Local: func() identify.Message { return local },
		})
		if encrypted {
			x.Write([]byte{0x10})
			c, err := noise.Client(x, noise.Config{Static: peer})
			if err != nil {
				t.Fatal(err)
			}
			if len(data) > 0 {
				c.Write(data)
			}
		} else {
			x.Write(data)
		}
		x.(*memory.Conn).CloseWrite()
		go io.Copy(io.Discard, x)
		var o outcome
		select {
		case o = <-done:
		case <-time.After(time.Minute):
			t.Fatal("the set-up does not end")
		}
		if o.err != nil {
			var e *Error
			if !errors.As(o.err, &e) || e.Stage == "" {
				t.Fatalf("got %v, want an *Error with a stage", o.err)
			}
			if !encrypted && (e.Violation() != nil || e.Peer != identity.PublicKey{}) {
				t.Fatalf("got %v, which blames somebody for bytes in the clear", o.err)
			}
			return
		}
		defer o.r.Session.Close()
		if !encrypted || o.r.Peer != key || o.r.Message.Claim.Key != key {
			t.Fatalf("got a session with %s, want none", o.r.Peer)
		}
		if err := o.r.Message.Claim.Verify(time.Now()); err != nil {
			t.Fatalf("got a claim that does not verify: %v", err)
		}
		if n := len(o.r.Message.Protocols); n > protocol.DefaultLimits().Protocols {
			t.Fatalf("got %d protocols", n)
		}
	})
}
