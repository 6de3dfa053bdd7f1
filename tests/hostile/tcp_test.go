package hostile

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

// patience is how long a test waits over sockets for what is to come at once.
const patience = time.Minute

// onTCP starts a node on loopback. It is not one of a network in memory.
func onTCP(t *testing.T, number int, cfg gamelan.Config) *target {
	t.Helper()
	n := &target{t: t, heard: gamelantest.NewCollector()}
	cfg.Secret = gamelantest.Secret(number)
	node, err := gamelan.Start(t.Context(), plainly(cfg), quiet, gamelan.WithHandler(n.heard.New))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := node.Close(context.Background()); err != nil {
			t.Errorf("close node %d: %v", number, err)
		}
	})
	n.Node = &gamelantest.Node{Node: node, Number: number, Addr: node.Listening()[0]}
	n.watch()
	return n
}

// send has one node confirm a message to another.
func send(t *testing.T, from, to *target, body string) {
	t.Helper()
	if out, err := from.Send(t.Context(), to.ID(), []byte(body)); err != nil || out.Kind != protocol.Confirmed {
		t.Errorf("%s: got %v, %v, want confirmed", body, out, err)
	}
	gamelantest.Eventually(t, patience, body, func() bool {
		return slices.Contains(to.heard.Bodies(), body)
	})
}

// TestHostileOverTCP does over sockets what needs no time: set-ups that fail,
// frames that are wrong, connections that are reset; another node is served
// after each, and no goroutine remains.
func TestHostileOverTCP(t *testing.T) {
	gamelantest.NoLeak(t)
	n, other := onTCP(t, 1, gamelan.Config{}), onTCP(t, 2, gamelan.Config{})
	if _, err := other.Peers().AddSeed(t.Context(), n.Seed()); err != nil {
		t.Fatal(err)
	}
	tr := tcp.New(tcp.Options{})
	for i, c := range []struct {
		name string
		do   func(t *testing.T, id identity.NodeID, secret *identity.Secret)
	}{
		{"wrong wire byte", func(t *testing.T, _ identity.NodeID, _ *identity.Secret) {
			if got := script(rawDial(t, tr, n.Addr), 0, false, []byte{0x26}); len(got) > 0 {
				t.Errorf("got %x, want nothing", got)
			}
			n.rejected("wire byte", upgrade.ErrWrongWireByte)
		}},
		{"hangs up", func(t *testing.T, _ identity.NodeID, _ *identity.Secret) {
			rawDial(t, tr, n.Addr).Close()
			n.rejected("wire byte", upgrade.ErrHungUp)
		}},
		{"random bytes", func(t *testing.T, _ identity.NodeID, _ *identity.Secret) {
			script(rawDial(t, tr, n.Addr), 0, false, append([]byte{wireByte}, noisy(1<<20)...))
			n.rejected("noise", noise.ErrPayload)
		}},
		{"bad frame", func(t *testing.T, id identity.NodeID, secret *identity.Secret) {
			p := connect(t, tr, n.Addr, secret)
			p.flushed()
			p.conn.Write(noisy(100))
			n.disconnected(id, actors.CloseViolation, mux.ErrBadFrame)
		}},
		{"over-long frame", func(t *testing.T, id identity.NodeID, secret *identity.Secret) {
			p := connect(t, tr, n.Addr, secret)
			p.open(1, optimistic(messaging)+"\xff\xff\xff\xff")
			n.disconnected(id, actors.CloseBanned, nil)
		}},
		{"hangs up with messages under way", func(t *testing.T, id identity.NodeID, secret *identity.Secret) {
			p := connect(t, tr, n.Addr, secret)
			before := n.heard.Len()
			p.open(1, optimistic(messaging))
			for range 100 {
				p.must(p.Data(0, 1, framed("message")))
			}
			// Closing both halves with something unread would be a reset, which
			// throws away what has arrived.
			p.must(p.raw.(*tcp.Conn).CloseWrite())
			n.disconnected(id, actors.CloseEnded, nil)
			gamelantest.Eventually(t, patience, "100 messages", func() bool { return n.heard.Len() == before+100 })
		}},
		{"ten thousand substreams", func(t *testing.T, id identity.NodeID, secret *identity.Secret) {
			p := connect(t, tr, n.Addr, secret)
			for i := range uint32(10_000) {
				if p.Data(rawpeer.SYN, 2*i+1, "") != nil {
					break
				}
			}
			n.disconnected(id, actors.CloseViolation, mux.ErrTooManyRefused)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			secret := secretOf(100 + i)
			c.do(t, secret.NodeID(), secret)
			send(t, other, n, "after: "+c.name)
		})
	}
	for _, info := range n.Inspection().Tree().Snapshot() {
		if info.Incarnation > 1 {
			t.Errorf("%s: got restarted after %v", info.Path, info.LastFailure)
		}
	}
}

