package gamelan_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// A ping makes the connection, and measures the way there and back.
func TestPing(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Introduce(a, b)
		const there = 40 * time.Millisecond
		net.SetLinkBetween(a, b, memory.Link{Latency: there})
		for i := range 3 {
			p, err := a.Ping(t.Context(), b.ID())
			if err != nil {
				t.Fatal(err)
			}
			if p.RTT < 2*there || p.RTT > 3*there {
				t.Errorf("got a round trip of %v, want %v", p.RTT, 2*there)
			}
			if (p.Dial > 0) != (i == 0) {
				t.Errorf("ping %d: got a dial of %v, want one for the first alone", i, p.Dial)
			}
			if p.Conn.Peer != b.ID() {
				t.Errorf("got a connection to %s, want %s", p.Conn.Peer, b.ID())
			}
		}
		if n := a.Connections(); len(n) != 1 {
			t.Errorf("got %d connections, want 1", len(n))
		}
	})
}

// Many that ask at once share pings, and each gets an answer.
func TestPingOfMany(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(a, b)
		net.SetLinkBetween(a, b, memory.Link{Latency: time.Second})
		var all sync.WaitGroup
		var mu sync.Mutex
		got := map[error]int{}
		for range 150 {
			all.Go(func() {
				p, err := a.Ping(t.Context(), b.ID())
				if err == nil && p.RTT < 2*time.Second {
					t.Errorf("got a round trip of %v, want 2s", p.RTT)
				}
				if errors.Is(err, actors.ErrOverloaded) {
					err = actors.ErrOverloaded
				}
				mu.Lock()
				got[err]++
				mu.Unlock()
			})
		}
		all.Wait()
		if got[nil] != 100 || got[actors.ErrOverloaded] != 50 {
			t.Errorf("got %v, want 100 answers and the error for the others", got)
		}
		if p, err := a.Ping(t.Context(), b.ID()); err != nil {
			t.Errorf("afterwards: got %v, %v, want an answer", p, err)
		}
	})
}

// A ping ends with its connection, its caller, and the node.
func TestPingWithoutAnswer(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		if _, err := a.Ping(t.Context(), identity.NodeID{1}); !errors.Is(err, actors.ErrUnknownPeer) {
			t.Errorf("of an unknown peer: got %v, want %v", err, actors.ErrUnknownPeer)
		}
		ping := func(then func()) error {
			synctest.Wait() // until both have seen the end of the last connection
			net.Connect(a, b)
			net.SetLinkBetween(a, b, memory.Link{Latency: time.Minute})
			defer net.SetLinkBetween(a, b, memory.Link{})
			time.AfterFunc(time.Second, then)
			_, err := a.Ping(t.Context(), b.ID())
			return err
		}
		if err := ping(func() { net.Cut(a, b) }); !errors.Is(err, actors.ErrConnectionClosed) {
			t.Errorf("of a connection that is cut: got %v, want %v", err, actors.ErrConnectionClosed)
		}
		synctest.Wait()
		net.Connect(a, b)
		net.SetLinkBetween(a, b, memory.Link{Latency: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Ping(ctx, b.ID()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
		net.Cut(a, b)
		net.SetLinkBetween(a, b, memory.Link{})
		if err := ping(func() { go a.Close(context.Background()) }); !errors.Is(err, gamelan.ErrClosed) {
			t.Errorf("of a node that closes: got %v, want %v", err, gamelan.ErrClosed)
		}
	})
}
