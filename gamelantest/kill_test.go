//go:build !nodisk

package gamelantest_test

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestKill: a killed node leaves what it has synced; its peer notices at once, and finds the next one.
func TestKill(t *testing.T) {
	for name, kill := range map[string]func(*gamelantest.Network, *gamelantest.Node){"kill": (*gamelantest.Network).Kill, "power": (*gamelantest.Network).PowerCut} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				a := net.Start(gamelan.Config{})
				cfg := gamelan.Config{DataDir: net.DataDir(), Listen: []string{"/memory/9"}}
				start := func() *gamelantest.Node { return net.Start(cfg, gamelan.WithInbox(gamelan.InboxConfig{})) }
				b := start()
				id := b.ID()
				net.Connect(a, b)
				send := func(body string, opts ...gamelan.SendOption) {
					t.Helper()
					if out, err := a.Send(t.Context(), id, []byte(body), opts...); err != nil || out.Kind != protocol.Confirmed {
						t.Fatalf("%s: got %v, %v", body, out, err)
					}
				}
				send("kept", gamelan.Kept(), gamelan.Until(time.Hour))
				time.Sleep(time.Minute)
				send("synced") // for the disk has rested
				time.Sleep(100 * time.Millisecond)
				send("read") // written, and not synced before a second is over
				time.Sleep(100 * time.Millisecond)
				kill(net, b)
				time.Sleep(time.Second)
				if n := len(a.Connections()); n > 0 {
					t.Errorf("got %d connections to a killed node", n)
				}
				b = start()
				time.Sleep(time.Second)
				if n := b.Inbox().Status().Messages; n != 2 || b.ID() != id {
					t.Errorf("got %d messages of the same node, want two", n)
				}
				send("again", gamelan.Kept(), gamelan.Until(time.Hour))
			})
		})
	}
}
