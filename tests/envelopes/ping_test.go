package envelopes

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubblePingsRelayed has a node relay pings that another has sealed: they
// are not its own, and do not keep its own from being answered.
//
// conforms: dht 138
func TestBubblePingsRelayed(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		net.SetLink(kit.SlowLink)
		asPing := gamelan.WithSendLayer(dht.BeforeSelect, func(next dht.SendHandler) dht.SendHandler {
			return func(out *dht.Outgoing) error {
				out.Type = dht.TypePing
				return next(out)
			}
		})
		a := kit.StartMember(net, gamelan.Config{}, asPing)
		relay := kit.StartMember(net, gamelan.Config{})
		b := kit.StartMember(net, gamelan.Config{})
		net.Connect(a.Node, relay.Node)
		net.Connect(relay.Node, b.Node)
		for i := range 3 * dht.PongLimit {
			r := kit.Send(t, a, dht.Message{
				To: dht.Propagate{To: b.PublicKey()}, Type: kit.TextType, Encrypt: true,
				Body: wire.Ping{Nonce: uint64(i + 1)}.Append(nil),
			})
			if r.Count(protocol.Confirmed) != 1 {
				t.Fatalf("ping %d: %v", i, r.String())
			}
		}
		time.Sleep(time.Second)
		if _, err := relay.DHT().Ping(t.Context(), b.ID()); err != nil {
			t.Errorf("the ping of the one who has relayed them: %v", err)
		}
	})
}

// TestBubblePingsInARow asks as often as is answered, one after the other, and
// once more: that is refused at once.
//
// conforms: dht 138
func TestBubblePingsInARow(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		net.SetLink(kit.SlowLink)
		all := kit.Members(net, 2)
		net.Connect(all[0].Node, all[1].Node)
		begin := time.Now()
		for i := range dht.PongLimit {
			if _, err := all[0].DHT().Ping(t.Context(), all[1].ID()); err != nil {
				t.Fatalf("ping %d: %v", i, err)
			}
		}
		asked := time.Now()
		_, err := all[0].DHT().Ping(t.Context(), all[1].ID())
		if took := time.Since(asked); err == nil || took > time.Second {
			t.Errorf("one more: got %v after %v, want it refused", err, took)
		}
		if took := asked.Sub(begin); took > time.Minute {
			t.Errorf("took %v, want a burst", took)
		}
	})
}
