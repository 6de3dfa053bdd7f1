package messages

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

const plainID = "t-plain"

// withDHT is the configuration of a node with both messaging protocols.
func withDHT(shards int) gamelan.Config {
	return gamelan.Config{DHT: &gamelan.DHTConfig{Shards: shards}, PlainID: plainID}
}

// frameType is the type of the DHT's messages here.
const frameType = 1000

// sendFrame sends a message on the DHT's messaging protocol.
func sendFrame(t *testing.T, from, to *gamelantest.Node, body string) <-chan protocol.Outcome {
	t.Helper()
	return kit.Post(t, from, to, kit.Letter(t, from, frameType, body, kit.InClear))
}

func wantConfirmed(t *testing.T, what string, out protocol.Outcome) {
	t.Helper()
	if out.Kind != protocol.Confirmed {
		t.Errorf("%s: got %v, want confirmed", what, out)
	}
}

// TestBubbleTwoMessagings has nodes exchange plain messages and the DHT's at the
// same time, also after what carries them has crashed.
func TestBubbleTwoMessagings(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		const all = 4
		frames := kit.NewLetters()
		to := net.Start(withDHT(all), kit.Quiet, gamelan.WithHandler(heard.New), gamelan.WithType(frameType, frames.New))
		var from []*gamelantest.Node
		used := map[string]bool{}
		for range 6 {
			n := net.Start(withDHT(0))
			net.Connect(n, to)
			from = append(from, n)
			used[nodetest.DHT(to).Inbound(n.ID()).Id] = true
		}
		if len(used) < 2 {
			t.Fatalf("got %d shards for 6 peers, want a test with more", len(used))
		}
		const rounds = 3
		for round := range rounds {
			var plain []*gamelan.Pending[gamelan.Outcome]
			var dht []<-chan protocol.Outcome
			for i := range 100 {
				for _, n := range from {
					body := fmt.Sprintf("%d %d of %d", round, i, n.Number)
					plain = append(plain, kit.Enqueue(t, n, to, body))
					dht = append(dht, sendFrame(t, n, to, body))
				}
			}
			for i, p := range plain {
				wantConfirmed(t, "plain", p.Wait(t.Context()))
				wantConfirmed(t, "frame", <-dht[i])
			}
			synctest.Wait()
			if got, want := frames.Count(), len(from)*100*(round+1); got != want {
				t.Fatalf("got %d messages of the DHT, want %d", got, want)
			}
			for _, path := range []string{"services/messaging", "services/plain", "services"}[round:min(3, round+1)] {
				if !gamelantest.Crash(to.Node, path, "a bug") {
					t.Fatalf("%s: got no crash", path)
				}
				time.Sleep(time.Second)
				gamelantest.Healed(t, to.Node)
			}
		}
		for _, n := range from {
			var want []string
			for round := range rounds {
				for i := range 100 {
					want = append(want, fmt.Sprintf("%d %d of %d", round, i, n.Number))
				}
			}
			kit.WantBodies(t, "the type, of "+n.ID().String(), frames.Bodies(frameType, n), want)
			var plain []string
			for _, m := range heard.Messages() {
				if m.Peer == n.ID() {
					plain = append(plain, string(m.Body))
				}
			}
			kit.WantBodies(t, "the handler, of "+n.ID().String(), plain, want)
		}
		if in, _, _, _ := nodetest.Trunk(to).Credit(); in != 0 {
			t.Errorf("got %d bytes of credit in use at the end, want none", in)
		}
	})
}

