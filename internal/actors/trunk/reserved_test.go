package trunk_test

import (
	"errors"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// TestReservedProtocolOfAPart has an actor of a part offer the protocol of plain
// messages, which belongs to the node's handler.
func TestReservedProtocolOfAPart(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := gamelantest.NewNetwork(t).Start(gamelan.Config{})
		node := nodetest.Trunk(n)
		offer := func(pid *actor.PID) error {
			r, err := supervisor.Ask[users.ProtocolAdded](t.Context(), node.System(), node.Services(), users.AddProtocol{ID: protocol.PlainID, PID: pid})
			return errors.Join(err, r.Err)
		}
		if err := offer(node.PID("services/rpc")); !errors.Is(err, actors.ErrProtocolTaken) {
			t.Errorf("got %v, want %v", err, actors.ErrProtocolTaken)
		}
		if err := offer(node.Plain().PID); err != nil {
			t.Errorf("its own actor: got %v, want no error", err)
		}
	})
}
