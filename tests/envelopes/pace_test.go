package envelopes

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// wantHeard checks how many messages a member has heard by now.
func wantHeard(t *testing.T, when string, m kit.Member, want int) {
	t.Helper()
	synctest.Wait()
	if got := m.Heard.Len(); got != want {
		t.Errorf("%s: got %d messages heard, want %d", when, got, want)
	}
}

// TestBubblePace sends to a node that does not say that it is one of ours: 900
// messages in 60 s, the next one when they are over. One of ours gets all at once.
//
// conforms: dht 129; V 28
func TestBubblePace(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		all := kit.Members(net, 3)
		a, foreign, ours := all[0], all[1], all[2]
		net.Connect(a.Node, foreign.Node)
		net.Connect(a.Node, ours.Node)
		kit.TakeFor(t, a.Node, foreign.Node, "myapp/1.0")
		for i := range dht.DefaultPace {
			submit(t, a, kit.LetterTo(dht.Direct{Peer: foreign.ID()}, fmt.Sprint(i)))
			submit(t, a, kit.LetterTo(dht.Direct{Peer: ours.ID()}, fmt.Sprint(i)))
		}
		time.Sleep(30 * time.Second)
		wantHeard(t, "a full minute's", foreign, dht.DefaultPace)
		last := submit(t, a, kit.LetterTo(dht.Direct{Peer: foreign.ID()}, "one more"))
		submit(t, a, kit.LetterTo(dht.Direct{Peer: ours.ID()}, "one more"))
		time.Sleep(29 * time.Second)
		wantHeard(t, "one more in that minute", foreign, dht.DefaultPace)
		wantHeard(t, "one of ours", ours, dht.DefaultPace+1)
		time.Sleep(5 * time.Second)
		wantHeard(t, "in the next minute", foreign, dht.DefaultPace+1)
		kit.WantAllConfirmed(t, "one more", last.Wait(t.Context()), 1)
	})
}

// TestBubblePaceOverRestart kills the actor that sends: the next one keeps to what
// is left of the pace.
//
// conforms: V 28
func TestBubblePaceOverRestart(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		const pace = 10
		a := kit.StartMember(net, gamelan.Config{DHT: &gamelan.DHTConfig{SendPace: pace}}, kit.Quiet)
		b := kit.StartMember(net, gamelan.Config{})
		net.Connect(a.Node, b.Node)
		kit.TakeFor(t, a.Node, b.Node, "myapp/1.0")
		for i := range pace {
			kit.Send(t, a, kit.LetterTo(dht.Direct{Peer: b.ID()}, fmt.Sprint(i)))
		}
		time.Sleep(10 * time.Second)
		if !gamelantest.Crash(a.Node.Node, "dht/outbound", "killed by the test") {
			t.Fatal("no such actor")
		}
		time.Sleep(time.Second)
		for i := range 5 {
			submit(t, a, kit.LetterTo(dht.Direct{Peer: b.ID()}, fmt.Sprint("afterwards ", i)))
		}
		time.Sleep(45 * time.Second)
		wantHeard(t, "within the minute", b, pace)
		time.Sleep(10 * time.Second)
		wantHeard(t, "in the next minute", b, pace+5)
	})
}
