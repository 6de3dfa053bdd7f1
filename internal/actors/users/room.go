// Package users is the room of the users' actors (extensions), of the protocol table and of what
// the node says of itself (services).
package users

import (
	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Settings are the settings of what users register. They never change.
type Settings struct {
	UserAgent string
}

// Room is the room of the users' actors, of the protocol table and of what the node says of
// itself. Its state outlives restarts of the actors.
type Room struct {
	*base.Base
	Settings
	needs needs

	// Types is the table of users' actors for message types; nil: there are none. Set before
	// the tree starts.
	Types TypeTable

	registrations registrations
	added         []ma.Multiaddr // advertised for parts; only services uses it
}

// needs is what this room needs of the others, which is messages.
type needs interface {
	// Plain, Frames and Messagings return the messaging protocols; without the DHT, Frames is nil.
	Plain() *messengers.Messaging
	Frames() *messengers.Messaging
	Messagings() []*messengers.Messaging
	// Handled returns those whose messages go to the handler, Plain first.
	Handled() []*messengers.Messaging
	// Reserved reports whether a protocol id has a fixed meaning between nodes.
	Reserved(id protocol.ID) bool
	// Carries reports whether pid is the actor of the node's own messaging protocol with this id.
	Carries(id protocol.ID, pid *actor.PID) bool
}

// NewRoom makes the room.
func NewRoom(b *base.Base, s Settings, needs needs) *Room {
	return &Room{Base: b, Settings: s, needs: needs}
}

// openHandler has the messages of peers go to an actor; nil: to nobody, and their substreams end.
func (r *Room) openHandler(pid *actor.PID) {
	for _, m := range r.needs.Handled() {
		m.Handler.Open(pid)
	}
}

// closeHandler has the messages of peers wait for a handler.
func (r *Room) closeHandler() {
	for _, m := range r.needs.Handled() {
		m.Handler.Close()
	}
}
