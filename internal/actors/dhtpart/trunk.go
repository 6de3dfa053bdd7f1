package dhtpart

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/taps"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Trunk names what the DHT needs of the node. [trunk.Trunk] implements and documents it.
type Trunk interface {
	System() *actor.ActorSystem
	Now() time.Time
	Wall() time.Time
	OnWall(t time.Time) time.Time
	Report(r dht.Report) models.Report
	NewID() uint64
	Taps() *taps.Taps
	PID(path string) *actor.PID
	Connectivity() *actor.PID

	Secret() *identity.Secret
	Features() identity.Features
	Profile() protocol.Profile

	Connections() *view.Map[identity.NodeID, *actors.ConnRef]
	Connection(peer identity.NodeID) (*actors.ConnRef, bool)
	Store() peerstore.View
	Banned(peer identity.NodeID) error
	Unlimited(peer identity.NodeID) bool
	MarkUseful(peer identity.NodeID, conn uint64)
	MarkUsed(peer identity.NodeID)
	WithoutDHT(p peerstore.Peer) bool
	Excluded() []protocol.AddressRange

	Budgets() credit.NodeBudgets
	PeerCredit() int64
	Frames() *messengers.Messaging
	Plain() *messengers.Messaging
	ReceiveFrames(r messengers.Receiver)
	ServeTypes(table users.TypeTable)
	Provider(name string) (*actor.PID, bool)
	Provide(name string, pid *actor.PID)
	LayerPanicked(layer string, value any, stack []byte, from actors.Origin)
}

var _ Trunk = trunk.Trunk{}
