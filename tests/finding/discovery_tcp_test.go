package finding

import (
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestDiscoveryOverTCP has the scenarios of joins and discoveries over loopback TCP, on
// one chain A–B–C–D, in which D is a client: A's Join reaches C; A finds D; a Join with
// 28,800 addresses gets its author banned by B, and C does not learn of it.
//
// conforms: dht 141
func TestDiscoveryOverTCP(t *testing.T) {
	a := kit.StartOnLoopback(t, gamelan.Config{Secret: kit.Sends})
	b, c := kit.StartOnLoopback(t, gamelan.Config{}), kit.StartOnLoopback(t, gamelan.Config{})
	d := kit.StartOnLoopback(t, gamelan.Config{Client: true})
	kit.DialOnLoopback(t, a, b)
	kit.DialOnLoopback(t, b, c)
	kit.DialOnLoopback(t, d, c)

	if r, err := a.DHT().Join(t.Context()); err != nil || r.Count(protocol.Confirmed) != 1 {
		t.Fatalf("join: got %v, %v, want one copy confirmed", r.String(), err)
	}
	for _, n := range []*gamelantest.Node{b, c} {
		gamelantest.Eventually(t, kit.Patience, "the Join to arrive", func() bool {
			p, ok := n.Peers().Get(a.ID())
			return ok && p.Features == identity.FeatureNode && len(p.Addresses) > 0 && p.Claim != nil
		})
	}

	if p, err := a.DHT().Discover(t.Context(), d.PublicKey()); err != nil || p.Features != identity.FeatureNone {
		t.Fatalf("discover: got %+v, %v, want the client", p, err)
	}
	gamelantest.Eventually(t, kit.Patience, "the client to know who has searched for it", func() bool {
		_, ok := d.Peers().Get(a.ID())
		return ok
	})

	hostile := kit.StartOnLoopback(t, gamelan.Config{Secret: kit.Third})
	kit.DialOnLoopback(t, hostile, b)
	kit.Post(t, hostile, b, kit.Announced{Typ: wire.TypeJoin, By: kit.Third, Edit: func(j *wire.Announcement) {
		j.Addresses = nil
		for range 28_800 {
			j.Addresses = append(j.Addresses, kit.Binaries(t, "/ip6/2001:4860:4860::8888/tcp/18189")...)
		}
	}}.Compose(t, b.PublicKey()))
	gamelantest.Eventually(t, kit.Patience, "the author of the large Join to be banned", func() bool {
		_, _, banned := b.Peers().Banned(hostile.ID())
		return banned
	})
	if _, ok := c.Peers().Get(hostile.ID()); ok {
		t.Error("c knows the author of the large Join")
	}
}
