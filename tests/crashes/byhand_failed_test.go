//go:build !nodisk

package crashes

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// TestFailedActorByHand: an actor whose restarts are used up, which the tree and the health still show, is started again by hand.
func TestFailedActorByHand(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		var broken atomic.Bool
		n := net.Start(gamelan.Config{}, gamelan.WithActor("mine", func(*gamelan.Node) actor.Actor {
			return actor.ReceiveFunc(func(c actor.Context) {
				switch c.Message().(type) {
				case *actor.Started:
					if broken.Load() {
						panic("on purpose")
					}
				case string:
					c.Respond("works")
				}
			})
		}))
		i := n.Inspection()
		broken.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := i.Restart(ctx, "extensions/mine"); !errors.Is(err, supervisor.ErrActorEnded) {
			t.Errorf("one that cannot start: got %v, want that it has ended", err)
		}
		time.Sleep(time.Second)
		if a, ok := inspect.FindActor(i.Source, "extensions/mine"); !ok || a.State != inspect.Failed {
			t.Fatalf("got %+v, want it failed", a)
		}
		if err := i.StopActor(ctx, "extensions/mine"); !errors.Is(err, supervisor.ErrStopped) {
			t.Errorf("stop: got %v, want that it does not run", err)
		}
		broken.Store(false)
		if err := i.Restart(ctx, "extensions/mine"); err != nil {
			t.Fatal(err)
		}
		if got, err := n.Ask(t.Context(), "mine", "?"); got != "works" {
			t.Errorf("got %v, %v", got, err)
		}
		time.Sleep(time.Second)
		all, err := i.Recorded(inspect.EventQuery{Types: []string{models.ActorRestarted}})
		if err != nil || len(all.Events) != 1 || all.Events[0].Data["actor"] != "extensions/mine" {
			t.Errorf("got %+v, %v, want that it was restarted once", all.Events, err)
		}
	})
}
