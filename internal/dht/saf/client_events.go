package saf

import (
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// ClientEvent is something that happened to a [Client]. It is one of [Connected],
// [Disconnected], [Online], [Fetch], [GaveUp], [NotSent], [Answered], [Missed] and [Due].
type ClientEvent interface{ clientEvent() }

type (
	// Connected says that there is a connection to a peer. Another one for the same peer
	// means that a new connection has taken the place of the old one.
	Connected struct {
		Peer   identity.NodeID
		Conn   uint64 // the connection
		Serves bool   // its features contain [identity.FeatureStoreForward]
	}

	// Disconnected says that a connection has ended without a successor. It may come after
	// the Connected of a later connection, which it does not concern.
	Disconnected struct {
		Peer identity.NodeID
		Conn uint64
	}

	// Online says that the node is online with so many connected peers.
	Online struct{ Peers int }

	// Fetch asks these servers, at most [MaxServers], for all messages that they keep for
	// this node. No servers means the closest connected ones. [Done] follows.
	Fetch[W comparable] struct {
		Waiter  W
		Servers []identity.NodeID
	}

	// GaveUp says that a waiter does not wait for its Done any more.
	GaveUp[W comparable] struct{ Waiter W }

	// NotSent says that a request to a peer was not written. It may come after further
	// requests to the peer, which it does not concern.
	NotSent struct {
		Peer identity.NodeID
		ID   uint32 // the number of the request
		Err  error
	}

	// Answered says how a response ended, for which [Client.Open] was true. It comes when
	// the application has finished all its letters, or when one was given up. The server is
	// not asked before.
	Answered struct {
		Peer identity.NodeID
		Judged
		// Deliveries has the outcome of each letter, in their order.
		Deliveries []Delivery
	}

	// Missed says that a message for this node came another way and was not handled. The
	// servers may have it, and are asked again.
	Missed struct{}

	// Due says that a time of [Client.Next] has come.
	Due struct{}
)

func (Connected) clientEvent()    {}
func (Disconnected) clientEvent() {}
func (Online) clientEvent()       {}
func (Fetch[W]) clientEvent()     {}
func (GaveUp[W]) clientEvent()    {}
func (NotSent) clientEvent()      {}
func (Answered) clientEvent()     {}
func (Missed) clientEvent()       {}
func (Due) clientEvent()          {}

// ClientEffect is what to do for a [Client]. It is one of [Ask], [Done], [Save], [Silent]
// and [Received].
type ClientEffect interface{ clientEffect() }

type (
	// Ask sends a request to a connected peer: clear, unsigned, and to nobody in
	// particular. If it is not written, reply with [NotSent].
	Ask struct {
		Peer    identity.NodeID
		Request wire.StoredRequest
	}

	// Done ends the fetch of a waiter. With Err nothing was asked.
	Done[W comparable] struct {
		Waiter W
		dht.Fetched
		Err error
	}

	// Save writes the watermark of a server to the disk. It is later than the one before.
	Save struct{ Watermark }

	// Silent says that a server is not asked until then, because of [SilentAfter]. A response
	// of the server ends that.
	Silent struct {
		Peer identity.NodeID
		Till time.Time
	}

	// Received says, once, that this node has had as many responses as it had peers when it
	// first came online: it has most of what was kept for it (spec: dht 8.6).
	Received struct{ Responses int }
)

func (Ask) clientEffect()      {}
func (Done[W]) clientEffect()  {}
func (Save) clientEffect()     {}
func (Silent) clientEffect()   {}
func (Received) clientEffect() {}

// Delivery is the outcome of a letter.
type Delivery uint8

const (
	// Refused: no actor took the letter, because none handles its type, or it is stuck. The
	// letter does not count as delivered, so that a later fetch brings it again.
	Refused Delivery = iota
	// Delivered: an actor or the inbox has it, and it is recorded as seen.
	Delivered
	// Duplicate: the message came in another way meanwhile.
	Duplicate
	// InHand is a Duplicate of a message that its actor has not finished yet. It comes
	// again if the actor fails.
	InHand
)

// String returns the outcome in words.
func (d Delivery) String() string {
	switch d {
	case Refused:
		return "refused"
	case Delivered:
		return "delivered"
	case Duplicate:
		return "duplicate"
	case InHand:
		return "duplicate, in hand"
	}
	return "unknown"
}
