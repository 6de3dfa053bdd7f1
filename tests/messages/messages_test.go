package messages

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleExchange has two nodes talk to each other, both ways at once, over
// a link with a latency.
func TestBubbleExchange(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		net.SetLink(kit.SlowLink)
		var heard [2]*gamelantest.Collector
		var nodes [2]*gamelantest.Node
		for i := range nodes {
			heard[i] = gamelantest.NewCollector()
			nodes[i] = net.Start(gamelan.Config{}, gamelan.WithHandler(heard[i].New))
		}
		net.Connect(nodes[0], nodes[1])
		want := kit.Numbered("message", 500)
		var pending []*gamelan.Pending[gamelan.Outcome]
		for _, body := range want {
			pending = append(pending, kit.Enqueue(t, nodes[0], nodes[1], body), kit.Enqueue(t, nodes[1], nodes[0], body))
		}
		for i, p := range pending {
			if out := p.Wait(t.Context()); out.Kind != protocol.Confirmed {
				t.Fatalf("message %d: got %v, want confirmed", i, out)
			}
		}
		synctest.Wait()
		for i := range nodes {
			kit.WantBodies(t, fmt.Sprintf("node %d", i+1), heard[i].Bodies(), want)
		}
	})
}

// TestBubbleSendAfterCut sends the moment after the connection was lost, when
// the sender does not know yet. The other side can be reached, so nothing may
// fail: what was lost with the connection is in doubt, the rest arrives.
func TestBubbleSendAfterCut(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		net.Connect(a, b)
		var confirmed []string
		for i := range 20 {
			net.Cut(a, b)
			body := fmt.Sprintf("message %d", i)
			switch out := kit.Enqueue(t, a, b, body).Wait(t.Context()); out.Kind {
			case protocol.Confirmed:
				confirmed = append(confirmed, body)
			case protocol.Failed:
				t.Errorf("%s: got %v, want confirmed or in doubt", body, out)
			}
		}
		synctest.Wait()
		if len(confirmed) == 0 {
			t.Error("got no message confirmed")
		}
		kit.WantBodies(t, "the other side", heard.Bodies(), confirmed)
	})
}

// TestBubblePartition parts two nodes under way. What was sent before is
// confirmed or in doubt; what was sent while they were parted fails after two
// dials, or arrives if they come together before; nothing that failed was heard,
// and what was heard is in order.
//
// conforms: comms 86
func TestBubblePartition(t *testing.T) {
	t.Run("long", func(t *testing.T) {
		gamelantest.Bubble(t, func(t *testing.T) { partition(t, false, 3*time.Minute) })
	})
	// The sender has given up the connection and dials, the receiver still
	// holds it: with Resend everything arrives.
	t.Run("resend", func(t *testing.T) {
		gamelantest.Bubble(t, func(t *testing.T) { partition(t, true, 80*time.Second) })
	})
}

func partition(t *testing.T, resend bool, parted time.Duration) {
	net := gamelantest.NewNetwork(t)
	net.SetLink(kit.SlowLink)
	heard := gamelantest.NewCollector()
	a := net.Start(gamelan.Config{}, kit.Quiet)
	b := net.Start(gamelan.Config{}, kit.Quiet, gamelan.WithHandler(heard.New))
	net.Connect(a, b)
	var opts []gamelan.SendOption
	if resend {
		opts = append(opts, gamelan.Resend())
	}
	const each = 50
	sent := kit.Numbered("message", 3*each)
	var pending []*gamelan.Pending[gamelan.Outcome]
	send := func(part int) {
		for _, body := range sent[part*each : (part+1)*each] {
			pending = append(pending, kit.Enqueue(t, a, b, body, opts...))
		}
	}
	send(0)
	for _, p := range pending {
		if out := p.Wait(t.Context()); out.Kind != protocol.Confirmed {
			t.Fatalf("before the partition: got %v, want confirmed", out)
		}
	}
	send(1)
	time.Sleep(kit.SlowLink.Latency / 2) // on their way
	net.Partition(a, b)
	const silence = 70 * time.Second // more than the sender bears
	time.Sleep(silence)
	send(2)
	time.Sleep(parted - silence)
	if n := len(a.Connections()); n != 0 {
		t.Errorf("after %v without an answer: got %d connections, want none", parted, n)
	}
	if n := len(b.Connections()); n != 0 && !resend {
		t.Errorf("after %v without a word: got %d connections, want none", parted, n)
	}
	if tried := failedDials(a, b); tried != 2 && !resend {
		t.Errorf("the messages that failed: got %d dials before, want 2", tried)
	}
	net.Heal(a, b)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	outcomes := make(map[string]protocol.Outcome)
	counts := make(map[protocol.OutcomeKind]int)
	for i, p := range pending {
		outcomes[sent[i]] = p.Wait(ctx)
		counts[outcomes[sent[i]].Kind]++
	}

	if out := kit.Enqueue(t, a, b, "last").Wait(ctx); out.Kind != protocol.Confirmed {
		t.Errorf("after healing: got %v, want confirmed", out)
	}
	synctest.Wait()
	times := make(map[string]int)
	for _, body := range heard.Bodies() {
		times[body]++
	}
	for body, out := range outcomes {
		n := times[body]
		switch {
		case out.Kind == protocol.Confirmed && n == 0,
			out.Kind == protocol.Failed && n > 0,
			!resend && n > 1,
			resend && out.Kind == protocol.InDoubt:
			t.Errorf("%s: got %v and was heard %d times", body, out, n)
		}
	}
	want := map[protocol.OutcomeKind]int{protocol.Confirmed: each, protocol.InDoubt: each, protocol.Failed: each}
	if resend {
		want = map[protocol.OutcomeKind]int{protocol.Confirmed: 3 * each}
	}
	if !maps.Equal(counts, want) {
		t.Errorf("outcomes: got %v, want %v", counts, want)
	}
	var first []string
	seen := make(map[string]bool)
	for _, body := range heard.Bodies() {
		if body != "last" && !seen[body] {
			first = append(first, body)
			seen[body] = true
		}
	}
	if !slices.IsSortedFunc(first, func(x, y string) int { return slices.Index(sent, x) - slices.Index(sent, y) }) {
		t.Errorf("order: got %q", first)
	}
}

