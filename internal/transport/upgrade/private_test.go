package upgrade

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

func netSecret(b byte) *protocol.NetworkSecret {
	raw := bytes.Repeat([]byte{b}, protocol.SecretSize)
	raw[0]++
	s, err := protocol.NewNetworkSecret(bytes.NewReader(raw))
	if err != nil {
		panic(err)
	}
	return s
}

// TestPrivateNetwork sets up a connection with each of the two secrets of the listener.
//
// conforms: V 43
func TestPrivateNetwork(t *testing.T) {
	for _, secret := range []*protocol.NetworkSecret{netSecret(1), netSecret(2)} {
		bubble(t, func(t *testing.T) {
			x, y := sockets(t, memory.Link{})
			a, b := config(t, protocol.Private("acme", secret, nil)), config(t, protocol.Private("acme", netSecret(1), netSecret(2)))
			in := inbound(t, y, b)
			out := <-outbound(t, x, a, b.Secret.PublicKey())
			accepted := <-in
			if out.err != nil || accepted.err != nil {
				t.Fatalf("got %v and %v", out.err, accepted.err)
			}
			defer out.r.Session.Close()
			defer accepted.r.Session.Close()
			if !accepted.r.Secret.Equal(secret) || !out.r.Secret.Equal(secret) {
				t.Errorf("got the secrets %s and %s, want %s", accepted.r.Secret.Digits(), out.r.Secret.Digits(), secret.Digits())
			}
			talk(t, out.r.Session, accepted.r.Session)
		})
	}
}

// TestWithoutTheSecret: what each side says. The listener says nothing to the dialer.
//
// conforms: V 9, 43
func TestWithoutTheSecret(t *testing.T) {
	ours := protocol.Private("acme", netSecret(1), netSecret(2))
	asked := false
	run := func(t *testing.T, dialer protocol.Profile) (in, out *Error) {
		x, y := sockets(t, memory.Link{})
		a, b := config(t, dialer), config(t, ours)
		b.Check = func(k identity.PublicKey) error { asked = true; return nil }
		done := inbound(t, y, b)
		o := <-outbound(t, x, a, b.Secret.PublicKey())
		i := <-done
		wantClosed(t, x)
		return typed(t, i), typed(t, o)
	}
	bubble(t, func(t *testing.T) {
		in, out := run(t, protocol.Private("acme", netSecret(3), nil))
		if in.Stage != StageNoise || !errors.Is(in, protocol.ErrNoSecret) || !in.Peer.IsZero() ||
			!strings.Contains(in.Error(), "the dialer has not the secret of acme") {
			t.Errorf("listener: got %v, want that it has not the secret of acme", in)
		}
		if out.Stage != StageNoise || !errors.Is(out, ErrRefused) || !errors.Is(out, protocol.ErrSecretMayDiffer) ||
			!strings.Contains(out.Error(), "its secret of acme differs from this node's, or it is busy, refuses this node, or is of another network") {
			t.Errorf("dialer: got %v, want that the secret may differ", out)
		}
		if in.Violation() != nil || out.Violation() != nil || asked {
			t.Errorf("got an offence, or a check of a key that nobody has proved: %v, %v", in.Violation(), out.Violation())
		}
	})
	bubble(t, func(t *testing.T) {
		in, out := run(t, tari())
		if !errors.Is(in, ErrWrongWireByte) || !strings.Contains(in.Error(), "wire byte 0x10 (localnet), expected 0xb7 (the private network acme)") {
			t.Errorf("got %v, want both networks named", in)
		}
		if errors.Is(out, protocol.ErrSecretMayDiffer) {
			t.Errorf("got %v, want no word of a secret on localnet", out)
		}
	})
	bubble(t, func(t *testing.T) { // a peer that has perhaps heard nothing says nothing about its secret
		x, y := sockets(t, memory.Link{})
		a := config(t, protocol.Private("acme", netSecret(3), nil))
		done := outbound(t, x, a, config(t, ours).Secret.PublicKey())
		time.Sleep(4 * time.Second)
		y.Close()
		out := typed(t, <-done)
		if !errors.Is(out, ErrRefused) || errors.Is(out, protocol.ErrSecretMayDiffer) || strings.Contains(out.Error(), "secret") || strings.Contains(out.Error(), "files of the network") {
			t.Errorf("got %v, want no word of a secret", out)
		}
	})
	e := &WireByteError{Got: 0xb7, Want: 0x10, Network: protocol.LocalNet}
	if want := "wire byte 0xb7 (a private network), expected 0x10 (localnet)"; e.Error() != want {
		t.Errorf("got %s, want %s", e, want)
	}
}
