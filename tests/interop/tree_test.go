package interop

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestFromTree runs against the release that is not published. It exists where a source tree of
// that release is named.
func TestFromTree(t *testing.T) {
	for _, who := range []dialer{weDial, theyDial} {
		t.Run("connect, "+string(who), func(t *testing.T) { connectAndIdentity(t, unpublished, who) })
		t.Run("messages of every size, "+string(who), func(t *testing.T) { messagesOfEverySize(t, unpublished, who) })
	}
	t.Run("it hears a peer once", hearsOnce)
}

// hearsOnce has the Tari node end a connection on which it heard us. That release then resets each
// later substream of ours until it restarts. Our messages fail for that reason and not as a dial,
// status names the peer, and other peers are served.
func hearsOnce(t *testing.T) {
	n, p := pair(t, unpublished, weDial)
	other := startTari(t, releases[0])
	connect(t, n, other, weDial)
	ctx, cancel := context.WithTimeout(t.Context(), answerLimit)
	defer cancel()
	send := func(to *tari) gamelan.Outcome {
		t.Helper()
		out, err := n.Send(ctx, to.id, numbered(0, 32))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if out := send(p); out.Kind != protocol.Confirmed {
		t.Fatalf("before: got %v, want confirmed", out)
	}
	p.must("disconnect", args{"peer": n.PublicKey().String()}, nil)
	gamelantest.Eventually(t, connectLimit, "the end of the connection", func() bool { _, ok := n.Connection(p.id); return !ok })
	connect(t, n, p, weDial)
	deaf, err := n.Submit(ctx, p.id, numbered(1, 32))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if out := send(other); out.Kind != protocol.Confirmed {
		t.Errorf("another peer: got %v, want confirmed", out)
	}
	t.Logf("another peer was served within %v", time.Since(began))
	if out := deaf.Wait(ctx); out.Kind == protocol.Confirmed || out.Kind == protocol.Failed && out.Reason != gamelan.NotTaken {
		t.Errorf("got %v, want failed: %v", out, gamelan.NotTaken)
	}
	warned := false
	for _, w := range n.Inspection().Node(ctx).Warnings.Texts() {
		warned = warned || strings.Contains(w, p.id.String())
	}
	if !warned {
		t.Error("got no warning that names the peer")
	}
	p.kill()
	p.start()
	connect(t, n, p, weDial)
	if out := send(p); out.Kind != protocol.Confirmed {
		t.Errorf("after its restart: got %v, want confirmed", out)
	}
	noBan(t, n, p)
}
