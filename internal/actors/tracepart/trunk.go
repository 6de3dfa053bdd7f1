package tracepart

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/taps"
)

// Trunk names what this part needs of the node. [trunk.Trunk] implements and documents it.
type Trunk interface {
	System() *actor.ActorSystem
	Now() time.Time
	OnWall(t time.Time) time.Time
	Root() string
	Taps() *taps.Taps
	FindPeer(text string) (identity.NodeID, error)
}

var _ Trunk = trunk.Trunk{}
