package envelopes

import (
	"context"
	"encoding/binary"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// counter checks that the numbers of each sender come in order.
type counter struct {
	mu   sync.Mutex
	last map[identity.NodeID]uint64
	bad  int
	n    int
}

func (k *counter) Receive(c actor.Context) {
	m, ok := c.Message().(dht.Received)
	if !ok {
		return
	}
	n := binary.BigEndian.Uint64(m.Body)
	k.mu.Lock()
	defer k.mu.Unlock()
	if n != k.last[m.Peer]+1 {
		k.bad++
	}
	k.last[m.Peer] = n
	k.n++
}

// TestDHTOrderUnderLoad has several nodes send to one at once over loopback TCP,
// as fast as they are let: in clear, signed and encrypted, small and large. All
// arrive, and those of each sender in order.
func TestDHTOrderUnderLoad(t *testing.T) {
	senders, each := 3, 600
	if os.Getenv("GAMELAN_LONG") != "" && !kit.RaceEnabled {
		each = 3000
	}
	start := func(opts ...gamelan.Option) *gamelan.Node {
		n, err := gamelan.Start(t.Context(), gamelan.Config{DHT: &gamelan.DHTConfig{Shards: 2}, Floor: gamelan.NoFloor}, append(opts, kit.Quiet)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close(context.Background()) })
		return n
	}
	k := &counter{last: make(map[identity.NodeID]uint64)}
	to := start(gamelan.WithType(kit.TextType, func(*gamelan.Node) actor.Actor { return k }))
	var wg sync.WaitGroup
	for range senders {
		from := start()
		seed, err := peerstore.ParseSeed(to.Seed())
		if err != nil {
			t.Fatal(err)
		}
		if err := from.Peers().Add(t.Context(), seed); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			var all []*gamelan.Pending[dht.Report]
			for i := range each {
				body := make([]byte, 8+i%7*500)
				binary.BigEndian.PutUint64(body, uint64(i+1))
				s, err := from.DHT().Submit(t.Context(), dht.Message{
					To: dht.DirectKey{Key: to.PublicKey()}, Type: kit.TextType, Body: body, Sign: i%3 == 1, Encrypt: i%3 == 2,
				})
				if err != nil {
					t.Errorf("message %d: %v", i, err)
					return
				}
				all = append(all, s)
			}
			for i, s := range all {
				if r := s.Wait(t.Context()); r.Count(protocol.Confirmed) != 1 {
					t.Errorf("message %d: got %v, want confirmed", i, r.String())
					return
				}
			}
		})
	}
	wg.Wait()
	gamelantest.Eventually(t, time.Minute, "all messages to be heard", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.n >= senders*each
	})
	if k.bad > 0 || k.n != senders*each {
		t.Errorf("got %d messages, %d out of order, want %d in order", k.n, k.bad, senders*each)
	}
}
