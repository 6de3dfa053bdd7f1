package messages

import (
	"bytes"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
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
