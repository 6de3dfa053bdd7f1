package interop

import (
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
)

// More Tari nodes dial than we take: so many stay connected, the others' connections
// end as soon as they are made, and one of them stays once there is room. Nobody is
// banned, and messages of those who stay arrive meanwhile.
//
// feature: inbound limits, without a ban
func TestInboundLimit(t *testing.T) {
	against(t, func(t *testing.T, release string) {
		const most = 2
		n := startOurs(t, gamelan.Config{MaxInbound: most})
		var in, out []*tari
		for range most + 2 {
			p := startTari(t, release)
			p.knowsNode(n.Node)
			err := p.ask("dial", args{"peer": n.PublicKey().String()}, nil)
			if len(in) == most {
				gamelantest.Eventually(t, connectLimit, "the end of its connection", func() bool { return len(p.links()) == 0 })
				out = append(out, p)
				continue
			}
			if err != nil {
				t.Fatalf("with %d connected: got %v", len(in), err)
			}
			in = append(in, p)
		}
		for _, p := range in {
			if r, err := p.send(n.PublicKey(), batch{count: 10, size: 32}); err != nil || r.Sent != 10 {
				t.Errorf("messages of one that stays: got %+v, %v, want 10 sent", r, err)
			}
			gamelantest.Eventually(t, connectLimit, "its messages", func() bool { return n.heard(p.id).Count == 10 })
		}
		if got := len(n.Connections()); got != most {
			t.Errorf("got %d connections, want %d", got, most)
		}
		in[0].must("disconnect", args{"peer": n.PublicKey().String()}, nil)
		gamelantest.Eventually(t, connectLimit, "room for another", func() bool { return len(n.Connections()) < most })
		gamelantest.Eventually(t, connectLimit, "a connection of one that was refused", func() bool {
			out[0].ask("dial", args{"peer": n.PublicKey().String()}, nil)
			_, ok := n.Connection(out[0].id)
			return ok
		})
		for _, p := range append(in, out...) {
			noBan(t, n, p)
		}
	})
}
