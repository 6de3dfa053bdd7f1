package dhtpart_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// TestDHTHeard has the part for a message of the DHT's own answer in each way. The message
// is relayed with its bytes unchanged, or counted towards a flood, and its credit goes back
// once.
func TestDHTHeard(t *testing.T) {
	relay := func(h dht.Heard) any { return dht.NewRelayHeard(h, dht.Propagate{To: h.Origin}) }
	ignore := func(h dht.Heard) any { return dht.NewIgnoreHeard(h) }
	for _, row := range []struct {
		name   string
		change func(*shardSettings)
		ask    func(dht.Heard) any
		joins  int
		relays int
		count  string
		effect string
	}{
		{"nothing", nil, func(dht.Heard) any { return nil }, 2, 0, "2 handled", ""},
		{"relayed", nil, relay, 2, 2, "2 handled", "relay, dht.Propagate; relay, dht.Propagate"},
		{
			"no forwarding, but of Joins", func(o *shardSettings) { o.DHT.NoForwarding = true }, relay, 2, 2,
			"2 handled", "relay, dht.Propagate; relay, dht.Propagate",
		},
		{"a client", func(o *shardSettings) { o.Base.Features = identity.FeatureNone }, relay, 1, 0, "1 handled", ""},
		{
			"over the byte limit", func(o *shardSettings) { o.DHT.RelayBytes = 150 }, relay, 2, 1,
			"2 handled, 1 for somebody else, over the byte limit", "relay, dht.Propagate",
		},
		{
			"a flood of what is ignored", func(o *shardSettings) { o.DHT.FloodLimit = 3 }, ignore, 3, 0,
			"3 handled", "ban of 10m0s",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShard(t, func(o *shardSettings) {
					o.DHT.Unreached = dht.NewUnreached()
					if row.change != nil {
						row.change(o)
					}
				})
				part := s.spawn("part", part[dht.Heard]{row.ask})
				s.Trunk.Provide(dht.ProviderOf(wire.TypeJoin), part)
				var sent []wire.Envelope
				for range row.joins {
					e := s.join()
					sent = append(sent, e)
					s.post(e.Append(nil))
				}
				relays := s.relays()
				if len(relays) != row.relays {
					t.Fatalf("got %d relayed, want %d", len(relays), row.relays)
				}
				for i, m := range relays {
					wantRelayed(t, m, sent[i])
				}
				if got := s.counted(); got != row.count {
					t.Errorf("got %q, want %q", got, row.count)
				}
				if got := s.effects(); got != row.effect {
					t.Errorf("got the effects %q, want %q", got, row.effect)
				}
				for _, m := range relays {
					m.End()
				}
				time.Sleep(time.Second)
				s.wantNoCredit()
			})
		})
	}
}

// TestDHTHeardAtTheEnd: a request that no inbound actor handles any more gives its credit
// back.
func TestDHTHeardAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShard(t, nil)
		var asked []any
		s.Trunk.Provide(dht.ProviderOf(wire.TypeJoin), s.spawn("part", part[dht.Heard]{func(h dht.Heard) any {
			asked = append(asked, dht.NewRelayHeard(h, dht.Broadcast{}))
			return nil
		}}))
		e := s.join()
		s.post(e.Append(nil))
		if s.account.Used() == 0 {
			t.Fatal("the request holds no credit")
		}
		asked[0].(interface{ Discard() }).Discard() // as the mailbox of an actor that has ended does
		s.wantNoCredit()
	})
}
