package messages

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleBlockedHandler stops a handler in the middle of a message. Its
// peer's Enqueue blocks once the credit of both sides is used up, nothing is
// dropped, other peers of either side are not affected, and when the handler
// goes on everything arrives in order.
//
// conforms: comms 85, 89; V 13
func TestBubbleBlockedHandler(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		net.SetLink(kit.SlowLink)
		cfg := gamelan.Config{PeerCredit: 64 << 10}
		slow, fast := gamelantest.NewCollector(), gamelantest.NewCollector()
		a := net.Start(cfg)
		b := net.Start(cfg, kit.Quiet, gamelan.WithHandler(slow.New),
			gamelan.WithProtocol("name/1", func(*gamelan.Node) actor.Actor { return kit.Namer{} }))
		c := net.Start(cfg, gamelan.WithHandler(fast.New))
		net.Connect(a, b)
		net.Connect(a, c)
		net.Connect(b, c)

		unblock := slow.Block()
		const size = 4 << 10
		var accepted []string // by a, for b
		var pending []*gamelan.Pending[gamelan.Outcome]
		done := make(chan struct{})
		const total = 2000 // 8 MiB, far more than credit, window and buffers hold
		go func() {
			defer close(done)
			for i := range total {
				body := fmt.Sprintf("%08d", i) + strings.Repeat(".", size)
				p, err := a.Submit(t.Context(), b.ID(), []byte(body))
				if err != nil {
					t.Errorf("message %d: %v", i, err)
					return
				}
				accepted, pending = append(accepted, body), append(pending, p)
			}
		}()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		before := len(accepted)
		if before == 0 || before == total {
			t.Errorf("handler blocked: got %d of %d messages accepted, want Enqueue to block on the way", before, total)
		}
		if got := slow.Len(); got != 1 {
			t.Errorf("handler blocked: got %d messages in it, want 1", got)
		}
		if _, _, used, _ := nodetest.Trunk(a).Credit(); used > cfg.PeerCredit {
			t.Errorf("sender holds %d bytes, want at most %d", used, cfg.PeerCredit)
		}
		if used, _, _, _ := nodetest.Trunk(b).Credit(); used > cfg.PeerCredit+2*size {
			t.Errorf("receiver holds %d bytes, want at most %d and one message", used, cfg.PeerCredit)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if after := len(accepted); after != before {
			t.Errorf("a minute later: got %d messages accepted, want %d as before", after, before)
		}
		if line := kit.LineOf(t, b, "services/plain/"+a.ID().String()); !strings.Contains(line, "stalled") {
			t.Errorf("the tree says %q of the blocked handler, want that it is stalled", line)
		}

		// Everybody else goes on, and so does all else on that connection.
		s, err := a.OpenStream(t.Context(), b.ID(), "name/1")
		if err != nil {
			t.Fatal(err)
		}
		if heard, err := io.ReadAll(s); string(heard) != "name/1" || err != nil {
			t.Errorf("another protocol beside the blocked handler: got %q, %v, want name/1", heard, err)
		}
		s.Close()
		for _, from := range []*gamelantest.Node{a, b} {
			if out := kit.Enqueue(t, from, c, fmt.Sprintf("from node %d", from.Number)).Wait(t.Context()); out.Kind != protocol.Confirmed {
				t.Errorf("node %d to a third node: got %v, want confirmed", from.Number, out)
			}
		}
		synctest.Wait()
		kit.WantBodies(t, "the third node", fast.Bodies(), []string{"from node 1", "from node 2"})

		unblock()
		<-done
		for i, p := range pending {
			if out := p.Wait(t.Context()); out.Kind != protocol.Confirmed {
				t.Fatalf("message %d: got %v, want confirmed", i, out)
			}
		}
		synctest.Wait()
		kit.WantBodies(t, "the slow node", slow.Bodies(), accepted)
		for _, n := range []*gamelantest.Node{a, b} {
			if in, _, out, _ := nodetest.Trunk(n).Credit(); in != 0 || out != 0 {
				t.Errorf("node %d at the end: got %d and %d bytes of credit in use, want none", n.Number, in, out)
			}
			gamelantest.Healed(t, n.Node)
		}
	})
}

// TestBubbleSmallMessagesBeyondTheCredit sends more small messages in one go
// than the receiver has credit for: those that the reader has read together are
// handed over before it waits for what they hold.
//
// conforms: comms 85
func TestBubbleSmallMessagesBeyondTheCredit(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		all := gamelantest.NewCollector()
		a := net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{PeerCredit: 4 << 10}, gamelan.WithHandler(all.New))
		net.Connect(a, b)
		const total = 1000 // of 256 bytes of credit each, and more
		var pending []*gamelan.Pending[gamelan.Outcome]
		for i := range total {
			pending = append(pending, kit.Enqueue(t, a, b, fmt.Sprintf("%08d", i)))
		}
		for i, p := range pending {
			if out := p.Wait(t.Context()); out.Kind != protocol.Confirmed {
				t.Fatalf("message %d: got %v, want confirmed", i, out)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		got := all.Bodies()
		if len(got) != total {
			t.Fatalf("got %d messages, want %d", len(got), total)
		}
		for i, m := range got {
			if want := fmt.Sprintf("%08d", i); m != want {
				t.Fatalf("message %d: got %q, want %q", i, m, want)
			}
		}
		if used, _, _, _ := nodetest.Trunk(b).Credit(); used != 0 {
			t.Errorf("got %d bytes of credit held when all was handled, want none", used)
		}
	})
}
