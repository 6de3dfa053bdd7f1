// Package users is the room of the users' actors (extensions), of the protocol table and of what
// the node says of itself (services).
package users

import (
	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/view"
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
	signed        signed

	// Of services alone: they outlive its restarts.
	added []ma.Multiaddr // advertised for parts
	order []protocol.ID  // of the table, as they were added, but those that are listed later alone
}

// needs is what this room needs of the others, which is messages.
type needs interface {
	// Plain, Frames and Messagings return the messaging protocols; without the DHT, Frames is nil.
	Plain() *messengers.Messaging
	Frames() *messengers.Messaging
	Messagings() []*messengers.Messaging
	// Outcomes returns the one whose messages may have a topic, and Topics the handlers of those.
	Outcomes() *messengers.Messaging
	Topics() *view.Map[string, *actor.PID]
	// Reserved reports whether a protocol id has a fixed meaning between nodes.
	Reserved(id protocol.ID) bool
	// Carries reports whether pid is the actor of the node's own messaging protocol with this id.
	Carries(id protocol.ID, pid *actor.PID) bool
}

// NewRoom makes the room.
func NewRoom(b *base.Base, s Settings, needs needs) *Room {
	return &Room{Base: b, Settings: s, needs: needs}
}

// openHandler has the messages of peers go to an actor, those with a topic or those without one. nil: to nobody, and those
// without a topic are refused.
func (r *Room) openHandler(topic string, pid *actor.PID) {
	if topic != "" {
		r.needs.Topics().Set(topic, pid)
		return
	}
	r.needs.Plain().Handler.Open(pid)
	r.needs.Outcomes().Handler.Open(pid)
}

// closeHandler has the messages of peers without a topic wait for a handler. Those with one are refused meanwhile: they
// would have all others wait.
func (r *Room) closeHandler(topic string) {
	if topic != "" {
		r.needs.Topics().Set(topic, nil)
		return
	}
	r.needs.Plain().Handler.Close()
	r.needs.Outcomes().Handler.Close()
}

// deleteHandler has the messages of peers be refused. It returns the protocols that have no handler any more.
func (r *Room) deleteHandler(c actor.Context, topic string) (refused []*messengers.Messaging) {
	if topic != "" {
		r.needs.Topics().Delete(topic)
	} else {
		r.openHandler("", nil)
	}
	for _, m := range []*messengers.Messaging{r.needs.Plain(), r.needs.Outcomes()} {
		if (topic == "" || m != r.needs.Plain()) && m.Refuse(c) {
			refused = append(refused, m)
		}
	}
	return refused
}
