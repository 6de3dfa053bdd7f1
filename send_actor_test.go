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
		if got := processed() - before; got > n/10 {
			t.Errorf("the session handled %d messages for %d, want a report and a proof every 1 ms, about 40", got, n)
		}
	})
}

// TestFirstMessageAfterAPauseIsProvenAtOnce has an actor send two messages after a pause: the
// outcome of the first comes without a delay, and that of the second 1 ms after the first's
// proof was asked for, or 250 µs if it takes much of the credit.
func TestFirstMessageAfterAPauseIsProvenAtOnce(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithHandler(gamelantest.NewCollector().New))
		net.Introduce(a, b)
		out, err := a.Send(t.Context(), b.ID(), []byte("first"))
		wantOutcome(t, "first", out, err, protocol.Confirmed, protocol.ReasonNone)

		var body []byte
		took := make(chan time.Duration, 1)
		sender := net.System.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case time.Time:
				a.SendFrom(c, uint64(m.UnixNano()), b.ID(), body)
			case actors.Sent:
				took <- time.Since(time.Unix(0, int64(m.ID)))
			}
		}))
		for n, second := range []time.Duration{time.Millisecond, 250 * time.Microsecond, time.Millisecond} {
			time.Sleep(10 * time.Millisecond)
			body = make([]byte, 1+n%2*16<<10)
			for i, want := range []time.Duration{0, second} {
				net.System.Root.Send(sender, time.Now())
				if got := <-took; got != want {
					t.Errorf("message %d after a pause: got its outcome after %v, want %v", i+1, got, want)
				}
			}
		}
	})
}
