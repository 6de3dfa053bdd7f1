package envelopes

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// burst sends n sealed messages of that size at once, from one node to another
// that only a third is connected to, and waits until the third has all of them.
func burst(t *testing.T, from, to kit.Member, n, size int) {
	t.Helper()
	all := make(chan dht.Report, n)
	for i := range n {
		body := bytes.Repeat([]byte{byte(i)}, size)
		binary.BigEndian.PutUint32(body, uint32(i))
		m := dht.Message{To: dht.Propagate{To: to.PublicKey()}, Type: kit.TextType, Body: body, Encrypt: true}
		s, err := from.DHT().Submit(t.Context(), m)
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		go func() { all <- s.Wait(t.Context()) }()
	}
	for range n {
		if r := <-all; r.Count(protocol.Confirmed) != 1 {
			t.Fatalf("got %v, want it confirmed by the node in the middle", r.String())
		}
	}
}

// wantBurst checks that each message of a burst was heard once.
func wantBurst(t *testing.T, to kit.Member, n int) {
	t.Helper()
	synctest.Wait()
	seen := make(map[uint32]int)
	for _, d := range to.Heard.Delivered() {
		seen[binary.BigEndian.Uint32(d.Body)]++
	}
	if len(seen) != n || to.Heard.Len() != n {
		t.Errorf("got %d messages of %d, %d in all, want each once", len(seen), n, to.Heard.Len())
	}
}

// TestBubbleRelayBursts sends bursts through a node to one of ours, and to one
// that takes at most 900 messages in any 60 s: all of them arrive.
//
// conforms: V 13, 28
func TestBubbleRelayBursts(t *testing.T) {
	for _, agent := range []string{"", "myapp/1.0"} {
		for _, b := range []struct{ n, size int }{{10, 126_000}, {1000, 5900}, {40, 200_000}, {2, 700_000}} {
			t.Run(fmt.Sprintf("%d of %d bytes %s", b.n, b.size, agent), func(t *testing.T) {
				gamelantest.Bubble(t, func(t *testing.T) {
					net := gamelantest.NewNetwork(t)
					all := kit.Members(net, 3)
					net.Connect(all[0].Node, all[1].Node)
					net.Connect(all[1].Node, all[2].Node)
					if agent != "" {
						kit.TakeFor(t, all[1].Node, all[2].Node, agent)
					}
					burst(t, all[0], all[2], b.n, b.size)
					time.Sleep(50 * time.Second)
					if got := all[2].Heard.Len(); agent != "" && got > dht.DefaultPace {
						t.Errorf("got %d messages within 50 s, want at most %d", got, dht.DefaultPace)
					}
					time.Sleep(25 * time.Second)
					wantBurst(t, all[2], b.n)
					kit.WantNoCredit(t, all[0].Node, all[1].Node, all[2].Node)
				})
			})
		}
	}
}
