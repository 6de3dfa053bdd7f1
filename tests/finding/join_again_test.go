package finding

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleJoinAgain has a node get online before the actor runs that sends its messages:
// the Join that could not be sent is sent later.
func TestBubbleJoinAgain(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		b := net.Start(gamelan.Config{})
		key := gamelantest.Secret(2).PublicKey()
		seed, err := peerstore.ParseSeed(key.String() + "::/memory/2")
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Peers().Add(t.Context(), seed); err != nil {
			t.Fatal(err)
		}
		connected := make(chan time.Time, 1)
		go func() {
			for {
				time.Sleep(50 * time.Millisecond)
				if _, err := b.Dial(t.Context(), key.NodeID()); err == nil {
					connected <- time.Now()
					return
				}
			}
		}()
		var panics atomic.Int32
		var last atomic.Pointer[time.Time]
		a := net.Start(gamelan.Config{Floor: 1}, gamelan.WithFault(func(path, point string) {
			if strings.HasSuffix(path, "/node/dht/outbound") && panics.Add(1) <= 4 {
				now := time.Now()
				last.Store(&now)
				panic("not yet")
			}
		}), kit.Quiet)
		at := <-connected
		time.Sleep(time.Minute)
		if !at.Before(*last.Load()) {
			t.Fatalf("connected at %v, want before %v", at, *last.Load())
		}
		if j := a.DHT().Network().Join; j.Confirmed != 1 || j.Error != "" {
			t.Errorf("got %+v, want a Join that one node has", j)
		}
		if j := b.DHT().Network().Join; j.Heard != 1 {
			t.Errorf("got %+v, want one Join heard", j)
		}
	})
}
