package conditions

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// TestBubbleActorStuck: an actor that does not come back from a message is stuck.
func TestBubbleActorStuck(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net, heard := gamelantest.NewNetwork(t), gamelantest.NewCollector()
		a, b := net.Start(gamelan.Config{NoDHT: true}), net.Start(gamelan.Config{NoDHT: true}, kit.Quiet, gamelan.WithHandler(heard.New))
		net.Connect(a, b)
		unblock := heard.Block()
		kit.Enqueue(t, a, b, "hello")
		time.Sleep(supervisor.StuckAfter + time.Second)
		n := kit.Says(t, b.Node, codes.ActorStuck)
		if want := kit.InfoOf(t, b, "extensions/handler").Path; n.Args["actor"] != want {
			t.Errorf("got %+v, want the actor %s", n, want)
		}
		unblock()
	})
}

// falling panics on each message.
type falling struct{}

func (falling) Receive(c actor.Context) {
	if _, ok := c.Message().(string); ok {
		panic("on purpose")
	}
}

// TestBubbleActorFailed: an actor that has failed too often is not started again for a while.
func TestBubbleActorFailed(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := gamelantest.NewNetwork(t).Start(gamelan.Config{NoDHT: true}, kit.Quiet, gamelan.WithActor("clerk", func(*gamelan.Node) actor.Actor { return falling{} }))
		clerk, _ := n.Actor("clerk")
		for range 11 { // more than its restarts
			n.System().Root.Send(clerk, "fall")
			time.Sleep(time.Second)
		}
		if got := kit.Says(t, n.Node, codes.ActorFailed); got.Args["actor"] != clerk.Id {
			t.Errorf("got %+v, want the actor %s", got, clerk.Id)
		}
	})
}
