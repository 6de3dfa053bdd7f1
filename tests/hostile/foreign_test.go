package hostile

import (
	"testing"
	"testing/synctest"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestForeignPeers: a node of another library does not know our protocol of messages, and the outcome says what that is.
func TestForeignPeers(t *testing.T) {
	for _, c := range []struct {
		cfg  gamelan.Config
		want *codes.Code
	}{
		{gamelan.Config{}, codes.ForeignPeer},
		{gamelan.Config{NoDHT: true}, codes.ForeignPeerNoDHT},
	} {
		t.Run(c.want.Name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				n := &target{t: t, net: net, Node: net.Start(c.cfg, quiet)}
				p := connect(t, net.Transport(), n.Addr, secretOf(1), messaging)
				synctest.Wait()
				m := n.enqueue(p, "hello")
				synctest.Wait()
				for _, id := range p.Opened() {
					p.must(p.Data(rawpeer.ACK, id, "\x00\x04")) // not supported
				}
				out := m.Wait(t.Context())
				if got := codes.Of(out.Err); out.Kind != protocol.Failed || got != c.want {
					t.Errorf("got %v, %+v, want %s", out, got, c.want.Name)
				}
			})
		})
	}
}
