// Package messengers is the room of messages between neighbours: from the sender through the
// credit and queue of a peer to its session, which writes them and has them proven; and from the
// peer's substream to a receiver.
package messengers

import (
	"slices"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
	"github.com/gamelan-p2p/gamelan/internal/taps"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Settings are the settings of messages. They never change.
type Settings struct {
	NodeCredit int64 // bytes of messages in work, of both directions together
	PeerCredit int64 // bytes of messages in work of one peer in one direction

	// DHT says that the profile's messaging protocol carries the DHT's frames. PlainID
	// is the protocol of plain messages: the profile's or another one.
	DHT     bool
	PlainID protocol.ID
}

// Room is the room of messages between neighbours.
type Room struct {
	*base.Base
	Settings
	needs needs

	// Taps shows messages and peers to those who trace them.
	Taps taps.Taps
	// Plain carries plain messages.
	Plain *Messaging
	// Frames carries the DHT's frames, which a part receives. It is nil without
	// Settings.DHT.
	Frames *Messaging
	// Outcomes carries messages whose outcome says more than that they were read, and Answers what
	// became of them. A part receives both.
	Outcomes, Answers *Messaging
	// Topics are the handlers of messages with a topic, as Handler of Outcomes is of those without. A nil PID is one that
	// has failed and may be started again. The actor extensions writes it.
	Topics view.Map[string, *actor.PID]

	// Budgets is the credit that all messages and calls of the node may hold.
	Budgets credit.NodeBudgets

	// Full says that received messages cannot be kept now. A part writes it, and publishes
	// users.ProtocolsChanged, since the node lists [protocol.FullMarker] meanwhile.
	Full atomic.Bool

	notTaken view.Recent[notTakenKey, actors.NotTaken]
	ended    ended
}

// needs is what this room needs of the others.
type needs interface {
	// Unreachable is dialling's: why a message to a peer can fail at once.
	Unreachable(peer identity.NodeID) error
	// Window is of connections: how many bytes of a substream may arrive unread.
	Window() int
}

// NewRoom makes the room.
func NewRoom(b *base.Base, s Settings, needs needs) *Room {
	r := &Room{Base: b, Settings: s, needs: needs, Budgets: credit.NewNodeBudgets(s.NodeCredit)}
	r.Outcomes = newOurs(r, outcomes.ID, b.At("services/with-ids"))
	r.Answers = newOurs(r, outcomes.AnswersID, b.At("services/answers")).control()
	main := b.At("services/messaging")
	if !s.DHT {
		r.Plain = newMessaging(r, s.PlainID, main, "messaging")
		return r
	}
	r.Frames = newMessaging(r, b.Profile.MessagingID, main, "dht").control()
	r.Plain = newMessaging(r, s.PlainID, b.At("services/plain"), "messaging")
	return r
}

// Messagings returns the messaging protocols of the node.
func (r *Room) Messagings() []*Messaging {
	all := make([]*Messaging, 0, 4)
	for _, m := range []*Messaging{r.Frames, r.Plain, r.Outcomes, r.Answers} {
		if m != nil {
			all = append(all, m)
		}
	}
	return all
}

// Sessions returns the sessions of a peer, one for each messaging protocol with traffic.
func (r *Room) Sessions(peer identity.NodeID) (list []*actor.PID) {
	for _, m := range r.Messagings() {
		if session, ok := m.Sessions.Get(peer); ok {
			list = append(list, session.PID)
		}
	}
	return list
}

// Pending returns the credit, in bytes, of messages to a peer that were accepted and have no outcome yet.
func (r *Room) Pending(peer identity.NodeID) (n int64) {
	for _, m := range r.Messagings() {
		n += m.accounts.used(peer)
	}
	return n
}

// Handling returns the credit, in bytes, of the messages of a peer that are being handled or wait for it,
// and the most there may be.
func (r *Room) Handling(peer identity.NodeID) (used, limit int64) {
	for _, m := range r.Messagings() {
		limit += r.PeerCredit
		if session, ok := m.Sessions.Get(peer); ok && session.handling != nil {
			used += session.handling.Used()
		}
	}
	return used, limit
}

// PlainBesideFrames reports whether the peer has a session of plain messages on a node that has
// the DHT's frames, too.
func (r *Room) PlainBesideFrames(peer identity.NodeID) bool {
	if r.Frames == nil {
		return false
	}
	_, ok := r.Plain.Sessions.Get(peer)
	return ok
}

// IsMessaging reports whether a protocol carries messages.
func (r *Room) IsMessaging(id protocol.ID) bool {
	return slices.ContainsFunc(r.Messagings(), func(m *Messaging) bool { return m.ID == id })
}

// Credit returns the bytes in use and the limit of each direction.
func (r *Room) Credit() (inUsed, inLimit, outUsed, outLimit int64) {
	return r.Budgets.Inbound.Used(), r.Budgets.Inbound.Limit(), r.Budgets.Outbound.Used(), r.Budgets.Outbound.Limit()
}
