package gamelan_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// lesson is the configuration of a node of the older profile.
func lesson() gamelan.Config {
	p := protocol.Lesson2020()
	return gamelan.Config{Profile: &p}
}

// Two nodes of the older profile connect, exchange identities on a substream,
// and messages; neither understands the default profile, and nobody is banned
// for that.
func TestLessonProfile(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		heard := gamelantest.NewCollector()
		quiet := gamelan.WithLogger(discard) // the profile warns that it sends the dialer's key in clear
		a := net.Start(lesson(), quiet)
		b := net.Start(lesson(), quiet, gamelan.WithHandler(heard.New))
		modern := net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()

		wantSaid(t, a.Node, codes.KeyInClear)
		net.Introduce(a, b)
		if out, err := a.Send(ctx, b.ID(), []byte("hello")); err != nil || out.Kind != protocol.Confirmed {
			t.Errorf("send: got %v, %v, want confirmed", out, err)
		}
		synctest.Wait() // confirmed is before handled
		if got := heard.Bodies(); len(got) != 1 || got[0] != "hello" {
			t.Errorf("heard: got %q, want hello", got)
		}
		ref, ok := a.Connection(b.ID())
		if !ok || !ref.Accepts(protocol.LessonMessages) {
			t.Errorf("connection: got %v, want one to a node that lists %s", ref, protocol.LessonMessages)
		}

		for _, n := range []struct{ from, to *gamelantest.Node }{{a, modern}, {modern, a}} {
			net.Introduce(n.from, n.to)
			if _, err := n.from.Dial(ctx, n.to.ID()); err == nil {
				t.Errorf("dial from %s to %s: got a connection, want a failed handshake", n.from.Profile().Name, n.to.Profile().Name)
			}
			if _, _, banned := n.to.Peers().Banned(n.from.ID()); banned {
				t.Errorf("%s banned a node of the profile %s for its handshake", n.to.Profile().Name, n.from.Profile().Name)
			}
		}
	})
}
