package trunk

import (
	"github.com/asynkron/protoactor-go/actor"
	"github.com/gamelan-p2p/gamelan/protocol"
	ma "github.com/multiformats/go-multiaddr"
)

// UsersSettings are the settings of what users register. They never change.
type UsersSettings struct {
	UserAgent string
}

// UsersRoom is the room of the users' actors, of the protocol table and of what the node says of
// itself. Its state outlives restarts of the actors.
type UsersRoom struct {
	*Base
	UsersSettings
	needs usersNeeds

	// Types is the table of users' actors for message types; nil: there are none. Set before
	// the tree starts.
	Types TypeTable

	registrations registrations
	added         []ma.Multiaddr // advertised for parts; only services uses it
}

// usersNeeds is what this room needs of the others, which is messages.
type usersNeeds interface {
	// Plain, Frames and Messagings return the messaging protocols; without the DHT, Frames is nil.
	Plain() *Messaging
	Frames() *Messaging
	Messagings() []*Messaging
	// Reserved reports whether a protocol id has a fixed meaning between nodes.
	Reserved(id protocol.ID) bool
	// Carries reports whether pid is the actor of the node's own messaging protocol with this id.
	Carries(id protocol.ID, pid *actor.PID) bool
}

// NewUsersRoom makes the room.
func NewUsersRoom(b *Base, s UsersSettings, needs usersNeeds) *UsersRoom {
	return &UsersRoom{Base: b, UsersSettings: s, needs: needs}
}
