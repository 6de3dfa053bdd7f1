package envelopes

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// slowEnd is an actor that breaks down when told, once the gate is open, and takes
// its time to stop.
type slowEnd struct{ gate chan struct{} }

type breakSlowly struct{}

func (s slowEnd) Receive(c actor.Context) {
	switch c.Message().(type) {
	case breakDown:
		panic("broken")
	case breakSlowly:
		<-s.gate
		panic("broken for good")
	case *actor.Stopping:
		time.Sleep(time.Second)
	}
}

// TestBubbleTypeLeavesWhileItFails unregisters a type whose actor fails for good
// at that moment: its place is free afterwards.
func TestBubbleTypeLeavesWhileItFails(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		gate := make(chan struct{})
		mk := func(*gamelan.Node) actor.Actor { return slowEnd{gate} }
		n := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}}, kit.Quiet, gamelan.WithType(kit.TextType, mk))
		handler, _ := nodetest.DHT(n).Types.Get(kit.TextType)
		root := n.System().Root
		for range 5 { // the next one is one too many
			root.Send(handler.PID, breakDown{})
			time.Sleep(5 * time.Second)
		}
		root.Send(handler.PID, breakSlowly{})
		time.Sleep(time.Second)
		done := make(chan error)
		go func() { done <- n.DHT().UnregisterType(t.Context(), kit.TextType) }()
		time.Sleep(time.Second)
		close(gate)
		if err := <-done; err != nil {
			t.Errorf("unregister: %v", err)
		}
		time.Sleep(time.Minute)
		if _, ok := nodetest.DHT(n).Types.Get(kit.TextType); ok {
			t.Error("the type is taken still")
		}
		if err := n.DHT().RegisterType(t.Context(), kit.TextType, mk); err != nil {
			t.Errorf("register again: %v", err)
		}
	})
}
