package keyvalue

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// TestBubbleKadDialsAKnownContact asks a contact whose connection has ended. Its round-trip time was
// short, and the way to it is slow now: the request waits as long as one with a dial may.
//
// conforms: kad 35
func TestBubbleKadDialsAKnownContact(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net, nodes, clients := kadNetwork(t, 2)
		net.SetLinkBetween(nodes[0], nodes[1], memory.Link{Latency: 40 * time.Millisecond})
		time.Sleep(30 * time.Minute)
		known := func() kad.Known {
			list := clients[0].Known()
			if len(list) != 1 {
				t.Fatalf("got %d contacts, want one", len(list))
			}
			return list[0]
		}
		who := known()
		if who.RTT == 0 || who.RTT > 200*time.Millisecond {
			t.Fatalf("got a round-trip time of %v, want about 80 ms", who.RTT)
		}
		if err := nodes[0].Disconnect(t.Context(), nodes[1].ID()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		net.SetLinkBetween(nodes[0], nodes[1], memory.Link{Latency: 500 * time.Millisecond})
		begin := time.Now()
		if _, err := clients[0].Ping(t.Context(), who.Contact); err != nil {
			t.Errorf("got %v after %v, want an answer", err, time.Since(begin))
		}
		if took := time.Since(begin); took < 3*time.Second || took > 5*time.Second {
			t.Fatalf("got %v for a dial and a request, want 3 s to 5 s", took)
		}
		if got := known().Failures; got != 0 {
			t.Errorf("got %d failures of the contact, want none", got)
		}
	})
}
