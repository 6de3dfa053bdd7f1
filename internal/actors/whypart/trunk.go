package whypart

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/share"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Trunk names what this part needs of the node. [trunk.Trunk] implements and documents it.
type Trunk interface {
	System() *actor.ActorSystem
	Now() time.Time
	OnWall(t time.Time) time.Time
	NewID() uint64
	PID(path string) *actor.PID
	Services() *actor.PID
	Connectivity() *actor.PID
	Profile() protocol.Profile
	SourceOf(addr ma.Multiaddr) share.Source
	OpenSubstream(on *actors.ConnRef, token uint64, reply *actor.PID, ids ...protocol.ID)
}

var _ Trunk = trunk.Trunk{}
