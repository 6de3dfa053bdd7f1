//go:build !nodisk

package gamelantest_test

import (
	"context"
	"sync/atomic"
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

// TestKillEndsLoops: a loop over the messages of a killed node ends with it, also without an end of its ctx. A node that is started
// again with the same directory is where it was.
func TestKillEndsLoops(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, dir := net.Start(gamelan.Config{}), net.DataDir()
		start := func() *gamelantest.Node {
			return net.Start(gamelan.Config{DataDir: dir}, gamelan.WithInbox(gamelan.InboxConfig{}))
		}
		b := start()
		net.Connect(a, b)
		loop := func(n *gamelantest.Node) (handled *atomic.Int64, ended chan struct{}) {
			handled, ended = new(atomic.Int64), make(chan struct{})
			go func() {
				defer close(ended)
				for _, err := range n.Messages(context.Background()) {
					if err != nil {
						return
					}
					time.Sleep(50 * time.Millisecond)
					handled.Add(1)
				}
			}()
			return handled, ended
		}
		first, ended := loop(b)
		for i := range 100 {
			if out, err := a.Send(t.Context(), b.ID(), []byte{byte(i)}, gamelan.Kept()); err != nil || out.Kind != protocol.Confirmed {
				t.Fatal(out, err)
			}
		}
		time.Sleep(time.Second)
		net.Kill(b)
		before := first.Load()
		time.Sleep(20 * time.Second)
		select {
		case <-ended:
		default:
			t.Error("the loop of a killed node goes on")
		}
		if before == 0 || first.Load() > before+1 {
			t.Errorf("got %d handled before the kill, and %d after it", before, first.Load()-before)
		}
		b = start()
		second, ended := loop(b)
		if out, err := a.Send(t.Context(), b.ID(), []byte("again"), gamelan.Handled(), gamelan.Until(time.Minute)); err != nil || out.Kind != protocol.Confirmed {
			t.Errorf("got %v, %v of a message to the node that was started again", out, err)
		}
		if before+second.Load() < 100 || before+second.Load() > 105 {
			t.Errorf("got %d and %d handled, want 101 and a few again", before, second.Load())
		}
		b.Close(t.Context())
		<-ended
	})
}
