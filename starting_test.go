package gamelan_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestConnectedWhileStarting: a node of which a part starts slowly takes no connection before its parts
// work. A peer that sends meanwhile waits; it is not told that the node does not know a protocol.
func TestConnectedWhileStarting(t *testing.T) {
	for _, slow := range []string{"node/services/outcomes", "node/services/plain", "node/services/more", "node/services", "node/extensions", "node/extensions/handler", "node/peers", "node/dialer"} {
		t.Run(strings.ReplaceAll(slow, "/", "-"), func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				a := net.Start(gamelan.Config{})
				cfg := gamelan.Config{DataDir: t.TempDir(), Listen: []string{"/memory/9"}}
				held := false
				start := func() *gamelantest.Node {
					return net.Start(cfg, gamelan.WithInbox(gamelan.InboxConfig{}), gamelan.WithFault(func(path, point string) {
						if held && strings.HasSuffix(path, slow) && point == "*actor.Started" {
							time.Sleep(3 * time.Second)
						}
					}))
				}
				b := start()
				net.Connect(a, b)
				if err := b.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				for name, opts := range map[string][]gamelan.SendOption{"kept": {gamelan.Kept(), gamelan.Until(time.Hour)}, "plain": {gamelan.Until(time.Hour)}} {
					p, err := a.Submit(t.Context(), b.ID(), []byte(name), opts...)
					if err != nil {
						t.Fatal(err)
					}
					defer func() {
						if out := p.Wait(t.Context()); out.Kind != protocol.Confirmed {
							t.Errorf("%s: got %v, want it confirmed", name, out)
						}
					}()
				}
				time.Sleep(time.Minute)
				held = true
				began := time.Now()
				start()
				if time.Since(began) < 3*time.Second {
					t.Error("nothing was held back")
				}
			})
		})
	}
}

// TestConnectedWhileServicesRestart: the protocols of a node stay offered while the actor that keeps
// their table starts again.
func TestConnectedWhileServicesRestart(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var held atomic.Bool
		a := net.Start(gamelan.Config{})
		b := net.Start(gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}), gamelan.WithFault(func(path, point string) {
			if strings.HasSuffix(path, "/node/extensions") && point == "users.ServicesStarted" && held.Load() {
				time.Sleep(3 * time.Second)
			}
		}))
		net.Connect(a, b)
		held.Store(true)
		if err := b.Inspection().Restart(t.Context(), "node/services"); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			for name, opt := range map[string]gamelan.SendOption{"kept": gamelan.Kept(), "plain": gamelan.Until(time.Hour)} {
				out, err := a.Send(t.Context(), b.ID(), []byte(name), opt, gamelan.Until(time.Hour))
				cut := name == "plain" && out.Kind == protocol.InDoubt && out.Reason == protocol.ConnectionLost // its session ended
				if err != nil || out.Kind != protocol.Confirmed && !cut {
					t.Errorf("%s: got %v, %v, want it confirmed", name, out, err)
				}
			}
			time.Sleep(500 * time.Millisecond)
		}
	})
}
