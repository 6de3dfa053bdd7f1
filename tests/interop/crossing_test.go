package interop

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// crossings is how often both sides dial each other at once.
const crossings = 100

// Both dial at the same time and send: in each of 100 rounds one connection
// survives, the same at both sides; no message that was confirmed is missing,
// and with Resend none. It is not always the one that the smaller id dialled:
// either side cancels its dial when the other's is there first, they also when
// theirs had succeeded at our side.
//
// conforms: comms 115
// feature: both dial at once: one connection survives
func TestBothDialAtOnce(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Run("once", func(t *testing.T) {
			t.Parallel()
			dialAtOnce(t, release)
		})
		t.Run("resent", func(t *testing.T) {
			t.Parallel()
			dialAtOnce(t, release, gamelan.Resend())
		})
	})
}

func dialAtOnce(t *testing.T, release string, opts ...gamelan.SendOption) {
	n, p := startOurs(t, gamelan.Config{}), startTari(t, release)
	ctx, cancel := context.WithTimeout(t.Context(), 3*answerLimit)
	defer cancel()
	if _, err := n.Peers().AddSeed(ctx, p.seed()); err != nil {
		t.Fatal(err)
	}
	p.knowsNode(n.Node)
	const each = 5
	random := rand.New(rand.NewPCG(1, 2))
	var confirmed []uint64
	inbound := 0
	for round := range uint64(crossings) {
		ours, theirs := time.Duration(random.IntN(3000))*time.Microsecond, time.Duration(random.IntN(3000))*time.Microsecond
		var both sync.WaitGroup
		both.Go(func() {
			time.Sleep(ours)
			got, err := n.sendAll(ctx, p.id, batch{first: round * each, count: each, size: 32}, opts...)
			if err != nil || got.count[protocol.Failed] > 0 {
				t.Errorf("round %d: got %v, %v, want nothing failed", round, got, err)
			}
			for number, out := range got.of {
				if out.Kind == protocol.Confirmed {
					confirmed = append(confirmed, number)
				}
			}
		})
		both.Go(func() {
			time.Sleep(theirs)
			// The tie-break may cancel their dial: what counts is what is left.
			_ = p.ask("dial", args{"peer": n.PublicKey().String()}, nil)
		})
		both.Wait()
		if ref := survivor(t, n, p); ref.Direction == protocol.Inbound {
			inbound++
		}
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
		if err := n.Disconnect(ctx, p.id); err != nil {
			t.Fatal(err)
		}
		gamelantest.Eventually(t, connectLimit, "no connection at the Tari node", func() bool { return len(p.links()) == 0 })
	}
	received := p.received(n.PublicKey())
	times := received.times()
	for _, number := range confirmed {
		if times[number] == 0 {
			t.Errorf("message %d: confirmed and not received", number)
		}
	}
	if len(opts) > 0 && len(times) != crossings*each {
		t.Errorf("with Resend: got %d different messages, want %d", len(times), crossings*each)
	}
	t.Logf("%d messages, %d confirmed, %d received; of %d rounds %d ended with their connection", crossings*each, len(confirmed), len(times), crossings, inbound)
	noBan(t, n, p)
}

// survivor waits until each side has one connection, the same one, and it has
// been so for a moment: their dialler decides after ours has.
func survivor(t *testing.T, n *ours, p *tari) *gamelan.Connection {
	t.Helper()
	const steady = 5 // looks
	var last uint64
	same := 0
	for end := time.Now().Add(connectLimit); ; time.Sleep(10 * time.Millisecond) {
		links := p.links()
		ref, ok := n.Connection(p.id)
		if ok && len(links) == 1 && links[0].Direction != ref.Direction.String() {
			if ref.ID != last {
				last, same = ref.ID, 0
			}
			if same++; same == steady {
				return ref
			}
		} else {
			same = 0
		}
		if time.Now().After(end) {
			t.Fatalf("after %v: got %+v here and %+v there, want one connection, the same", connectLimit, ref, links)
		}
	}
}
