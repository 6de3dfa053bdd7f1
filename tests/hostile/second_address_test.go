package hostile

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/transport"
)

// stranger has something that is no node listen at an address.
func (n *target) stranger(addr string, serve func(transport.Conn)) {
	n.t.Helper()
	l, err := n.net.Transport().Listen(context.Background(), ma.StringCast(addr))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
}

// strangers are programs that a node may find at the address of a peer.
var strangers = map[string]func(transport.Conn){
	"a web server": func(c transport.Conn) {
		_, _ = c.Read(make([]byte, 256))
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html;charset=utf-8\r\nConnection: close\r\n\r\n<html></html>")
		c.Close()
	},
	"SSH": func(c transport.Conn) {
		_, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13.5\r\n")
		_, _ = io.Copy(io.Discard, c)
		c.Close()
	},
	"a port that takes everything and says nothing": func(c transport.Conn) {
		_, _ = io.Copy(io.Discard, c)
		c.Close()
	},
	"a port that closes": func(c transport.Conn) { c.Close() },
}

// A peer is reached at its second address when something else answers at the first, at the
// second dial at the latest, whoever said the addresses.
//
// conforms: comms 112
func TestSecondAddress(t *testing.T) {
	const first = "/memory/60100"
	for what, serve := range strangers {
		t.Run(what, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				n := start(t, gamelan.Config{})
				n.stranger(first, serve)
				adds := map[string]func(ctx context.Context, seed string) ([13]byte, error){
					"a seed":        func(ctx context.Context, s string) ([13]byte, error) { return n.Peers().AddSeed(ctx, s) },
					"a peer":        func(ctx context.Context, s string) ([13]byte, error) { return n.Peers().AddAt(ctx, s) },
					"only an offer": func(ctx context.Context, s string) ([13]byte, error) { return n.Peers().Offer(ctx, s) },
				}
				for how, add := range adds {
					b := n.net.Start(gamelan.Config{})
					seed := strings.Replace(b.Seed(), "::", "::"+first+"::", 1)
					id, err := add(t.Context(), seed)
					if err != nil {
						t.Fatal(err)
					}
					if _, err = n.Dial(t.Context(), id); err != nil {
						synctest.Wait()
						_, err = n.Dial(t.Context(), id)
					}
					if err != nil {
						t.Errorf("%s: got %v, want a connection at the second address", how, err)
					}
				}
				// The node itself gets there, too.
				b := n.net.Start(gamelan.Config{})
				id, err := n.Peers().AddSeed(t.Context(), strings.Replace(b.Seed(), "::", "::"+first+"::", 1))
				if err != nil {
					t.Fatal(err)
				}
				defer n.Protect(id, "test")()
				gamelantest.Eventually(t, 5*time.Minute, "a connection of a protected peer", func() bool {
					_, ok := n.Connection(id)
					return ok
				})
				// And a message that is offered the addresses.
				m := n.net.Start(plainly(gamelan.Config{}), gamelan.WithHandler(gamelantest.NewCollector().New))
				if id, err = n.Peers().Offer(t.Context(), strings.Replace(m.Seed(), "::", "::"+first+"::", 1)); err != nil {
					t.Fatal(err)
				}
				var failed []error
				for range 2 {
					out, err := n.Send(t.Context(), id, []byte("x"))
					if err == nil && out.Err == nil {
						return
					}
					failed = append(failed, err, out.Err)
				}
				t.Errorf("got %v, want the second message at the second address", failed)
			})
		})
	}
}

// Each dial that its caller gives up goes on behind the address where the one before was.
//
// conforms: comms 112
func TestCutOffDialsGoOn(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := start(t, gamelan.Config{})
		b := n.net.Start(gamelan.Config{})
		seed := b.PublicKey().String()
		for i := range 4 {
			swallowing := fmt.Sprintf("/memory/%d", 60100+i)
			n.stranger(swallowing, strangers["a port that closes"])
			n.net.Network.Partition(nil, ma.StringCast(swallowing))
			seed += "::" + swallowing
		}
		seed += "::" + b.Addr.String()
		reach := func(what string, dials int, limit time.Duration, dial func(context.Context) error) {
			t.Helper()
			for range dials {
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				err := dial(ctx)
				cancel()
				synctest.Wait()
				if err == nil {
					dials = 0
					break
				}
			}
			if dials > 0 {
				t.Errorf("%s: got no connection in %d dials, want one; tried %v", what, dials, n.Inspection().Peer(b.ID()).Attempts)
			}
			if err := n.Disconnect(t.Context(), b.ID()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		// Each asker gives up before the transport does, which takes 30 s.
		reach("offered with each dial", 5, 10*time.Second, func(ctx context.Context) error {
			_, err := n.DialAt(ctx, seed)
			return err
		})
		// The address that worked has the score of a good one, and is where packets vanish now.
		// Another one is known.
		n.net.Network.Partition(nil, b.Addr)
		moved, err := gamelan.Start(t.Context(), gamelan.Config{Secret: gamelantest.Secret(b.Number), Listen: []string{"/memory/60200"}, Floor: gamelan.NoFloor},
			quiet, gamelan.WithTransport(n.net.Transport())) // of an actor system of its own: the id is the same
		if err != nil {
			t.Fatal(err)
		}
		defer moved.Close(context.Background())
		if _, err := n.Peers().AddSeed(t.Context(), moved.Seed()); err != nil {
			t.Fatal(err)
		}
		reach("given, and new", 1, 10*time.Second, func(ctx context.Context) error {
			_, err := n.Dial(ctx, b.ID())
			return err
		})
		n.net.Network.Partition(nil, ma.StringCast("/memory/60200"))
		n.net.Network.Heal(nil, b.Addr)
		reach("both known and once good", 2, 10*time.Second, func(ctx context.Context) error {
			_, err := n.Dial(ctx, b.ID())
			return err
		})
	})
}
