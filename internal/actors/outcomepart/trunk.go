package outcomepart

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Trunk has the methods of the node that the part needs. [trunk.Trunk] implements it.
type Trunk interface {
	System() *actor.ActorSystem
	Now() time.Time
	Wall() time.Time
	NewID() uint64
	Self() identity.NodeID
	Key() identity.PublicKey
	PID(path string) *actor.PID
	Services() *actor.PID
	Connectivity() *actor.PID
	Connection(peer identity.NodeID) (*actors.ConnRef, bool)
	Plain() *messengers.Messaging
	Outcomes() *messengers.Messaging
	Answers() *messengers.Messaging
	Ended(peer identity.NodeID, o protocol.Outcome)
	Topic(topic string) *actor.PID
	HasTopics() bool
}

var _ Trunk = trunk.Trunk{}
