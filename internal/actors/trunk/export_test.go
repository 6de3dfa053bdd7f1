package trunk

import (
	"github.com/asynkron/protoactor-go/actor"
)

// Rooms are what the tests of single actors run them with.
type Rooms struct {
	*Base
	Book         *PeersRoom
	Connectivity *ConnectivityRoom
	Messages     *MessagesRoom
	Users        *UsersRoom
}

// NewRooms makes the rooms of a node.
func NewRooms(s Settings) *Rooms {
	h := newHouse(s)
	return &Rooms{h.Base, h.peers, h.connectivity, h.messages, h.users}
}

// The actors that tests run alone.
func NewPeers(r *Rooms) actor.Actor        { return newPeers(r.Book) }
func NewConnectivity(r *Rooms) actor.Actor { return newConnectivity(r.Connectivity) }
func NewExtensions(r *Rooms) actor.Actor   { return newExtensions(r.Users) }