// TestDuplicatesOverTCP has two nodes send to each other at the same time, over
// sockets, again and again: one connection is left, the same at both ends, and
// no message is lost with the other one. Then a peer connects twice.
//
// conforms: comms 115, 116, 117
func TestDuplicatesOverTCP(t *testing.T) {
	gamelantest.NoLeak(t)
	cfg := gamelan.Config{Floor: gamelan.NoFloor} // nobody dials but the test
	a, b := onTCP(t, 1, cfg), onTCP(t, 2, cfg)
	for _, pair := range [][2]*target{{a, b}, {b, a}} {
		if _, err := pair[0].Peers().AddSeed(t.Context(), pair[1].Seed()); err != nil {
			t.Fatal(err)
		}
	}
	smaller, larger := a, b
	if b.ID().Compare(a.ID()) < 0 {
		smaller, larger = b, a
	}
	one := func(n *target, to identity.NodeID) *gamelan.Connection {
		if all := n.Connections(); len(all) == 1 && all[0].Peer == to {
			return all[0]
		}
		return nil
	}
	const rounds = 6
	crossed := 0
	for round := range rounds {
		var both sync.WaitGroup
		for _, pair := range [][2]*target{{a, b}, {b, a}} {
			both.Go(func() {
				out, err := pair[0].Send(t.Context(), pair[1].ID(), fmt.Appendf(nil, "at once in round %d", round))
				if err != nil || out.Kind != protocol.Confirmed {
					t.Errorf("round %d: got %v, %v, want confirmed", round, out, err)
				}
			})
		}
		both.Wait()
		var s, l *gamelan.Connection
		quietly := 0
		gamelantest.Eventually(t, patience, "one connection at both ends", func() bool {
			quietly++
			s, l = one(smaller, larger.ID()), one(larger, smaller.ID())
			if s == nil || l == nil || s.Direction == l.Direction || !smaller.settled() || !larger.settled() {
				quietly = 0
			}
			return quietly == 10 // between two actors nothing shows
		})
		two := 0
		for _, n := range []*target{a, b} {
			seen := make(map[uint64]bool)
			for _, e := range happened[actors.PeerConnected](n) {
				seen[e.Conn.ID] = true
			}
			two = max(two, len(seen))
			if gone := happened[actors.PeerDisconnected](n); len(gone) > round {
				for _, e := range gone[round:] {
					if e.Reason.Code == actors.CloseTieBreak {
						t.Errorf("round %d: got %v of the loser, want no event", round, e.Reason)
					}
				}
			}
		}
		if two > round+1+crossed {
			crossed++
			if s.Direction != protocol.Outbound {
				t.Errorf("round %d: the connection dialled by the larger id has survived", round)
			}
		}
		send(t, a, b, fmt.Sprintf("a in round %d", round))
		send(t, b, a, fmt.Sprintf("b in round %d", round))
		if err := a.Disconnect(t.Context(), b.ID()); err != nil {
			t.Fatal(err)
		}
		gamelantest.Eventually(t, patience, "no connection", func() bool {
			return len(a.Connections())+len(b.Connections()) == 0
		})
	}
	t.Logf("%d of %d rounds ended in two connections at once", crossed, rounds)
	for _, n := range []*target{a, b} {
		if got := n.heard.Len(); got != 2*rounds {
			t.Errorf("got %d messages, want %d", got, 2*rounds)
		}
	}

	tr, secret := tcp.New(tcp.Options{}), secretOf(1)
	old := connect(t, tr, a.Addr, secret)
	gamelantest.Eventually(t, patience, "the first connection", func() bool { return one(a, secret.NodeID()) != nil })
	first := one(a, secret.NodeID())
	before := len(happened[actors.PeerDisconnected](a))
	young := connect(t, tr, a.Addr, secret)
	gamelantest.Eventually(t, patience, "the end of the first connection", func() bool { return old.Err() != nil })
	if second := one(a, secret.NodeID()); second == nil || second.ID == first.ID || young.Err() != nil {
		t.Errorf("got %v, and the newer ended with %v, want the newer one", second, young.Err())
	}
	young.flushed()
	if got := len(happened[actors.PeerDisconnected](a)); got != before {
		t.Errorf("got %d events of an end, want none", got-before)
	}
}

