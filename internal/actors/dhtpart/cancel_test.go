package dhtpart_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
)

// TestCancelControl cancels a message of the DHT itself to a peer that is away, before the actor
// has begun to send it and while it waits for a connection: its sender hears of its end at once,
// and it holds no credit. A second cancellation does nothing.
func TestCancelControl(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		n, away := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}}), net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}})
		net.Connect(n, away)
		net.Partition(n, away)
		net.Cut(n, away)
		time.Sleep(time.Second)
		trunk := nodetest.Trunk(n)
		sender, ok := trunk.Trunk.Provider(dht.Sender)
		if !ok {
			t.Fatal("got no actor that sends")
		}
		for _, wait := range []time.Duration{0, 3 * time.Second} {
			id := trunk.Trunk.NewID()
			began := time.Now()
			ended := n.System().Root.RequestFuture(sender, dht.SendControl{ID: id, Message: dht.Control{
				Type: wire.TypeStoredRequest, To: dht.Direct{Peer: away.ID()}, Part: make([]byte, 1000), Limit: 20 * time.Second,
			}}, time.Hour)
			time.Sleep(wait)
			for range 2 {
				n.System().Root.Send(sender, dht.CancelControl{ID: id})
			}
			got, err := ended.Result()
			if m, ok := got.(dht.Sent); err != nil || !ok || m.ID != id || !m.Report.Ended() || time.Since(began) != wait {
				t.Errorf("cancelled after %v: got %+v, %v after %v, want it ended at once", wait, got, err, time.Since(began))
			}
			synctest.Wait()
			if _, _, used, _ := trunk.Credit(); used != 0 {
				t.Errorf("cancelled after %v: got %d bytes of credit held, want none", wait, used)
			}
		}
	})
}
