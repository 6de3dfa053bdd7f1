package reach

import (
	"net/netip"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
)

// Trunk names what this part needs of the node. [actors.Trunk] implements and documents it.
type Trunk interface {
	SetAddresses(addrs []ma.Multiaddr, reply *actor.PID)
	MoveListener(to netip.Addr, reply *actor.PID)
	AddressGone(ip netip.Addr)
	Unplugged(ip netip.Addr)
}

var _ Trunk = actors.Trunk{}
