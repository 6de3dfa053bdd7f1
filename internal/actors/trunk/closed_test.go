package trunk_test

import (
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
)

// TestClosedConnectionsAreSmall looks whether what is remembered of a connection
// keeps its session, with buffers and tables, or its actor.
func TestClosedConnectionsAreSmall(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(a, b)
		ref, _ := a.Connection(b.ID())
		session := weak.Make(ref.Link().Live.Session.Load())
		id, path := ref.ID, ref.PID.Id
		ref = nil //nolint:wastedassign // nothing of the test keeps the connection
		if err := a.Disconnect(t.Context(), b.ID()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		runtime.GC()
		runtime.GC()
		if session.Value() != nil {
			t.Error("got the session of a connection that has ended, want nothing left of it")
		}
		closed := nodetest.Trunk(a).Closed()
		if len(closed) != 1 || closed[0].Ref.ID != id || closed[0].Ref.PID.Id != path || closed[0].Ref.NumStreams() != 0 {
			t.Errorf("got %+v remembered, want the connection %d", closed, id)
		}
	})
}
