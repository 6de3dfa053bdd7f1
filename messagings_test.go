package gamelan_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// outsider is an actor that sends a plain message and hears what became of it.
type outsider struct {
	n     *gamelan.Node
	heard chan actors.Sent
}

func (o outsider) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		o.n.SendFrom(c, actors.SendBody{ID: 7, Peer: o.n.ID()})
	case actors.Sent:
		o.heard <- m
	}
}

// A node with the DHT and no id for plain messages has none, and says what to do.
func TestNoPlainMessages(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		n := net.Start(gamelan.Config{DHT: &gamelan.DHTConfig{}})
		_, sent := n.SendTo(t.Context(), gamelantest.Secret(2).NodeID(), nil)
		_, enqueued := n.Enqueue(t.Context(), gamelantest.Secret(2).NodeID(), nil)
		_, started := gamelan.Start(t.Context(), gamelan.Config{DHT: &gamelan.DHTConfig{}},
			gamelan.WithLogger(discard), gamelan.WithHandler(newEcho))
		for what, err := range map[string]error{
			"SendTo": sent, "Enqueue": enqueued, "WithHandler": started, "RegisterHandler": n.RegisterHandler(newEcho),
		} {
			if !errors.Is(err, actors.ErrMessagingTaken) {
				t.Errorf("%s: got %v, want %v", what, err, actors.ErrMessagingTaken)
			}
		}
		if err := n.UnregisterHandler(); !errors.Is(err, actors.ErrNotRegistered) {
			t.Errorf("UnregisterHandler: got %v, want %v", err, actors.ErrNotRegistered)
		}
		heard := make(chan actors.Sent, 2)
		pid, err := n.Spawn("outsider", func(n *gamelan.Node) actor.Actor { return outsider{n, heard} })
		if err != nil {
			t.Fatal(err)
		}
		n.Actors().Enqueue(actors.SendBody{ID: 7}, pid)
		synctest.Wait()
		for range 2 {
			m := <-heard
			if m.ID != 7 || m.Outcome.Kind != protocol.Failed || m.Outcome.Reason != protocol.Refused || !errors.Is(m.Outcome.Err, actors.ErrMessagingTaken) {
				t.Errorf("an actor's message: got %v, want failed (refused) with %v", m, actors.ErrMessagingTaken)
			}
		}
	})
}

// The ids of messages belong to the node.
func TestMessagingIDsAreTaken(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		cfg := gamelan.Config{DHT: &gamelan.DHTConfig{}, PlainID: "t-plain"}
		profile := protocol.Tari(protocol.LocalNet)
		n := net.Start(cfg, gamelan.WithHandler(newEcho))
		for _, id := range []protocol.ID{profile.MessagingID, "t-plain"} {
			if err := n.Register(id, newEcho); !errors.Is(err, actors.ErrProtocolTaken) {
				t.Errorf("%v: got %v, want %v", id, err, actors.ErrProtocolTaken)
			}
			_, err := gamelan.Start(t.Context(), cfg, gamelan.WithLogger(discard), gamelan.WithHandler(newEcho), gamelan.WithProtocol(id, newEcho))
			if !errors.Is(err, actors.ErrProtocolTaken) {
				t.Errorf("%v before the start: got %v, want %v", id, err, actors.ErrProtocolTaken)
			}
		}
		late := net.Start(cfg, gamelan.WithProtocol("t-plain", newEcho))
		if err := late.RegisterHandler(newEcho); !errors.Is(err, actors.ErrProtocolTaken) {
			t.Errorf("a handler whose id has another protocol: got %v, want %v", err, actors.ErrProtocolTaken)
		}
	})
}
