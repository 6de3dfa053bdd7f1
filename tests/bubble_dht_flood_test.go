package tests

import (
	"fmt"
	"testing"
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
		got := uint64(0)
		for _, c := range victim.Actors().DHTCounts() {
			if c.Reason == dht.Passed {
				got = c.Count
			}
		}
		if got != limit/2 {
			t.Errorf("got %d passed on, want %d: half of what is taken for a flood", got, limit/2)
		}
	})
}
