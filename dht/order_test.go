package dht_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestOrder has one peer's session take messages in order, have no room at times,
// end at times, and lose its connection at times, which is there again at once.
// First copies of messages arrive in the order in which the messages were sent.
func TestOrder(t *testing.T) {
	total := 0
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		d := newDesk(t, villagers, func(o *dht.OutboundOptions) { o.Window, o.Pace = 1<<(9+r.IntN(6)), 10+r.IntN(200) })
		d.paced[idOf("a")] = seed%2 == 0
		room := 1 + r.IntN(8)
		var session []dht.Write
		var arrived []uint64
		got := map[uint64]bool{}
		arrive := func(w dht.Write) {
			n := numberOf(t, w.Frame)
			if got[n] {
				return
			}
			if got[n] = true; len(arrived) > 0 && arrived[len(arrived)-1] > n {
				t.Fatalf("seed %d: got message %d after %d", seed, n, arrived[len(arrived)-1])
			}
			arrived = append(arrived, n)
		}
		var take func()
		take = func() {
			var refused []dht.Write
			for _, w := range d.writes {
				if len(session) < room && len(refused) == 0 {
					session = append(session, w)
				} else {
					refused = append(refused, w)
				}
			}
			for _, w := range refused {
				d.settle(w, overloaded)
				take()
			}
		}
		sent := uint64(0)
		for sent < 400 {
			switch r.IntN(10) {
			case 0, 1, 2, 3:
				sent++
				d.send(plain("a", sent))
				take()
			case 4, 5, 6, 7:
				if len(session) > 0 {
					w := session[0]
					session = session[1:]
					arrive(w)
					d.settle(w, confirmed)
					take()
				}
			case 8:
				if r.IntN(5) > 0 {
					break
				}
				lostWith, read := session, r.IntN(len(session)+1)
				session = nil
				written := read + r.IntN(len(lostWith)-read+1)
				for i, w := range lostWith {
					if i < read {
						arrive(w)
					}
					o := protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Closed}
					if i < written {
						o = lost
					}
					d.settle(w, o)
					take()
				}
				d.connected("a")
				take()
			case 9:
				for end := d.now.Add(time.Duration(r.IntN(300)) * time.Millisecond); ; {
					if d.wake.IsZero() || d.wake.After(end) {
						d.now = end
						break
					}
					d.now = d.wake
					d.wakeUp()
					take()
				}
			}
		}
		total += len(arrived)
		d.nothing()
	}
	if total < 10_000 {
		t.Errorf("got %d of 40,000 messages arrived, want more to see their order", total)
	}
}
