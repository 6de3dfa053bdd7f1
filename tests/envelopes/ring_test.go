package envelopes

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/actors/dhtpart"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// loadRing has each of three nodes send n sealed messages to the one after the
// next, through the next: all three relay what the one before them sends, and
// send to those who relay for them. It returns when every send has ended, with
// how many of them were confirmed.
func loadRing(t *testing.T, ring []kit.Member, n, size int) (confirmed int) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i, from := range ring {
		next, to := ring[(i+1)%len(ring)], ring[(i+2)%len(ring)]
		wg.Go(func() {
			var all []*gamelan.Pending[dht.Report]
			for k := range n {
				body := bytes.Repeat([]byte{byte(i)}, size)
				binary.BigEndian.PutUint32(body, uint32(k))
				s, err := from.DHT().Submit(t.Context(), dht.Message{
					To: dht.Selected{Peers: []identity.NodeID{next.ID()}}, Destination: to.PublicKey(),
					Encrypt: true, Type: kit.TextType, Body: body,
				})
				if err != nil {
					t.Errorf("node %d, message %d: %v", i, k, err)
					return
				}
				all = append(all, s)
			}
			for _, s := range all {
				r := s.Wait(t.Context())
				mu.Lock()
				confirmed += r.Count(protocol.Confirmed)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return confirmed
}

// relayCounts is what a node has counted of messages of others.
func relayCounts(t *testing.T, m kit.Member) dht.OutboundCounts {
	t.Helper()
	d, err := m.Inspection().Tree().Inspect(t.Context(), nodetest.DHT(m).Outbound.Id)
	if err != nil {
		t.Fatal(err)
	}
	return d.Value.(dhtpart.Sending).Counts
}

// wantRing checks that no message has disappeared: each was heard, or its copy has
// failed and is counted. Then the ring relays messages as before.
func wantRing(t *testing.T, ring []kit.Member, n int) {
	t.Helper()
	heard, failed := ringEnds(t, ring)
	t.Logf("%d heard of %d, %d copies failed", heard, len(ring)*n, failed)
	if heard+failed < len(ring)*n {
		t.Errorf("got %d heard and %d copies failed, want %d messages in all", heard, failed, len(ring)*n)
	}
}

// ringEnds returns how many messages were heard, and how many copies have failed.
func ringEnds(t *testing.T, ring []kit.Member) (heard, failed int) {
	t.Helper()
	for _, m := range ring {
		heard += m.Heard.Len()
		c := relayCounts(t, m)
		failed += int(c.RelayFailed.Total())
		for _, x := range nodetest.DHT(m).Counts() {
			if x.Reason == dht.RelaysStuck {
				failed += int(x.Count)
			}
		}
	}
	return heard, failed
}

// TestBubbleRelayRing loads a ring of relays, over links that hold little, with
// more than all of its credit: nobody waits for ever, and nothing is lost that is
// not counted.
//
// conforms: V 13
func TestBubbleRelayRing(t *testing.T) {
	for _, credit := range []int64{0, 64 << 10} {
		gamelantest.Bubble(t, func(t *testing.T) {
			net := gamelantest.NewNetwork(t)
			net.SetLink(memory.Link{Latency: 20 * time.Millisecond, Bandwidth: 2 << 20})
			var ring []kit.Member
			for range 3 {
				ring = append(ring, kit.StartMember(net, gamelan.Config{PeerCredit: credit}))
			}
			for i := range ring {
				net.Connect(ring[i].Node, ring[(i+1)%3].Node)
			}
			const n, size = 150, 20_000 // 3 MB each
			if got := loadRing(t, ring, n, size); got != 3*n {
				t.Errorf("got %d of %d sends confirmed by the next node", got, 3*n)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			wantRing(t, ring, n)
			before := ring[0].Heard.Len() + ring[1].Heard.Len() + ring[2].Heard.Len()
			loadRing(t, ring, 5, size+1)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if got := ring[0].Heard.Len() + ring[1].Heard.Len() + ring[2].Heard.Len() - before; got != 15 {
				t.Errorf("got %d of 15 messages heard after the load, want all", got)
			}
			kit.WantNoCredit(t, ring[0].Node, ring[1].Node, ring[2].Node)
		})
	}
}

// TestRelayRing loads a ring of relays on real sockets; with GAMELAN_LONG, with more than
// they have room for.
//
// conforms: V 13
func TestRelayRing(t *testing.T) {
	t.Parallel() // mostly waits: what cannot pass is given up after a while
	var ring []kit.Member
	for range 3 {
		heard := gamelantest.NewCollector()
		n, err := gamelan.Start(t.Context(), gamelan.Config{DHT: &gamelan.DHTConfig{}},
			gamelan.WithType(kit.TextType, heard.New), gamelan.WithLogger(slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := n.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		ring = append(ring, kit.Member{Node: &gamelantest.Node{Node: n}, Heard: heard})
	}
	for i, a := range ring {
		b := ring[(i+1)%3]
		if _, err := a.Peers().AddSeed(t.Context(), b.Seed()); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Dial(t.Context(), b.ID()); err != nil {
			t.Fatal(err)
		}
	}
	n, size := 60, 20_000
	if os.Getenv("GAMELAN_LONG") != "" {
		n = 120
	}
	if got := loadRing(t, ring, n, size); got != 3*n {
		t.Errorf("got %d of %d sends confirmed by the next node", got, 3*n)
	}
	// A message that the multiplexer of a node has read is confirmed, and holds no credit until its
	// reader takes it. So no credit held says nothing yet.
	gamelantest.Eventually(t, time.Minute, "every message heard, or its copy failed", func() bool {
		heard, failed := ringEnds(t, ring)
		return heard+failed >= len(ring)*n
	})
	for _, m := range ring {
		gamelantest.Eventually(t, time.Minute, "all credit back", func() bool {
			in, _, out, _ := nodetest.Trunk(m).Credit()
			return in == 0 && out == 0
		})
	}
	wantRing(t, ring, n)
}

// TestBubbleRelayStalls has the target of a burst stand still: after 10 s the
// copies for it fail and are shown, what its source sends for the node in the
// middle goes on, and a copy that comes later reaches the target alone.
//
// conforms: V 13
func TestBubbleRelayStalls(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		all := kit.Members(net, 4)
		from, relay, to, other := all[0], all[1], all[2], all[3]
		net.Connect(from.Node, relay.Node)
		net.Connect(relay.Node, to.Node)
		net.Connect(from.Node, other.Node)
		net.Partition(relay.Node, to.Node)
		sealed := func(i int) dht.Message {
			body := bytes.Repeat([]byte{1}, 5000)
			binary.BigEndian.PutUint32(body, uint32(i))
			return dht.Message{
				To: dht.Selected{Peers: []identity.NodeID{relay.ID()}}, Destination: to.PublicKey(),
				Encrypt: true, Type: kit.TextType, Body: body,
			}
		}
		const n = 300 // about 2 MB
		for i := range n {
			submit(t, from, sealed(i))
		}
		time.Sleep(5 * time.Second)
		if used, _, _, _ := nodetest.Trunk(relay).Credit(); used > 1<<20 {
			t.Errorf("got %d bytes of credit held, want at most what one peer has", used)
		}
		time.Sleep(8 * time.Second)
		kit.WantAllConfirmed(t, "for the node in the middle", kit.Send(t, from, kit.LetterTo(dht.Direct{Peer: relay.ID()}, "for you")), 1)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := relay.Heard.Len(); got != 1 {
			t.Errorf("got %d messages heard in the middle after 14 s, want what is for it", got)
		}
		c := relayCounts(t, relay)
		if c.RelayFailed[dht.RelayStalled] == 0 || c.RelayConfirmed != 0 {
			t.Errorf("got %+v, want copies that have stalled", c)
		}
		net.Heal(relay.Node, to.Node)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		before := to.Heard.Len()
		kit.WantNoCredit(t, from.Node, relay.Node, to.Node, other.Node)

		// The same ones again, as they come by another way.
		d, err := relay.Inspection().Tree().Inspect(t.Context(), nodetest.DHT(relay).Outbound.Id)
		if err != nil {
			t.Fatal(err)
		}
		missed := d.Value.(dhtpart.Sending).Unreached
		if missed == 0 || before+missed < n {
			t.Errorf("got %d heard and %d remembered of %d, want each to be one of them", before, missed, n)
		}
		line := kit.LineOf(t, relay.Node, "dht/outbound")
		if !strings.Contains(line, "copies of those failed") {
			t.Errorf("the tree says %q, want the copies that have failed", line)
		}
	})
}

// relayLine starts three nodes of which the first and the last are connected with
// the one between them, which says nothing of its panics.
func relayLine(net *gamelantest.Network) (from, relay, to kit.Member) {
	alone := gamelan.Config{}
	from, relay, to = kit.StartMember(net, alone), kit.StartMember(net, alone, kit.Quiet), kit.StartMember(net, alone)
	net.Connect(from.Node, relay.Node)
	net.Connect(relay.Node, to.Node)
	return from, relay, to
}

// TestBubbleRelayPanics has outbound panic in the middle of handing a copy to its
// session. The panic is contained; neither the target's window nor the source's
// credit is lost with it.
func TestBubbleRelayPanics(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		from, relay, to := relayLine(net)
		sessions := &nodetest.Trunk(relay).Frames().Sessions
		const size = 200_000 // half of a window, nearly
		for range 2 {        // a third panic in a minute would end the connection
			sessions.Set(to.ID(), messengers.Messenger{}) // without an account
			burst(t, from, to, 1, size)
			time.Sleep(time.Second)
			sessions.Delete(to.ID())
		}
		if c := relayCounts(t, relay); c.RelayFailed[dht.RelayPanicked] != 2 {
			t.Errorf("got %v copies failed, want 2 that panicked", c.RelayFailed)
		}
		kit.WantNoCredit(t, from.Node, relay.Node)
		burst(t, from, to, 10, size)
		time.Sleep(5 * time.Second)
		wantBurst(t, to, 10)
		kit.WantNoCredit(t, from.Node, relay.Node, to.Node)
	})
}

// TestBubbleOutcomePanics has outbound panic while it carries out what follows
// from an outcome: it starts again, and the credit of the message that had ended
// returns to its source.
func TestBubbleOutcomePanics(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		from, relay, to := relayLine(net)
		burst(t, from, to, 1, 100)
		time.Sleep(time.Second)
		net.Partition(relay.Node, to.Node)
		burst(t, from, to, 4, 150_000) // more than are given to a session at a time
		time.Sleep(time.Second)
		sessions := &nodetest.Trunk(relay).Frames().Sessions
		session, ok := sessions.Get(to.ID())
		if !ok {
			t.Fatal("got no session of the relay with the target, want one")
		}
		sessions.Set(to.ID(), messengers.Messenger{}) // without an account: what is given to it next panics
		net.Heal(relay.Node, to.Node)
		time.Sleep(5 * time.Second)
		sessions.Set(to.ID(), session)
		if i := kit.InfoOf(t, relay.Node, "dht/outbound"); i.Incarnation != 2 {
			t.Fatalf("got incarnation %d of outbound, want the second", i.Incarnation)
		}
		kit.WantNoCredit(t, from.Node, relay.Node, to.Node)
	})
}
