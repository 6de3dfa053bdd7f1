package finding

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleAnnouncementsAreBounded has a peer send more Joins in a second than a node
// verifies of one source: those beyond are dropped before their signatures are verified, and the
// peer's other messages go on. Joins of another peer are verified.
func TestBubbleAnnouncementsAreBounded(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		victim := kit.StartMember(net, gamelan.Config{NodeCredit: 8 << 20})
		evil, friend := kit.StartMember(net, gamelan.Config{}), kit.StartMember(net, gamelan.Config{})
		net.Connect(evil.Node, victim.Node)
		net.Connect(friend.Node, victim.Node)
		bad := kit.Announced{Typ: wire.TypeJoin}.Compose(t, victim.PublicKey())
		bad.Header.Signature[len(bad.Header.Signature)-1] ^= 1 // whoever verifies it bans its source
		good := kit.Announced{Typ: wire.TypeJoin}.Compose(t, victim.PublicKey())
		const beyond = 100
		for range dht.ControlsPerSecond {
			kit.PostBytes(t, evil.Node, victim.Node, good.Append(nil)) // copies count as well
		}
		for range beyond {
			kit.PostBytes(t, evil.Node, victim.Node, bad.Append(nil))
		}
		synctest.Wait()
		if got := kit.FateOf(victim.Node, dht.OverControls); got != beyond {
			t.Errorf("got %d dropped, want %d", got, beyond)
		}
		kit.WantBanned(t, "who announces too much", victim, evil, false)
		if _, err := evil.DHT().Ping(t.Context(), victim.ID()); err != nil {
			t.Errorf("ping of the same peer: %v", err)
		}
		other := kit.Announced{Typ: wire.TypeJoin, Nonce: 7}.Compose(t, victim.PublicKey())
		kit.PostBytes(t, friend.Node, victim.Node, other.Append(nil))
		time.Sleep(time.Second)
		if got := kit.FateOf(victim.Node, dht.OverControls); got != beyond {
			t.Errorf("got %d dropped after a Join of another peer, want still %d", got, beyond)
		}
		if got := victim.DHT().Network().Join.Heard; got != 2 {
			t.Errorf("got %d Joins heard, want 2", got)
		}
	})
}

// TestBubbleAnnouncementsOfManyKeys has a peer without an address connect with one key after
// another, and send Joins over each connection: the keys together have one limit.
func TestBubbleAnnouncementsOfManyKeys(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		victim := kit.StartMember(net, gamelan.Config{NodeCredit: 8 << 20})
		join := kit.Announced{Typ: wire.TypeJoin}.Compose(t, victim.PublicKey())
		const keys = 6
		for range keys {
			evil := kit.StartMember(net, gamelan.Config{})
			net.Connect(evil.Node, victim.Node)
			for range dht.ControlsPerSecond {
				kit.PostBytes(t, evil.Node, victim.Node, join.Append(nil))
			}
			synctest.Wait()
		}
		want := keys*dht.ControlsPerSecond - dht.ControlsTogether*dht.ControlsPerSecond - keys*dht.ControlsAlone
		if got := kit.FateOf(victim.Node, dht.OverControls); int(got) < want {
			t.Errorf("got %d of %d dropped, want %d", got, keys*dht.ControlsPerSecond, want)
		}
	})
}
