package interop

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
)

// We pass bursts on between Tari nodes, also to one that has just connected and
// to ones that would ban us for more than 1,000 messages in a minute: nothing is
// lost. The other way round the same bursts go through a node of 6.2.0.
//
// conforms: V 13, 15, 28
// feature: DHT: we relay bursts of what they encrypted for another
func TestWeRelayBursts(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		for _, b := range []batch{{count: 10, size: 126_000}, {count: 1000, size: 5_900}, {count: 40, size: 200_000}, {count: 2, size: 1_000_000}} {
			t.Run(fmt.Sprintf("%d of %d bytes", b.count, b.size), func(t *testing.T) {
				t.Parallel()
				m := startMember(t, gamelan.DHTConfig{})
				a, c := startTariDHT(t, release), startTariDHT(t, release)
				reach(t, m, a, weDial)
				reach(t, m, c, weDial)
				defer wantNoBans(t, []*member{m}, []*tari{a, c})
				// A window of all: the burst comes at once.
				b.window = int(b.count)
				r, err := a.postBatch(letter{to: "propagate", peer: c, seal: "encrypted", messageType: domainType}, b)
				// What the sender has no room for in its own queue it does not send.
				if err != nil || r.Sent+r.Failed["The outbound queue for the peer is full"] != b.count || r.Sent < b.count/2 {
					t.Fatalf("got %+v, %v, want all sent", r, err)
				}
				wantAll(t, m, c, r.Sent)
			})
		}
	})
}

// What members of ours send through each other in bursts arrives whole, too.
//
// feature: DHT: bursts between their node and ours through ours
func TestWeRelayOurBursts(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		a, m, c := startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{}), startTariDHT(t, release)
		join(t, m, a)
		reach(t, m, c, weDial)
		defer wantNoBans(t, []*member{a, m}, []*tari{c})
		const n = 1000
		var all []*gamelan.Pending[dht.Report]
		for i := range n {
			s, err := a.DHT().Submit(t.Context(), dht.Message{
				To: dht.Propagate{To: c.key}, Encrypt: true, Type: domainType, Body: numbered(uint64(i), 5_900),
			})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		for _, s := range all {
			s.Wait(t.Context())
		}
		gamelantest.Eventually(t, burstLimit, "all messages", func() bool { return c.received(m.PublicKey()).Count == n })
	})
}

// burstLimit is more than the pace lets a thousand messages take.
const burstLimit = 2 * time.Minute

// wantAll waits for so many messages that the member brought.
func wantAll(t *testing.T, m *member, to *tari, count uint64) {
	t.Helper()
	end := time.Now().Add(burstLimit)
	for time.Now().Before(end) && to.received(m.PublicKey()).Count < count {
		time.Sleep(50 * time.Millisecond)
	}
	if got := to.received(m.PublicKey()).Count; got != count {
		var lines []string
		for _, n := range nodetest.DHT(m).Counts() {
			lines = append(lines, n.Reason.String())
		}
		slices.Sort(lines)
		t.Errorf("got %d of %d there, want all; in the middle: %v", got, count, lines)
	}
}
