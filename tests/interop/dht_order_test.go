package interop

import (
	"fmt"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Hundreds of messages both ways at once, signed and encrypted: each arrives
// once, undamaged and in order. Ours stay below the pace.
//
// feature: DHT: many messages both ways at once, none lost, in order
// note: 6.2.0: has to be told to work on one message at a time, it swaps them otherwise
// note: 1.0.0-rc.5: has to be told to work on one message at a time, it swaps them otherwise, also when more wait than it queues
func TestDHTOrder(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		m, p := startMember(t, gamelan.DHTConfig{}), startTariDHT(t, release, "--dht-tasks", "1")
		reach(t, m, p, weDial)
		defer wantNoBans(t, []*member{m}, []*tari{p})
		// With more requests than rc.5 queues it takes them in another order, also
		// among its own.
		const ours, theirs, size, window = 400, 1500, 500, 10
		key := m.PublicKey()
		var first, heard uint64
		for _, seal := range seals[1:] {
			ended := make(chan error, 1)
			go func() {
				r, err := p.postBatch(letter{to: "key", key: &key, reader: &key, seal: seal, messageType: domainType},
					batch{first: heard, count: theirs, size: size, window: window})
				if err == nil && r.Sent != theirs {
					err = fmt.Errorf("got %+v, want all %d sent", r, theirs)
				}
				ended <- err
			}()
			var sent []*gamelan.Pending[dht.Report]
			for i := range uint64(ours) {
				s, err := m.DHT().Submit(t.Context(), dht.Message{
					To: dht.Direct{Peer: p.id}, Type: domainType, Body: numbered(first+i, size),
					Destination: p.key, Sign: seal == "signed", Encrypt: seal == "encrypted",
				})
				if err != nil {
					t.Fatal(err)
				}
				sent = append(sent, s)
			}
			for i, s := range sent {
				if r := s.Wait(t.Context()); r.Count(protocol.Confirmed) != 1 {
					t.Errorf("%s, our message %d: got %s, want it confirmed", seal, i, r.String())
				}
			}
			if err := <-ended; err != nil {
				t.Errorf("%s, their messages: %v", seal, err)
			}
			first, heard = first+ours, heard+theirs
			gamelantest.Eventually(t, connectLimit, "all of ours there", func() bool { return p.countOf(key) >= first })
			gamelantest.Eventually(t, connectLimit, "all of theirs here", func() bool { return uint64(m.heard.Len()) >= heard })
		}
		there := p.received(key)
		there.wantAll(t, "there", 0, first)
		var here arrived
		for _, d := range m.heard.Delivered() {
			here.add(d.Body)
		}
		here.wantAll(t, "here", 0, heard)
	})
}
