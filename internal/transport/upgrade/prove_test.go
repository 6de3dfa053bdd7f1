package upgrade

import (
	"errors"
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// TestProve: the peer proves its key, or another one, and hears neither who asks nor anything that
// makes it ban.
func TestProve(t *testing.T) {
	for name, p := range map[string]protocol.Profile{"XX": tari(), "IX": protocol.Lesson2020()} {
		bubble(t, func(t *testing.T) {
			server := config(t, p)
			key, other := server.Secret.PublicKey(), newSecret(t).PublicKey()
			for _, want := range []identity.PublicKey{key, {}, other} {
				x, y := sockets(t, memory.Link{})
				var heard []identity.PublicKey
				server.Check = func(k identity.PublicKey) error {
					heard = append(heard, k)
					return nil
				}
				done := inbound(t, y, server)
				asking := config(t, p)
				got, took, err := Prove(t.Context(), x, asking, want)
				if got != key {
					t.Errorf("%s, want %s: got the key %s", name, want.Short(), got.Short())
				}
				if want == other && !errors.Is(err, ErrWrongKey) || want != other && err != nil {
					t.Errorf("%s: got %v", name, err)
				}
				if want != other && took.Noise < 0 {
					t.Errorf("%s: got %v", name, took)
				}
				o := <-done
				if o.err == nil {
					t.Fatalf("%s: got a connection, want that the dialer gives up", name)
				}
				if e := typed(t, o); e.Violation() != nil {
					t.Errorf("%s: the listener takes it for an offence: %v", name, e)
				}
				if p.Pattern == protocol.XX && len(heard) > 0 {
					t.Errorf("%s: the listener has heard the key %v", name, heard)
				}
				wantClosed(t, x)
			}
		})
	}
}

// TestProveNothing has something else at the other end than a node.
func TestProveNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			says []byte
			want error
		}{
			"closes":    {nil, ErrRefused},
			"other":     {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), noise.ErrPayload},
			"no answer": {[]byte{}, ErrSilent},
		} {
			x, y := sockets(t, memory.Link{})
			switch {
			case c.says == nil:
				y.Close()
			default:
				y.Write(c.says)
			}
			_, _, err := Prove(t.Context(), x, config(t, tari()), newSecret(t).PublicKey())
			if !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", name, err, c.want)
			}
			wantClosed(t, x)
		}
	})
}
