package messages

import (
	"fmt"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// TestBubbleFirstFullList sends from a node whose own protocol list is full, so that it does
// not list protocol.TakenMarker, to one that lists it: neither awaits an acceptance then.
//
// conforms: comms 147
func TestBubbleFirstFullList(t *testing.T) {
	for _, n := range []int{10, 18, 19} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				net.SetLink(memory.Link{Latency: 10 * time.Millisecond})
				heard := gamelantest.NewCollector()
				opts := []gamelan.Option{kit.Quiet, gamelan.WithHandler(gamelantest.NewCollector().New)}
				for i := range n {
					opts = append(opts, gamelan.WithProtocol(protocol.ID(fmt.Sprint("/p/", i)), func(*gamelan.Node) actor.Actor {
						return actor.ReceiveFunc(func(actor.Context) {})
					}))
				}
				from := net.Start(gamelan.Config{NoDHT: true}, opts...)
				to := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet, gamelan.WithHandler(heard.New))
				net.Connect(from, to)
				began := time.Now()
				out := kit.Enqueue(t, from, to, "first").Wait(t.Context())
				took := time.Since(began)
				if out.Kind != protocol.Confirmed {
					t.Errorf("got %v after %v, want confirmed; heard %q", out, took, heard.Bodies())
				}
				if listed := n < 19; listed != (took < 100*time.Millisecond) {
					t.Errorf("confirmed after %v, want less than 100 ms only where the marker fits into the list", took)
				}
			})
		})
	}
}
