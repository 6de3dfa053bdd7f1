package gamelan_test

import (
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
)

// TestUserAgent has applications name themselves: ours stands behind that, so
// that nodes of this library know each other and do not pace what they send.
//
// conforms: V 28
func TestUserAgent(t *testing.T) {
	ours := "gamelan/" + gamelan.Version
	longest := strings.Repeat("x", 50-len(" "+ours))
	for _, test := range []struct{ agent, want string }{
		{"", ours},
		{"myapp/1.0", "myapp/1.0 " + ours},
		{"my app", "my app " + ours},
		{longest, longest + " " + ours},
		{"gamelan/9 something", "gamelan/9 something"},
		{"something gamelan/9", "something gamelan/9"},
		{"notgamelan/9", "notgamelan/9 " + ours},
	} {
		t.Run(test.agent, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				a := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}})
				b := net.Start(gamelan.Config{UserAgent: test.agent, DHT: &gamelan.DHTConfig{}})
				net.Connect(a, b)
				if ref, _ := a.Connection(b.ID()); ref.UserAgent != test.want {
					t.Errorf("got %q, want %q", ref.UserAgent, test.want)
				}
				if nodetest.DHT(a).Foreign(b.ID()) {
					t.Errorf("what goes to %q is paced", test.want)
				}
			})
		})
	}
}