// failedDials counts the dials from a to b that came to nothing.
func failedDials(a, b *gamelantest.Node) (failed int) {
	attempts, _ := nodetest.Trunk(a).Dials().Get(b.ID())
	for _, at := range attempts {
		if at.Err != nil {
			failed++
		}
	}
	return failed
}

// TestBubbleResend cuts the connection ten times under way. With Resend
// everything is Confirmed, and what is Confirmed was heard.
//
// When the cuts come so fast that they hit the dials as well, a message whose
// second dial in a row fails is given up (comms 86): in doubt, since its first
// try was written, or failed if it never was.
func TestBubbleResend(t *testing.T) {
	t.Run("connections", func(t *testing.T) { resendCut(t, 300*time.Millisecond, true) })
	for range 5 {
		t.Run("dials", func(t *testing.T) { resendCut(t, 0, false) })
	}
}

func resendCut(t *testing.T, pause time.Duration, all bool) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		net.SetLink(kit.SlowLink)
		heard := gamelantest.NewCollector()
		a := net.Start(gamelan.Config{}, kit.Quiet)
		b := net.Start(gamelan.Config{}, kit.Quiet, gamelan.WithHandler(heard.New))
		net.Connect(a, b)
		sent := kit.Numbered("message", 400)
		var pending []*gamelan.Pending[gamelan.Outcome]
		for i, body := range sent {
			if i%40 == 20 {
				time.Sleep(kit.SlowLink.Latency / 2)
				net.Cut(a, b)
				time.Sleep(pause)
			}
			pending = append(pending, kit.Enqueue(t, a, b, body, gamelan.Resend()))
		}
		outcomes := make([]protocol.Outcome, len(sent))
		for i, p := range pending {
			outcomes[i] = p.Wait(t.Context())
		}
		synctest.Wait()
		got := make(map[string]bool)
		for _, body := range heard.Bodies() {
			got[body] = true
		}
		for i, out := range outcomes {
			switch {
			case out.Kind == protocol.Confirmed && !got[sent[i]]:
				t.Errorf("%s was confirmed and not heard", sent[i])
			case out.Kind == protocol.Failed && got[sent[i]]:
				t.Errorf("%s failed and was heard", sent[i])
			case all && out.Kind != protocol.Confirmed:
				t.Errorf("%s: got %v, want confirmed", sent[i], out)
			}
		}
	})
}

// TestBubbleWaitTwice asks for an outcome more than once.
func TestBubbleWaitTwice(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(gamelantest.NewCollector().New))
		net.Connect(a, b)
		p := kit.Enqueue(t, a, b, "message")
		for i := range 2 {
			if out := p.Wait(t.Context()); out.Kind != protocol.Confirmed {
				t.Errorf("time %d: got %v, want confirmed", i+1, out)
			}
		}
		<-p.Done()
		if out := p.Result(); out.Kind != protocol.Confirmed {
			t.Errorf("done: got %v, want confirmed", out)
		}
	})
}

// TestBubbleQuietSubstreamsNeedNoTask lets messaging substreams be quiet: their
// tasks end, and yet the next message arrives, and the end of the connection is
// noticed.
func TestBubbleQuietSubstreamsNeedNoTask(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		a := net.Start(gamelan.Config{}, gamelan.WithHandler(gamelantest.NewCollector().New))
		b := net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		net.Connect(a, b)
		rest := func(when string) {
			t.Helper()
			time.Sleep(3 * time.Second)
			synctest.Wait()
			for _, at := range []struct{ node, peer *gamelantest.Node }{{a, b}, {b, a}} {
				path := "services/plain/" + at.peer.ID().String()
				for _, i := range at.node.Inspection().Tree().Snapshot() {
					if strings.HasSuffix(i.Path, path) && len(i.Tasks) > 0 {
						t.Errorf("%s: node %d has the tasks %v for its peer, want none", when, at.node.Number, i.Tasks)
					}
				}
			}
		}
		for i := range 3 {
			want := fmt.Sprintf("message %d", i)
			for _, p := range []*gamelan.Pending[gamelan.Outcome]{kit.Enqueue(t, a, b, want), kit.Enqueue(t, b, a, want)} {
				if out := p.Wait(t.Context()); out.Kind != protocol.Confirmed {
					t.Errorf("%s: got %v, want confirmed", want, out)
				}
			}
			rest("after " + want)
			if got := heard.Bodies(); len(got) != i+1 || got[i] != want {
				t.Errorf("got %q, want %q last", got, want)
			}
		}
		if err := a.Disconnect(t.Context(), b.ID()); err != nil {
			t.Fatal(err)
		}
		rest("after the end of the connection")
		if line := kit.LineOf(t, b, "services/plain/"+a.ID().String()); !strings.Contains(line, "out idle") {
			t.Errorf("the tree says %q after the end of the connection, want that nothing is open", line)
		}
	})
}
