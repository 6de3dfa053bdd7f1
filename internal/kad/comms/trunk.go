package comms

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Trunk has the methods of the node that the network needs. [trunk.Trunk] implements and
// documents it.
type Trunk interface {
	System() *actor.ActorSystem
	Now() time.Time
	Wall() time.Time
	NewID() uint64
	Services() *actor.PID
	Connectivity() *actor.PID
	Connection(peer identity.NodeID) (*actors.ConnRef, bool)
	Connections() *view.Map[identity.NodeID, *actors.ConnRef]
	Unreachable(peer identity.NodeID) error
	DialForStranger(token uint64, peer identity.NodeID, reply *actor.PID, by string)
	OpenSubstream(on *actors.ConnRef, token uint64, reply *actor.PID, ids ...protocol.ID)
	Secret() *identity.Secret
	Claim() (identity.Claim, bool)
	Store() peerstore.View
	AddPeer(token uint64, p peerstore.Peer, reply *actor.PID)
	AddGiven(token uint64, p peerstore.Peer, reply *actor.PID)
	Banned(peer identity.NodeID) error
}

var _ Trunk = trunk.Trunk{}
