package messages

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// TestBubbleMessageSizes sends bodies around every size at which something
// changes: of the frame reader's buffers, of the steps in which a body is
// allocated, of a Noise frame, of a peer's credit and of a message at most.
//
// conforms: comms 82
func TestBubbleMessageSizes(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		net.Connect(a, b)
		sizes := []int{0, 1, 4 << 10, 32 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 65519, 128<<10 + 1, 256 << 10, 1<<20 - 256, 1 << 20, 8 << 20}
		for i, size := range sizes {
			body := bytes.Repeat([]byte{byte(i + 1)}, size)
			out, err := a.Send(t.Context(), b.ID(), body)
			if err != nil || out.Kind != protocol.Confirmed {
				t.Fatalf("%d bytes: got %v, %v, want confirmed", size, out, err)
			}
			gamelantest.Eventually(t, time.Minute, "the message", func() bool { return heard.Len() == i+1 })
			if got := heard.Messages()[i].Body; !bytes.Equal(got, body) {
				t.Errorf("%d bytes: got %d other bytes, want those that were sent", size, len(got))
			}
		}
		// All credit is back.
		gamelantest.Eventually(t, time.Minute, "no credit in use", func() bool {
			used, _, _, _ := nodetest.Trunk(b).Credit()
			return used == 0
		})
	})
}

// TestBubbleSizesWithID: a message with an id leaves room for its head, and for that of a copy. One without that room is refused at
// once, unless it may go as a plain one: the peer is of another make, or the node itself.
func TestBubbleSizesWithID(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		a, b := net.Start(gamelan.Config{}, gamelan.WithMessages(heard.Hear)), net.Start(gamelan.Config{}, gamelan.WithMessages(heard.Hear))
		other := net.Start(gamelan.Config{}, gamelan.WithMessages(heard.Hear))
		net.Connect(a, b)
		net.Connect(a, other)
		kit.TakeFor(t, a, other, "myapp/1.0")
		body := make([]byte, 8<<20)
		const limit = 8<<20 - outcomes.MaxHead
		send := func(to *gamelantest.Node, size int, o ...gamelan.SendOption) gamelan.Outcome {
			out, err := a.Send(t.Context(), to.ID(), body[:size], o...)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		for name, o := range map[string]gamelan.SendOption{
			"handled": gamelan.Handled(), "kept": gamelan.Kept(), "topic": gamelan.To("jobs"), "resend": gamelan.Resend(),
		} {
			for _, size := range []int{limit + 1, 8 << 20} {
				out := send(b, size, o, gamelan.Until(time.Hour))
				if out.Kind != protocol.Failed || out.Reason != protocol.TooLong || !strings.Contains(out.String(), "at most 8,388,488 bytes") {
					t.Errorf("%s, %d bytes: got %v, want it to fail: too long", name, size, out)
				}
			}
		}
		for name, o := range map[string]gamelan.SendOption{"handled": gamelan.Handled(), "resend": gamelan.Resend()} {
			if out := send(b, limit, o); out.Kind != protocol.Confirmed {
				t.Errorf("%s, %d bytes: got %v, want it confirmed", name, limit, out)
			}
		}
		if out := send(a, 8<<20, gamelan.Handled()); out.Kind != protocol.Confirmed {
			t.Errorf("to itself: got %v, want it confirmed", out)
		}
		if out := send(other, 8<<20, gamelan.Resend()); out.Kind != protocol.Confirmed {
			t.Errorf("to a node of another make: got %v, want it confirmed", out)
		}
	})
}

// TestBubbleLargestCopy: the longest message with an id is sent again, whenever its connection is lost before the answer.
func TestBubbleLargestCopy(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithMessages(heard.Hear))
		net.Connect(a, b)
		net.SetLinkBetween(a, b, memory.Link{Latency: 100 * time.Millisecond})
		body := make([]byte, 8<<20-outcomes.MaxHead)
		const cuts = 20
		for i := range cuts {
			p, err := a.Submit(t.Context(), b.ID(), body, gamelan.Handled(), gamelan.Until(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(i) * 50 * time.Millisecond)
			net.Cut(a, b)
			if out := p.Wait(t.Context()); out.Kind != protocol.Confirmed {
				t.Errorf("cut after %v: got %v, want it handled", time.Duration(i)*50*time.Millisecond, out)
			}
		}
		if n := heard.Len(); n != cuts {
			t.Errorf("got %d handled, want %d", n, cuts)
		}
	})
}
