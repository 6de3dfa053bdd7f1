package envelopes

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleNoMessageStopsTheNode has an actor of the DHT panic on every message of one kind
// that peers send, 20 rounds long, and the writer of the peer store and of the memory of seen
// messages panic once. The node goes on all the same, no message of a peer restarts an actor, and
// afterwards the node works as before.
//
// conforms: dht 140
func TestBubbleNoMessageStopsTheNode(t *testing.T) {
	for name, at := range map[string]struct {
		path, point string
		times       int32
	}{
		"a frame":                  {"/dht/inbound-", "dhtpart.Frame", 1 << 30},
		"a message to relay":       {"/dht/outbound", "dhtpart.relayMessage", 1 << 30},
		"a join":                   {"/discovery/join", "dht.Heard", 1 << 30},
		"a message to store":       {"/saf/keeper", "dht.Offered", 1 << 30},
		"a request":                {"/saf/keeper", "dht.Heard", 1 << 30},
		"a peer to add":            {"/peers", "peerbook.AddPeer", 1},
		"a write of peers":         {"/peers", "supervisor.Done[struct {}]", 1},
		"a write of seen messages": {"/dht/dedup", "task", 1},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				var left, fired atomic.Int32
				fault := gamelan.WithFault(func(path, point string) {
					if strings.Contains(path, at.path) && strings.Contains(point, at.point) && left.Add(-1) >= 0 {
						fired.Add(1)
						panic("on purpose")
					}
				})
				a, c := kit.StartMember(net, gamelan.Config{}, kit.Quiet), kit.StartMember(net, gamelan.Config{}, kit.Quiet)
				b := kit.StartMember(net, gamelan.Config{}, kit.Quiet, fault)
				net.Introduce(a.Node, b.Node)
				net.Connect(b.Node, c.Node)
				left.Store(at.times)
				for i := range 20 {
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					if _, err := a.Dial(ctx, b.ID()); err != nil && i == 0 {
						t.Fatal(err)
					}
					for _, m := range []dht.Message{
						{To: dht.Direct{Peer: b.ID()}, Type: kit.TextType, Sign: true},
						kit.Relayed(b.Node, c.Node, "for c"),
						{To: dht.StoreFor{To: gamelantest.Secret(90 + i).PublicKey()}, Type: kit.TextType, Body: []byte("later"), Encrypt: true},
					} {
						_, _ = a.DHT().Send(ctx, m)
					}
					_, _ = a.DHT().Join(ctx)
					_, _ = a.DHT().FetchStored(ctx)
					cancel()
				}
				time.Sleep(2 * time.Minute) // for what waits until an actor runs again
				left.Store(0)
				if n := fired.Load(); n < min(at.times, 3) {
					t.Fatalf("got %d panics, want at least %d", n, min(at.times, 3))
				}
				time.Sleep(time.Minute)
				select {
				case <-b.Done():
					t.Fatalf("the node has stopped: %v", b.Err())
				default:
				}
				gamelantest.Healed(t, b.Node.Node)
				for path, x := range inspected(t, b.Node) {
					if at.times > 1 && strings.Contains("/"+path, at.path) && x.Restarts > 0 {
						t.Errorf("%s: got %d restarts by messages of peers, want none", path, x.Restarts)
					}
				}
				if _, err := a.Dial(t.Context(), b.ID()); err != nil {
					t.Fatal(err)
				}
				if _, err := b.Dial(t.Context(), c.ID()); err != nil {
					t.Fatal(err)
				}
				before := b.Heard.Len()
				kit.WantAllConfirmed(t, "afterwards", kit.Send(t, a, kit.LetterTo(dht.Direct{Peer: b.ID()}, "afterwards")), 1)
				kit.WantAllConfirmed(t, "from it", kit.Send(t, b, kit.LetterTo(dht.Direct{Peer: a.ID()}, "from b")), 1)
				kit.WantAllConfirmed(t, "over it", kit.Send(t, a, kit.Relayed(b.Node, c.Node, "over b")), 1)
				time.Sleep(time.Second)
				if b.Heard.Len() != before+1 || a.Heard.Len() != 1 {
					t.Errorf("got %d messages at the node and %d from it, want one each", b.Heard.Len()-before, a.Heard.Len())
				}
				if got := c.Heard.Bodies(); len(got) == 0 || got[len(got)-1] != "over b" {
					t.Errorf("c heard %q, want what came over the node last", got)
				}
			})
		})
	}
}
