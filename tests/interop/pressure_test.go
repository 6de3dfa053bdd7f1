package interop

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// slowFor is how long a slow reader takes for what it is sent.
func slowFor() time.Duration {
	if os.Getenv("GAMELAN_INTEROP_LONG") != "" {
		return time.Minute
	}
	return 10 * time.Second
}

// perMessage is the time that a slow reader takes for one message.
const perMessage = 2 * time.Millisecond

// Their reader is slow: all that we send is confirmed and arrives in order.
//
// feature: a slow reader, theirs
func TestTheirSlowReader(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		n, p := pair(t, release, weDial)
		p.must("slow", args{"microseconds": perMessage.Microseconds()}, nil)
		count := uint64(slowFor() / perMessage)
		ctx, cancel := context.WithTimeout(t.Context(), 4*slowFor())
		defer cancel()
		got, err := n.sendAll(ctx, p.id, batch{count: count, size: 10_000})
		if err != nil || got.count[protocol.Confirmed] != count {
			t.Errorf("our outcomes: got %v, %v, want all confirmed", got, err)
		}
		gamelantest.Eventually(t, 4*slowFor(), "all messages there", func() bool { return p.received(n.PublicKey()).Count >= count })
		there := p.received(n.PublicKey())
		there.wantAll(t, "there", 0, count)
		noBan(t, n, p)
	})
}

// Ours is slow: all that they send arrives in order.
//
// feature: a slow reader, ours
func TestOurSlowReader(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		n, p := pair(t, release, theyDial)
		n.slow(perMessage)
		count := uint64(slowFor() / perMessage)
		r, err := p.send(n.PublicKey(), batch{count: count, size: 10_000})
		if err != nil || r.Sent != count {
			t.Errorf("their replies: got %v, %v, want %d sent", errFailed(r), err, count)
		}
		gamelantest.Eventually(t, 4*slowFor(), "all messages here", func() bool { return n.heard(p.id).Count >= count })
		here := n.heard(p.id)
		here.wantAll(t, "here", 0, count)
		noBan(t, n, p)
	})
}

// blockedFor is less than the 30 s after which a sender of 6.2.0 gives up.
const blockedFor = 20 * time.Second

// blockedMessages of blockedSize are more than every buffer between two nodes
// holds: 8 MiB of a window, and what waits at either side.
const (
	blockedMessages = 400
	blockedSize     = 100_000
)

// Their reader stands still for 20 s. We wait; what is sent after that arrives,
// in order, and the connection is the same. A message that stands at its
// consumer for 10 s is dropped by the node itself, which is why a few may be
// missing; none that we had not written before the pause ended is.
//
// feature: a reader blocked for 20 s, theirs
// note: 6.2.0: drops a message that waits for its consumer for 10 s
// note: 1.0.0-rc.5: drops a message that waits for its consumer for 10 s
func TestTheirBlockedReader(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		n, p := pair(t, release, weDial)
		before, _ := n.Connection(p.id)
		p.must("pause", nil, nil)
		go func() {
			time.Sleep(blockedFor)
			_ = p.ask("resume", nil, nil)
		}()
		ctx, cancel := context.WithTimeout(t.Context(), answerLimit)
		defer cancel()
		begin := time.Now()
		got, err := n.sendAll(ctx, p.id, batch{count: blockedMessages, size: blockedSize})
		if err != nil || got.count[protocol.Confirmed] != blockedMessages {
			t.Errorf("our outcomes: got %v, %v, want all confirmed", got, err)
		}
		if took := time.Since(begin); took < blockedFor-time.Second {
			t.Errorf("sending took %v, want it to wait for the blocked reader", took)
		}
		last := func(a arrived) uint64 {
			if len(a.Runs) == 0 {
				return 0
			}
			return a.Runs[len(a.Runs)-1].first + a.Runs[len(a.Runs)-1].n
		}
		gamelantest.Eventually(t, connectLimit, "the last message there", func() bool { return last(p.received(n.PublicKey())) == blockedMessages })
		there := p.received(n.PublicKey())
		there.wantOrder(t, "there")
		t.Logf("%d of %d arrived", there.Count, blockedMessages)
		if missing := blockedMessages - there.Count; missing > 8 {
			t.Errorf("there: got %s, want at most 8 missing", &there)
		}
		if after, ok := n.Connection(p.id); !ok || after.ID != before.ID {
			t.Error("the connection was replaced, want the same one")
		}
		noBan(t, n, p)
	})
}

