package gamelan_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestCloseKeepsWhatIsConfirmed closes a node with an inbox while a peer sends: all that was
// confirmed is kept.
func TestCloseKeepsWhatIsConfirmed(t *testing.T) {
	for round := range 20 {
		gamelantest.Bubble(t, func(t *testing.T) {
			net := gamelantest.NewNetwork(t)
			a, b := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}))
			net.Connect(a, b)
			var confirmed, others atomic.Uint64
			var senders sync.WaitGroup
			for range 50 {
				senders.Go(func() {
					for {
						out, err := a.Send(t.Context(), b.ID(), []byte("a message"))
						switch {
						case err != nil:
							t.Error(err)
							return
						case out.Kind != protocol.Confirmed:
							others.Add(1)
							return
						}
						confirmed.Add(1)
						time.Sleep(time.Millisecond)
					}
				})
			}
			time.Sleep(time.Duration(10+round) * time.Millisecond)
			began := time.Now()
			if err := b.Close(context.Background()); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("Close took %v of virtual time, although the handler is quick", took)
			}
			senders.Wait()
			if kept := uint64(b.Inbox().Status().Messages); kept < confirmed.Load() || others.Load() != 50 {
				t.Errorf("got %d confirmed, %d other outcomes, %d kept; want all confirmed ones kept", confirmed.Load(), others.Load(), kept)
			}
		})
	}
}
