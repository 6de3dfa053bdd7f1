package network

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// distance is a link of 100 ms there and back that carries all that is sent.
var distance = memory.Link{Latency: 50 * time.Millisecond, Buffer: 8 << 20}

// TestBubbleSubstreamAtADistance: a substream carries three quarters of its window in each
// round trip or more.
func TestBubbleSubstreamAtADistance(t *testing.T) {
	const trips = 30
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		net.SetLink(distance)
		var read atomic.Int64
		from := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet)
		to := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet, gamelan.WithProtocol("test/sink/1", func(*gamelan.Node) actor.Actor { return &sink{read: &read} }))
		net.Connect(from, to)
		s, err := from.OpenStream(t.Context(), to.ID(), "test/sink/1")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				if _, err := s.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}()
		time.Sleep(time.Second)
		before := read.Load()
		time.Sleep(trips * 100 * time.Millisecond)
		if got := read.Load() - before; got < trips*3/4<<20 {
			t.Errorf("got %d bytes in %d round trips, want %d or more", got, trips, trips*3/4<<20)
		}
		s.Close()
		synctest.Wait()
	})
}

// sink reads all that comes on its substreams.
type sink struct{ read *atomic.Int64 }

func (a *sink) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case actors.SubstreamOpened:
		s, ok := m.Stream.Take()
		if !ok {
			return
		}
		supervisor.Go(c, "read", s, func(context.Context) error {
			_, err := io.Copy(a, s)
			return err
		})
	case supervisor.TaskDone:
	default:
		supervisor.Unhandled(c)
	}
}

// Write counts bytes.
func (a *sink) Write(b []byte) (int, error) {
	a.read.Add(int64(len(b)))
	return len(b), nil
}
