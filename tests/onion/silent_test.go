package onion

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
)

// TestPeerFallsSilent stops a peer's Tor without an end of any stream: the node's pings find that
// out, the messages under way have their outcomes, and when that Tor goes on the two connect again.
func TestPeerFallsSilent(t *testing.T) {
	a, b := pairOfNodes(t, gamelan.Config{NoDHT: true, KeepAlive: time.Second, Mux: quickPings})
	a.confirmed(a.submit(b.ID(), 0, 1), b.heard)
	before, _ := a.Connection(b.ID())
	b.tor.Pause()
	t.Cleanup(b.tor.Resume)
	sent := a.submit(b.ID(), 1, 10)
	a.lost(b, before)
	b.tor.Resume()
	a.redial(b)
	t.Logf("messages to the silent peer: %v", a.truth(sent, b.heard))
	a.confirmed(a.submit(b.ID(), 11, 10), b.heard)
	b.confirmed(b.submit(a.ID(), 11, 10), a.heard)
}
