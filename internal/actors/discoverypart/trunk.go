package discoverypart

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Trunk names what discovery needs of the node. [trunk.Trunk] implements and documents
// it.
type Trunk interface {
	System() *actor.ActorSystem
	Now() time.Time
	Wall() time.Time
	Report(r dht.Report) models.Report
	Shown(t time.Time) time.Time
	NewID() uint64
	PID(path string) *actor.PID
	Connectivity() *actor.PID
	Provide(name string, pid *actor.PID)
	SendControl(c actor.Context, id uint64, m dht.Control) error

	Secret() *identity.Secret
	Features() identity.Features
	Profile() protocol.Profile
	Claim() (identity.Claim, bool)

	Connections() *view.Map[identity.NodeID, *actors.ConnRef]
	Connection(peer identity.NodeID) (*actors.ConnRef, bool)
	Dialable(p peerstore.Peer) error
	DialAutomatically(token uint64, peer identity.NodeID, reply *actor.PID, by string)
	DialForStranger(token uint64, peer identity.NodeID, reply *actor.PID, by string)
	CancelDial(token uint64, peer identity.NodeID, reply *actor.PID)
	HangUp(peer identity.NodeID, conn uint64)
	KeepOpen(tag string, peers []identity.NodeID)
	SetPlannedDials(n int)
	SetSeedTrouble(why string)
	KeepOpenTags(peer identity.NodeID) []string

	Store() peerstore.View
	AddPeer(token uint64, p peerstore.Peer, reply *actor.PID)
	Banned(peer identity.NodeID) error
	Allowed(peer identity.NodeID) bool
	Protected(peer identity.NodeID) bool
	WithoutDHT(p peerstore.Peer) bool
	Excluded() []protocol.AddressRange
}

var _ Trunk = trunk.Trunk{}
