package safpart

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Trunk names what store and forward needs of the node. [trunk.Trunk] implements and
// documents it.
type Trunk interface {
	System() *actor.ActorSystem
	Now() time.Time
	Wall() time.Time
	Shown(t time.Time) time.Time
	NewID() uint64
	PID(path string) *actor.PID
	Connectivity() *actor.PID
	Provide(name string, pid *actor.PID)
	Provider(name string) (*actor.PID, bool)
	SendControl(c actor.Context, id uint64, m dht.Control) error

	Secret() *identity.Secret
	Features() identity.Features
	Profile() protocol.Profile
	Budgets() credit.NodeBudgets
	PeerCredit() int64
	Frames() *messengers.Messaging

	Connections() *view.Map[identity.NodeID, *actors.ConnRef]
	Store() peerstore.View
	Banned(peer identity.NodeID) error
	FindPeer(text string) (identity.NodeID, error)
	KeepOpen(tag string, peers []identity.NodeID)
}

var _ Trunk = trunk.Trunk{}