// Our handler stands still for 20 s. Nothing of theirs fails or is lost, the
// connection stays and goes on serving everything else, and the tree shows who
// waits for what.
//
// conforms: V 13
// feature: a reader blocked for 20 s, ours
func TestOurBlockedHandler(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		n, p := pair(t, release, theyDial)
		// Until its substream is there, a node of 6.2.0 queues 8 MiB and no more.
		if r, err := p.send(n.PublicKey(), batch{count: 1, size: blockedSize}); err != nil || r.Sent != 1 {
			t.Fatalf("their reply to the first: got %v, %v, want it sent", errFailed(r), err)
		}
		unblock := n.block()
		defer unblock()
		replies := make(chan sendReport, 1)
		go func() {
			r, err := p.send(n.PublicKey(), batch{first: 1, count: blockedMessages - 1, size: blockedSize})
			if err != nil {
				t.Errorf("their send: %v", err)
			}
			replies <- r
		}()
		begin := time.Now()
		// The same connection serves other substreams meanwhile.
		for time.Since(begin) < blockedFor {
			ctx, cancel := context.WithTimeout(t.Context(), connectLimit)
			s, err := n.OpenStream(ctx, p.id, echoID)
			if err != nil {
				t.Errorf("open: %v", err)
			} else {
				echoed(t, s, 1000)
			}
			cancel()
			time.Sleep(time.Second)
		}
		if line := sessionLine(t, n, p.id); !strings.Contains(line, "stalled") {
			t.Errorf("the session in the tree: got %q, want it to say stalled", line)
		}
		unblock()
		if r := <-replies; r.Sent != blockedMessages-1 {
			t.Errorf("their replies: got %v, want %d sent", errFailed(r), blockedMessages-1)
		}
		gamelantest.Eventually(t, connectLimit, "all messages here", func() bool { return n.heard(p.id).Count >= blockedMessages })
		here := n.heard(p.id)
		here.wantAll(t, "here", 0, blockedMessages)
		noBan(t, n, p)
	})
}

// A sender of 6.2.0 gives a message up that was not taken for 30 s: its reply
// says so, and it goes on afterwards on the same connection.
//
// feature: a reader blocked for more than 30 s, ours
// note: 6.2.0: gives up what it had queued, and goes on
func TestOurHandlerBlockedForTooLong(t *testing.T) {
	t.Parallel()
	n, p := pair(t, "6.2.0", theyDial)
	unblock := n.block()
	defer unblock()
	r, err := p.send(n.PublicKey(), batch{count: blockedMessages, size: blockedSize, window: blockedMessages})
	if err != nil || r.Sent == blockedMessages {
		t.Errorf("their replies while our handler is blocked: got %v, %v, want some given up", errFailed(r), err)
	}
	t.Logf("while blocked: %v", errFailed(r))
	unblock()
	const first = 1_000_000
	gamelantest.Eventually(t, connectLimit, "a message that is sent", func() bool {
		r, err := p.send(n.PublicKey(), batch{first: first, count: 1, size: 100})
		return err == nil && r.Sent == 1
	})
	gamelantest.Eventually(t, connectLimit, "that message here", func() bool { return heardAll(n, p.id, first) })
	here := n.heard(p.id)
	here.wantOrder(t, "here")
	noBan(t, n, p)
}

func heardAll(n *ours, peer identity.NodeID, number uint64) bool {
	a := n.heard(peer)
	return a.times()[number] > 0
}

// sessionLine is what the messaging session with a peer says of itself.
func sessionLine(t *testing.T, n *ours, peer identity.NodeID) string {
	t.Helper()
	for _, i := range n.Inspection().Tree().Snapshot() {
		if strings.HasSuffix(i.Path, "/services/messaging/"+peer.String()) {
			d, err := n.Inspection().Tree().Inspect(t.Context(), i.Path)
			if err != nil {
				t.Fatal(err)
			}
			return d.Line
		}
	}
	t.Fatal("there is no messaging session")
	return ""
}
