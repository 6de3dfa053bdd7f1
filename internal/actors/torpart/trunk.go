package torpart

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
)

// Trunk names what this part needs of the node. [trunk.Trunk] implements and documents it.
type Trunk interface {
	System() *actor.ActorSystem
	Now() time.Time
	Shown(t time.Time) time.Time
	PID(path string) *actor.PID
	TransportNames() []string
	Advertise(a ma.Multiaddr, reply *actor.PID)
}

var _ Trunk = trunk.Trunk{}
