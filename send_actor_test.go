package gamelan_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestSessionHearsOfSingleMessagesTogether has an actor send a message every 10 µs. Each is
// written at once and confirmed, but the session of the peer handles far fewer messages than
// that: it collects what was written.
func TestSessionHearsOfSingleMessagesTogether(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		net.Introduce(a, b)
		out, err := a.Send(t.Context(), b.ID(), []byte("first"))
		wantOutcome(t, "first", out, err, protocol.Confirmed, protocol.ReasonNone)

		var confirmed atomic.Int64
		type send struct{}
		sender := net.System.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case send:
				a.SendFrom(c, 1, b.ID(), []byte("hello"))
			case actors.Sent:
				if m.Outcome.Kind == protocol.Confirmed {
					confirmed.Add(1)
				}
			}
		}))
		processed := func() (n uint64) {
			t.Helper()
			all := inspect.FromRoot(a.Inspection().Tree(), a.System()).Actors()
			for _, i := range all {
				if strings.HasSuffix(i.ID, "services/plain/"+b.ID().String()) {
					return i.Processed
				}
			}
			t.Fatal("got no session in the tree")
			return 0
		}
		synctest.Wait()
		before := processed()
		const n = 1000
		for range n {
			net.System.Root.Send(sender, send{})
			synctest.Wait()
			time.Sleep(10 * time.Microsecond)
		}
		time.Sleep(time.Second)
		if got := confirmed.Load(); got != n {
			t.Errorf("got %d messages confirmed, want %d", got, n)
		}
		if got := processed() - before; got > n/4 {
			t.Errorf("the session handled %d messages for %d, want a report and a proof every 250 µs, about 120", got, n)
		}
	})
}
