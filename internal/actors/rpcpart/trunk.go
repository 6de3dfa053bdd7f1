package rpcpart

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Trunk has the methods of the node that calls need. [trunk.Trunk] implements it.
type Trunk interface {
	System() *actor.ActorSystem
	Now() time.Time
	NewID() uint64
	PID(path string) *actor.PID
	Services() *actor.PID
	Connection(peer identity.NodeID) (*actors.ConnRef, bool)
	Unreachable(peer identity.NodeID) error
	Dial(token uint64, peer identity.NodeID, reply *actor.PID, by string)
	CancelDial(token uint64, peer identity.NodeID, reply *actor.PID)
	OpenSubstream(on *actors.ConnRef, token uint64, reply *actor.PID, ids ...protocol.ID)
	Reserved(id protocol.ID) bool
	Budgets() credit.NodeBudgets
	PeerCredit() int64
	ServicePanicked(p base.Panicking, conn uint64, stack []byte, stops bool, then string)
	ServiceStopped(id protocol.ID)
	ServiceEnded(id protocol.ID)
}

var _ Trunk = trunk.Trunk{}
