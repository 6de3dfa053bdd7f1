package morepart

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Trunk names what this part needs of the node. [trunk.Trunk] implements and documents it.
type Trunk interface {
	NewID() uint64
	Services() *actor.PID
	Connectivity() *actor.PID
	Connections() *view.Map[identity.NodeID, *actors.ConnRef]
	OpenSubstream(on *actors.ConnRef, token uint64, reply *actor.PID, ids ...protocol.ID)
	Listed() []protocol.ID
}

var _ Trunk = trunk.Trunk{}
