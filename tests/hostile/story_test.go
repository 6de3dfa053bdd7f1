package hostile

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
)

// TestLogOfConnections has ever new keys connect and leave, by thousands: the log has a few of them and
// their number, and still tells the connections of the node's own.
func TestLogOfConnections(t *testing.T) {
	log, opt := logged()
	placing(t, gamelan.Config{MaxInboundPerSource: 100}, func(t *testing.T, n *target, tr *placed) {
		const keys = 2000
		tr.place("/ip4/6.6.6.6")
		for i := range keys {
			p := connect(t, n.net.Transport(), n.Addr, secretOf(100+i))
			synctest.Wait()
			p.raw.Close()
			synctest.Wait()
			time.Sleep(time.Second)
		}
		time.Sleep(10 * time.Minute)
		connected, ended := log.count("msg=connected"), log.count("msg=disconnected")
		if connected < 8 || connected > 15 || ended != connected {
			t.Errorf("got %d beginnings and %d ends in the log of %d connections, want both the same, from 8 to 15", connected, ended, keys)
		}
		if states := log.count("msg=online") + log.count("msg=offline"); states > 60 {
			t.Errorf("got %d changes of the state, want few", states)
		}
		if got := log.count("only counted, for there were too many"); got < 2 || got > 5 {
			t.Errorf("got %d lines that count the others, want one in ten minutes", got)
		}
		if all := log.count("level=INFO"); all > 150 {
			t.Errorf("got %d lines for %d connections, want few", all, keys)
		}
		tr.place()
		other := n.net.Start(plainly(gamelan.Config{}), quiet)
		n.net.Connect(n.Node, other)
		time.Sleep(time.Second)
		if got := log.count("msg=connected"); got != connected+1 {
			t.Errorf("got %d lines for a connection of the node's own, want one", got-connected)
		}
	}, opt)
}
