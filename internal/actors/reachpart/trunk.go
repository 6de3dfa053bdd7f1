package reachpart

import (
	"context"
	"net/netip"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// Trunk names what this part needs of the node. [trunk.Trunk] implements and documents it.
type Trunk interface {
	System() *actor.ActorSystem
	Now() time.Time
	Wall() time.Time
	Key() identity.PublicKey
	Signed(of identity.Signature) bool
	OnWall(t time.Time) time.Time
	Shown(t time.Time) time.Time
	NewID() uint64
	PID(path string) *actor.PID
	Services() *actor.PID
	Connectivity() *actor.PID
	Connections() *view.Map[identity.NodeID, *actors.ConnRef]
	OpenSubstream(on *actors.ConnRef, token uint64, reply *actor.PID, ids ...protocol.ID)
	SetAddresses(addrs []ma.Multiaddr, reply *actor.PID)
	MoveListener(to netip.Addr, reply *actor.PID)
	AddressGone(ip netip.Addr)
	Unplugged(ip netip.Addr)
	DialAnew()
	Draining() (since time.Time, ok bool)
	ExpectProbe(token string, until time.Time) bool
	MayDial(to ma.Multiaddr) bool
	DialRaw(ctx context.Context, to ma.Multiaddr) (transport.Conn, error)
}

var _ Trunk = trunk.Trunk{}
