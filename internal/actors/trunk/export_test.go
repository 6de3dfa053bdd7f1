package trunk

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/connectivity"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
)

// Rooms are what the tests of single actors run them with.
type Rooms struct {
	*base.Base
	Book         *peerbook.Room
	Connectivity *connectivity.Room
	Messages     *messengers.Room
	Users        *users.Room
}

// NewRooms makes the rooms of a node.
func NewRooms(s Settings) *Rooms {
	h := newRooms(s)
	return &Rooms{h.Base, h.peerbook, h.connectivity, h.messengers, h.users}
}

// The actors that tests run alone.
func NewPeers(r *Rooms) actor.Actor        { return peerbook.NewPeers(r.Book) }
func NewConnectivity(r *Rooms) actor.Actor { return connectivity.NewConnectivity(r.Connectivity) }
func NewExtensions(r *Rooms) actor.Actor   { return users.NewExtensions(r.Users) }
