package gamelan_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestCallerIsProvenAtOnce: the session collects a message for whose outcome a caller waits
// together with a batch of several that nobody waits for, because the caller's message was
// written before the session handled the report of the batch. Its proof is asked for at once.
func TestCallerIsProvenAtOnce(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var armed atomic.Bool
		held, release := make(chan struct{}), make(chan struct{})
		hold := func(path, at string) {
			if at == "messengers.wroteSome" && strings.Contains(path, "services/plain/") && armed.CompareAndSwap(true, false) {
				close(held)
				<-release
			}
		}
		a := net.Start(gamelan.Config{}, gamelan.WithFault(hold))
		b := net.Start(gamelan.Config{}, gamelan.WithHandler(gamelantest.NewCollector().New))
		net.Introduce(a, b)
		out, err := a.Send(t.Context(), b.ID(), []byte("first"))
		wantOutcome(t, "first", out, err, protocol.Confirmed, protocol.ReasonNone)
		time.Sleep(500 * time.Millisecond) // longer than a fresh substream's proof waits
		began := time.Now()
		out, err = a.Send(t.Context(), b.ID(), []byte("alone"))
		wantOutcome(t, "alone", out, err, protocol.Confirmed, protocol.ReasonNone)
		alone := time.Since(began)

		armed.Store(true)
		sender := net.System.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(string); ok {
				a.SendFrom(c, 1, b.ID(), []byte("from an actor"))
			}
		}))
		net.System.Root.Send(sender, "send") // written; the session is about to handle the report
		<-held
		net.System.Root.Send(sender, "send")
		net.System.Root.Send(sender, "send")
		synctest.Wait()
		began = time.Now()
		done := make(chan time.Duration)
		go func() {
			a.Send(t.Context(), b.ID(), []byte("a caller's"))
			done <- time.Since(began)
		}()
		synctest.Wait() // written
		close(release)
		if took := <-done; took > alone {
			t.Errorf("got the outcome after %v, want it after %v as for a caller's message alone", took, alone)
		}
	})
}
