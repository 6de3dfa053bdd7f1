package interop

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// A node of 6.2.0 bans for more than 1,000 messages in a minute. Of 2,000 that are
// sent to it at once it gets 900 in that time; the others end as not sent when
// their time is over, and so does all that comes before the minute is. Then the
// next goes out. Asked for, the test goes on for as long as the node takes to look
// twice at the pace of its own choice.
//
// conforms: dht 129; V 28
// feature: DHT: what we send is paced, so that they ban nobody
func TestOurPace(t *testing.T) {
	t.Parallel()
	const release, pace = "6.2.0", dht.DefaultPace
	long := os.Getenv("GAMELAN_INTEROP_LONG") != ""
	var often []string
	if !long {
		often = []string{"--dht-update-seconds", "2"} // instead of 120
	}
	m, p := startMember(t, gamelan.DHTConfig{}), startTariDHT(t, release, often...)
	reach(t, m, p, weDial)
	defer wantNoBans(t, []*member{m}, []*tari{p})
	begin := time.Now()
	got, late := submitAll(t, m, p, 2000, 30*time.Second), submitAll(t, m, p, 100, 10*time.Second)
	there := p.received(m.PublicKey()).Count
	if time.Since(begin) < dht.PaceWithin { // else the machine has stood still
		if got[protocol.Confirmed] != pace || got[protocol.Failed] != 2000-pace {
			t.Errorf("got %v, want %d confirmed and the others failed", got, pace)
		}
		if late[protocol.Failed] != 100 {
			t.Errorf("in the same minute: got %v, want all failed", late)
		}
		if there != pace {
			t.Errorf("got %d messages there, want %d", there, pace)
		}
	}
	for i := 0; ; i++ { // a message waits for a minute at most
		s, err := m.DHT().Send(t.Context(), dht.Message{To: dht.Direct{Peer: p.id}, Type: domainType, Body: numbered(pace, 100)})
		if err == nil && s.Count(protocol.Confirmed) == 1 {
			break
		}
		if err != nil || i == 3 {
			t.Fatalf("got %s, %v, want it sent after a minute", s.String(), err)
		}
	}
	if took := time.Since(begin); took < dht.PaceWithin {
		t.Errorf("got one more after %v, want it not within a minute", took)
	}
	for long && time.Since(begin) < 5*time.Minute {
		submitAll(t, m, p, 2000, dht.DefaultLimit)
		minutes := uint64(time.Since(begin)/dht.PaceWithin) + 1
		if n := p.received(m.PublicKey()).Count; n > minutes*pace {
			t.Errorf("got %d messages in minute %d, want at most %d", n, minutes, minutes*pace)
		}
	}
}

// Without the pace the same 2,000 messages are a flood to it: it bans us.
//
// feature: DHT: they ban for a flood
func TestTheirFloodBan(t *testing.T) {
	t.Parallel()
	const release = "6.2.0"
	m := startMember(t, gamelan.DHTConfig{SendPace: 5000})
	p := startTariDHT(t, release, "--dht-update-seconds", "2")
	reach(t, m, p, weDial)
	submitAll(t, m, p, 2000, dht.DefaultLimit)
	gamelantest.Eventually(t, connectLimit, "their ban", func() bool { return p.record(m.PublicKey()).Banned })
	if until, reason, ok := m.Peers().Banned(p.id); ok {
		t.Errorf("we banned them until %v: %s, want no ban", until, reason)
	}
}

// submitAll sends so many messages at once and counts their ends.
func submitAll(t *testing.T, m *member, p *tari, count int, limit time.Duration) map[protocol.OutcomeKind]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), connectLimit)
	defer cancel()
	var sent []*gamelan.Pending[dht.Report]
	for i := range count {
		s, err := m.DHT().Submit(ctx, dht.Message{To: dht.Direct{Peer: p.id}, Type: domainType, Body: numbered(uint64(i), 100), Limit: limit})
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		sent = append(sent, s)
	}
	ends := make(map[protocol.OutcomeKind]int)
	for i, s := range sent {
		r := s.Wait(ctx)
		if len(r.Copies) != 1 || !r.Ended() {
			t.Fatalf("message %d: got %s, want its end", i, r.String())
		}
		ends[r.Copies[0].Outcome.Kind]++
	}
	return ends
}
