package envelopes

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/dhtpart"
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

// TestBubblePing asks another node's application whether it is there.
//
// conforms: dht 138
func TestBubblePing(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		net.SetLink(kit.SlowLink)
		all := kit.Members(net, 2)
		net.Connect(all[0].Node, all[1].Node)
		if took, err := all[0].DHT().Ping(t.Context(), all[1].ID()); err != nil || took <= 0 {
			t.Errorf("ping: got %v, %v", took, err)
		}
		if _, err := all[0].DHT().Ping(t.Context(), identity.NodeID{1}); err == nil {
			t.Error("an unknown peer answered a ping")
		}
	})
}

// TestBubbleDHTPingRestart has the actor for pings die, and the node close, while
// a ping has no answer: whoever asked hears so at once.
func TestBubbleDHTPingRestart(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(a kit.Member)
		want error
	}{
		"crash": {func(a kit.Member) { gamelantest.Crash(a.Node.Node, "dht/pinger", "killed by the test") }, dhtpart.ErrPingLost},
		"close": {func(a kit.Member) { a.Close(context.Background()) }, gamelan.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				a, b := kit.StartMember(net, gamelan.Config{}, kit.Quiet), kit.StartMember(net, gamelan.Config{})
				net.Connect(a.Node, b.Node)
				net.Partition(a.Node, b.Node)
				defer net.Heal(a.Node, b.Node)
				time.AfterFunc(time.Second, func() { test.end(a) })
				if _, err := a.DHT().Ping(t.Context(), b.ID()); !errors.Is(err, test.want) {
					t.Errorf("got %v, want %v", err, test.want)
				}
			})
		})
	}
}