// TestBubbleUselessFrames has frames arrive that are no messages: they are
// dropped, the peer goes on sending more than its credit, and status warns of it.
func TestBubbleUselessFrames(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		cfg := withDHT(1)
		cfg.PeerCredit = 8 << 10
		a, b := net.Start(withDHT(1)), net.Start(cfg)
		net.Connect(a, b)
		for range 100 {
			done := make(chan protocol.Outcome, 1)
			m := messengers.SendBody{Peer: b.ID(), Body: make([]byte, 4<<10)}
			if _, err := nodetest.Trunk(a).Frames().Send(t.Context(), m, func(o protocol.Outcome) { done <- o }); err != nil {
				t.Fatal(err)
			}
			wantConfirmed(t, "frame", <-done)
		}
		synctest.Wait()
		if got, want := kit.Fates(b), "100 undecodable"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if in, _, _, _ := nodetest.Trunk(b).Credit(); in != 0 {
			t.Errorf("got %d bytes of credit in use, want none", in)
		}
		warned := func(peer *gamelantest.Node) bool {
			return slices.ContainsFunc(b.Inspection().Node(t.Context()).Warnings.Texts(), func(w string) bool {
				return strings.Contains(w, peer.ID().String()) && strings.Contains(w, "100 messages on t/msg/0.1 that cannot be decoded")
			})
		}
		if !warned(a) || warned(b) {
			t.Errorf("got the warnings %q, want one of the sender, with the number and the protocol", b.Inspection().Node(t.Context()).Warnings.Texts())
		}
		kit.Says(t, b.Node, codes.Undecodable)
		time.Sleep(view.RecentQuiet)
		if warned(a) {
			t.Errorf("got %q after a time without any, want no warning", b.Inspection().Node(t.Context()).Warnings.Texts())
		}
	})
}

// TestBubbleTwoMessagingsEnd closes a connection, and then a node, while plain
// messages are being written and the DHT's are done: what was accepted is proven.
func TestBubbleTwoMessagingsEnd(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, a, b *gamelantest.Node) error{
		"connection": func(t *testing.T, a, b *gamelantest.Node) error { return a.Disconnect(t.Context(), b.ID()) },
		"node":       func(t *testing.T, a, _ *gamelantest.Node) error { return a.Close(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				net.SetLink(memory.Link{Latency: 5 * time.Millisecond, Bandwidth: 512 << 10})
				heard := gamelantest.NewCollector()
				frames := kit.NewLetters()
				a := net.Start(withDHT(1))
				b := net.Start(withDHT(1), gamelan.WithHandler(heard.New), gamelan.WithType(frameType, frames.New))
				net.Connect(a, b)
				wantConfirmed(t, "the first", kit.Enqueue(t, a, b, "first").Wait(t.Context()))
				plain := kit.Enqueue(t, a, b, string(make([]byte, 700<<10)))
				time.Sleep(50 * time.Millisecond) // it is being written
				dht := sendFrame(t, a, b, "small")
				time.Sleep(50 * time.Millisecond)
				if err := end(t, a, b); err != nil {
					t.Error(err)
				}
				wantConfirmed(t, "plain", plain.Wait(t.Context()))
				wantConfirmed(t, "frame", <-dht)
				synctest.Wait()
				if got := len(heard.Bodies()); got != 2 || frames.Count() != 1 {
					t.Errorf("got %d plain messages and %d of the DHT, want 2 and 1", got, frames.Count())
				}
			})
		})
	}
}

// TestBubbleIdleWithTwoMessagings: four substreams of messages, two each way, are
// what an idle connection has.
func TestBubbleIdleWithTwoMessagings(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		a, b := net.Start(withDHT(1), gamelan.WithHandler(heard.New)), net.Start(withDHT(1), gamelan.WithHandler(heard.New))
		net.Connect(a, b)
		for _, n := range [][2]*gamelantest.Node{{a, b}, {b, a}} {
			wantConfirmed(t, "plain", kit.Enqueue(t, n[0], n[1], "hello").Wait(t.Context()))
			wantConfirmed(t, "frame", <-sendFrame(t, n[0], n[1], "hello"))
		}
		ref, _ := a.Connection(b.ID())
		if got := ref.NumStreams(); got != 4 {
			t.Fatalf("got %d substreams, want 4", got)
		}
		if got := nodetest.Trunk(a).Live()[0].Streams; got != 2 {
			t.Errorf("got %d substreams for the limits of idle connections, want 2", got)
		}
	})
}
