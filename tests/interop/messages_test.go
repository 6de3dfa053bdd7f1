package interop

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// sizes of single messages: nothing, less than a number, and up to the largest
// frame.
var sizes = []int{0, 1, 1 << 10, 1 << 20, 8 << 20}

// Every size arrives as it was sent, both ways.
//
// conforms: comms 82
// feature: messages of 0 bytes to 8 MiB
func TestMessagesOfEverySize(t *testing.T) { bothWays(t, messagesOfEverySize) }

func messagesOfEverySize(t *testing.T, release string, who dialer) {
	n, p := pair(t, release, who)
	var bytes uint64
	ctx, cancel := context.WithTimeout(t.Context(), connectLimit)
	defer cancel()
	for i, size := range sizes {
		bytes += uint64(size)
		if out, err := n.Send(ctx, p.id, numbered(uint64(i), size)); err != nil || out.Kind != protocol.Confirmed {
			t.Fatalf("our message of %d bytes: got %v, %v, want confirmed", size, out, err)
		}
		if r, err := p.send(n.PublicKey(), batch{first: uint64(i), count: 1, size: size}); err != nil || r.Sent != 1 {
			t.Fatalf("their message of %d bytes: got %+v, %v, want 1 sent", size, r, err)
		}
	}
	check := func(where string, a arrived) {
		t.Helper()
		want := arrived{Count: uint64(len(sizes)), Bytes: bytes, Runs: []run{{2, 3}}}
		if a.Count != want.Count || a.Bytes != want.Bytes || a.Damaged != 0 || a.Short["0"] != 1 || a.Short["1"] != 1 || len(a.Runs) != 1 || a.Runs[0] != want.Runs[0] {
			t.Errorf("%s: got %s, want %s and one each of 0 and 1 bytes", where, &a, &want)
		}
	}
	gamelantest.Eventually(t, connectLimit, "all messages at the Tari node", func() bool { return p.received(n.PublicKey()).Count == uint64(len(sizes)) })
	gamelantest.Eventually(t, connectLimit, "all messages here", func() bool { return n.heard(p.id).Count == uint64(len(sizes)) })
	check("there", p.received(n.PublicKey()))
	check("here", n.heard(p.id))
}

// manyMessages is how many numbered messages go each way.
const manyMessages = 100_000

// All arrive once, in order, while as many go the other way.
//
// conforms: comms 85
// feature: 100,000 messages each way at once, none lost, in order
func TestHundredThousandMessagesEachWay(t *testing.T) {
	bothWays(t, func(t *testing.T, release string, who dialer) {
		n, p := pair(t, release, who)
		ctx, cancel := context.WithTimeout(t.Context(), answerLimit)
		defer cancel()
		begin := time.Now()
		theirs := make(chan error, 1)
		go func() {
			r, err := p.send(n.PublicKey(), batch{count: manyMessages, size: 32})
			if err == nil && r.Sent != manyMessages {
				err = errFailed(r)
			}
			theirs <- err
		}()
		got, err := n.sendAll(ctx, p.id, batch{count: manyMessages, size: 32})
		if err != nil || got.count[protocol.Confirmed] != manyMessages {
			t.Errorf("our outcomes: got %v, %v, want all confirmed", got, err)
		}
		if err := <-theirs; err != nil {
			t.Errorf("their messages: %v", err)
		}
		gamelantest.Eventually(t, connectLimit, "all messages there", func() bool { return p.received(n.PublicKey()).Count >= manyMessages })
		gamelantest.Eventually(t, connectLimit, "all messages here", func() bool { a := n.heard(p.id); return a.Count >= manyMessages })
		t.Logf("%d messages each way in %v", manyMessages, time.Since(begin).Round(time.Millisecond))
		there, here := p.received(n.PublicKey()), n.heard(p.id)
		there.wantAll(t, "there", 0, manyMessages)
		here.wantAll(t, "here", 0, manyMessages)
	})
}

type errFailed sendReport

func (e errFailed) Error() string {
	text := strconv.FormatUint(e.Sent, 10) + " sent"
	for reason, n := range e.Failed {
		text += ", " + strconv.FormatUint(n, 10) + " " + reason
	}
	return text
}
