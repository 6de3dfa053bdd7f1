package interop

import (
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// The network cuts the connection while messages are under way: what is in doubt
// then is sent again on the next one, with the same bytes, so that all are
// confirmed and each is delivered once.
//
// feature: DHT: the network cuts the connection under load, nothing lost and nothing twice
func TestDHTCut(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		toThem := newProxy(t)
		nowhere := newProxy(t) // so they cannot dial us past the proxy to them
		m := startMemberAs(t, gamelan.Config{PublicAddresses: []string{nowhere.multiaddr()}, DHT: &gamelan.DHTConfig{SendPace: 5000}, StoreForward: gamelan.StoreForwardConfig{NoRequests: true}})
		p := startTariDHT(t, release, "--public", toThem.multiaddr(), "--dht-flood-limit", "100000")
		toThem.to(p.tcp())
		if _, err := m.Peers().AddSeed(t.Context(), p.key.String()+"::"+toThem.multiaddr()); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Dial(t.Context(), p.id); err != nil {
			t.Fatal(err)
		}
		defer wantNoBans(t, []*member{m}, []*tari{p})
		const count, size = 3000, 2000
		const part = count * size / (cuts + 1)
		toThem.CutAt(part, 2*part, 3*part, 4*part, 5*part)
		var sent []*gamelan.Pending[dht.Report]
		for i := range uint64(count) {
			s, err := m.DHT().Submit(t.Context(), dht.Message{
				To: dht.Direct{Peer: p.id}, Type: domainType, Body: numbered(i, size), Sign: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			sent = append(sent, s)
		}
		again := 0
		for i, s := range sent {
			r := s.Wait(t.Context())
			if r.Count(protocol.Confirmed) != 1 {
				t.Errorf("message %d: got %s, want it confirmed", i, r.String())
			}
			again += r.Copies[0].Tries - 1
		}
		if left := toThem.CutsLeft(); left > 0 || again < cuts {
			t.Errorf("got %d messages sent again and %d cuts too few, want one for each of %d cuts at least", again, left, cuts)
		}
		t.Logf("%d sent again", again)
		gamelantest.Eventually(t, connectLimit, "all of them there", func() bool { return p.countOf(m.PublicKey()) >= count })
		there := p.received(m.PublicKey())
		if there.Count != count || there.Damaged != 0 {
			t.Errorf("got %s, want %d messages", &there, count)
		}
		for number, n := range there.times() {
			if n != 1 || number >= count {
				t.Errorf("got message %d %d times, want once", number, n)
			}
		}
	})
}