// settled reports whether no connection is on its way in or out, all but one have
// gone, and no message waits that could change that.
func (n *target) settled() bool {
	n.t.Helper()
	return n.depth() == 0 && kit.LineOf(n.t, n.Node, "dialer") == "" && strings.HasSuffix(kit.LineOf(n.t, n.Node, "listeners/0"), " 0 in set-up") && kit.Conns(n.Node) == 1
}

// TestBlockedHandlerOverTCP has the handler of a node stand still for a real second, with
// GAMELAN_LONG for five, while another node sends without end: the sender's Enqueue blocks,
// the heap stays bounded, the tree names the stall, and afterwards everything
// arrives in order.
//
// conforms: comms 85, 89; V 13, 15
func TestBlockedHandlerOverTCP(t *testing.T) {
	gamelantest.NoLeak(t)
	a, b := onTCP(t, 1, gamelan.Config{}), onTCP(t, 2, gamelan.Config{})
	if _, err := a.Peers().AddSeed(t.Context(), b.Seed()); err != nil {
		t.Fatal(err)
	}
	send(t, a, b, "first")

	before := kit.Heap()
	unblock := b.heard.Block()
	defer unblock()
	const total, size = 5000, 4 << 10 // 20 MiB
	var accepted atomic.Int64
	all := make(chan *gamelan.Pending[gamelan.Outcome], total)
	go func() {
		defer close(all)
		for i := range total {
			m, err := a.Submit(t.Context(), b.ID(), []byte(fmt.Sprintf("%08d", i)+strings.Repeat(".", size-8)))
			if err != nil {
				t.Errorf("message %d: %v", i, err)
				return
			}
			accepted.Add(1)
			all <- m
		}
	}()
	line := func() string { return kit.LineOf(b.t, b.Node, "services/messaging/"+a.ID().String()) }
	gamelantest.Eventually(t, patience, "the session to say that the handler stalls it", func() bool {
		return strings.Contains(line(), "stalled") && strings.Contains(line(), "handler")
	})
	const most = 4 << 20 // both credits, both windows
	still := time.Second
	if os.Getenv("GAMELAN_LONG") != "" {
		still = 5 * time.Second
	}
	for began := time.Now(); time.Since(began) < still; time.Sleep(100 * time.Millisecond) {
		if got := accepted.Load(); got > most/size {
			t.Fatalf("got %d messages accepted, want at most %d", got, most/size)
		}
		if now := kit.Heap(); now > before+2*most {
			t.Errorf("the heap grows while the handler stands still: got %d bytes, want at most %d", now, before+2*most)
		}
	}
	if used, _, _, _ := nodetest.Trunk(b).Credit(); used > 1<<20 {
		t.Errorf("got %d bytes of credit in use, want at most 1 MiB", used)
	}
	send(t, b, a, "the other way") // meanwhile

	unblock()
	i := 0
	for m := range all {
		if out := m.Wait(t.Context()); out.Kind != protocol.Confirmed {
			t.Fatalf("message %d: got %v, want confirmed", i, out)
		}
		i++
	}
	gamelantest.Eventually(t, patience, "all messages", func() bool { return b.heard.Len() == total+1 })
	for i, body := range b.heard.Bodies()[1:] {
		if want := fmt.Sprintf("%08d", i); body[:8] != want {
			t.Fatalf("message %d: got %s, want %s", i, body[:8], want)
		}
	}
	gamelantest.Eventually(t, patience, "all credit back", func() bool {
		in, _, _, _ := nodetest.Trunk(b).Credit()
		_, _, out, _ := nodetest.Trunk(a).Credit()
		return in == 0 && out == 0
	})
}
