package network

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/transport/dial"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// TestBubbleSilentAddresses: four addresses that swallow all packets delay the fifth by 2 s
// each, and count as no failure.
//
// conforms: V 34
func TestBubbleSilentAddresses(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		seed := gamelantest.Secret(b.Number).PublicKey().String()
		const silent = 4
		for i := range silent {
			address := fmt.Sprintf("/memory/%d", 60100+i)
			l, err := net.Transport().Listen(t.Context(), ma.StringCast(address))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			net.Network.Partition(nil, ma.StringCast(address))
			seed += "::" + address
		}
		if _, err := a.Peers().AddSeed(t.Context(), seed+"::"+b.Addr.String()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := a.Dial(t.Context(), b.ID()); err != nil {
			t.Fatal(err)
		}
		if took, want := time.Since(began), silent*dial.Stagger; took < want || took > want+time.Second {
			t.Errorf("got a connection after %v, want %v", took, want)
		}
		synctest.Wait()
		p, _ := a.Peers().Get(b.ID())
		for _, x := range p.Addresses {
			if x.Attempts > 0 {
				t.Errorf("%s: got %d failures, want none of an attempt that another one has overtaken", x.Addr, x.Attempts)
			}
		}
	})
}

// TestBubbleDialsSideBySide: a peer that is reached by several ways at once, each of its own
// speed, has one connection and sees one.
//
// conforms: V 34
func TestBubbleDialsSideBySide(t *testing.T) {
	for seed := range uint64(20) {
		gamelantest.Bubble(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			net := gamelantest.NewNetwork(t)
			a := net.Start(gamelan.Config{})
			const ways = 4
			var listen []string
			for i := range ways {
				listen = append(listen, fmt.Sprintf("/memory/%d", 60200+i))
			}
			b := net.Start(gamelan.Config{Listen: listen})
			text := gamelantest.Secret(b.Number).PublicKey().String()
			for _, address := range listen {
				to := ma.StringCast(address)
				// A handshake takes a round trip and a half: up to 6 s, so several run at once.
				net.Network.SetLinkBetween(a.Addr, to, memory.Link{Latency: time.Duration(r.Int64N(int64(2 * time.Second)))})
				text += "::" + address
			}
			if _, err := a.Peers().AddSeed(t.Context(), text); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Dial(t.Context(), b.ID()); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			time.Sleep(time.Minute)
			for _, n := range []*gamelantest.Node{a, b} {
				if live := len(n.Connections()); live != 1 {
					t.Errorf("seed %d: got %d connections of node %d, want 1", seed, live, n.Number)
				}
			}
			for _, peer := range []struct{ at, of *gamelantest.Node }{{a, b}, {b, a}} {
				if h := peer.at.Inspection().Peer(peer.of.ID()); h.Ended != nil {
					t.Errorf("seed %d: got %+v, want no other connection at node %d", seed, h.Ended, peer.at.Number)
				}
			}
		})
	}
}

// TestBubblePeerComesFromElsewhere: a peer that has lost its connection without a word, such as by
// a change of its address, dials this node. The old connection does not keep the new one waiting
// until its silence is long enough.
func TestBubblePeerComesFromElsewhere(t *testing.T) {
	survives := make(map[bool]int) // whether the old connection is the one that wins a tie-break
	for _, secrets := range [][2]int{{170, 171}, {171, 170}} {
		gamelantest.Bubble(t, func(t *testing.T) {
			net := gamelantest.NewNetwork(t)
			cfg := gamelan.Config{Secret: gamelantest.Secret(secrets[1])}
			a, before := net.Start(gamelan.Config{Secret: gamelantest.Secret(secrets[0])}), net.Start(cfg)
			net.Introduce(a, before)
			if _, err := a.Dial(t.Context(), before.ID()); err != nil {
				t.Fatal(err)
			}
			survives[a.ID().Compare(before.ID()) < 0]++
			time.Sleep(time.Minute)
			net.Network.Partition(nil, before.Addr)
			soon, cancel := context.WithTimeout(t.Context(), time.Second)
			before.Close(soon)
			cancel()
			b := net.Start(cfg, gamelan.WithHandler(gamelantest.NewCollector().New))
			net.Introduce(b, a)
			if _, err := b.Dial(t.Context(), a.ID()); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			for {
				ref, ok := a.Connection(b.ID())
				if ok && ref.Direction == protocol.Inbound {
					break
				}
				if time.Since(begin) > 4*time.Second {
					t.Fatalf("got the connection %v after %v, want that of the peer", ref, time.Since(begin))
				}
				time.Sleep(100 * time.Millisecond)
			}
			if out, err := a.Send(t.Context(), b.ID(), []byte("hello")); err != nil || out.Kind != protocol.Confirmed {
				t.Errorf("got %v, %v, want a message on the new connection confirmed", out, err)
			}
		})
	}
	if survives[true] == 0 || survives[false] == 0 {
		t.Errorf("got %v, want both orders of the ids", survives)
	}
}
