package tests

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
)

// submit sends a message and does not wait.
func submit(t *testing.T, from member, m dht.Message) *gamelan.Sending {
	t.Helper()
	s, err := from.Submit(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wantBanned checks whether a member has banned another.
func wantBanned(t *testing.T, what string, by, peer member, want bool) {
	t.Helper()
	if _, reason, banned := by.Peers().Banned(peer.ID(), time.Now()); banned != want {
		t.Errorf("%s: got banned %v (%s), want %v", what, banned, reason, want)
	}
}

// TestBubbleStuckIsNoFlood: that a handler here is stuck is no offence of those
// who write to it.
//
// conforms: V 13, 28
func TestBubbleStuckIsNoFlood(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := startMember(net, gamelan.Config{Floor: gamelan.NoFloor})
		b := startMember(net, gamelan.Config{Floor: gamelan.NoFloor, PeerCredit: 64 << 10, DHT: &gamelan.DHTConfig{FloodLimit: 50}})
		net.Connect(a.Node, b.Node)
		defer b.heard.Block()()
		const n = 400
		for i := range n {
			submit(t, a, letterTo(dht.Direct{Peer: b.ID()}, fmt.Sprint(i)))
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		wantBanned(t, "who wrote", b, a, false)
		if got := fateOf(b, dht.HandlerStuck); got < 100 {
			t.Errorf("got %d dropped for the stuck handler, want more than the limit of a flood", got)
		}
	})
}

// fateOf returns how many messages to the node have ended so.
func fateOf(m member, why dht.Reason) uint64 {
	for _, c := range m.Actors().DHTCounts() {
		if c.Reason == why {
			return c.Count
		}
	}
	return 0
}

// TestBubbleRelayOfFloods has two nodes flood a third through one that passes
// messages on, each within the limit: who passes them on keeps what is beyond its
// own share back and is not banned for it.
//
// conforms: V 28
func TestBubbleRelayOfFloods(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		const limit = 100
		var all []member
		for range 4 {
			all = append(all, startMember(net, gamelan.Config{Floor: gamelan.NoFloor, DHT: &gamelan.DHTConfig{FloodLimit: limit}}))
		}
		relay, victim := all[2], all[3]
		net.Connect(all[0].Node, relay.Node)
		net.Connect(all[1].Node, relay.Node)
		net.Connect(relay.Node, victim.Node)
		nobody := dht.To(gamelantest.Secret(90).PublicKey())
		const each = 60
		for i := range each {
			for _, m := range all[:2] {
				send(t, m, dht.Message{
					To: dht.Selected{Peers: []identity.NodeID{relay.ID()}}, Destination: nobody, Encrypt: true, Type: textType, Body: []byte(fmt.Sprint(i)),
				})
			}
		}
		time.Sleep(2 * time.Second)
		wantBanned(t, "who passed it on", victim, relay, false)
		wantBanned(t, "who wrote it", relay, all[0], false)
		if got := fateOf(victim, dht.Passed); got != limit/2 {
			t.Errorf("got %d passed on, want %d: half of what is taken for a flood", got, limit/2)
		}
	})
}
