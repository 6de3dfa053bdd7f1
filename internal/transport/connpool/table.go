package connpool

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Table decides about connections that arrive and end. Each peer has at most one live
// connection: every Announce is followed by one Withdraw unless another Announce replaces
// it. A second connection, in the other direction, may stay unannounced for a moment: until
// the live one has answered a ping, or has ended and the second replaces it. C identifies a
// connection. A Table is not safe for concurrent use.
//
// spec: comms 10.3.
type Table[C comparable] struct {
	own   identity.NodeID
	peers map[identity.NodeID]*pair[C]
}

// Verb is an action on a connection.
type Verb uint8

const (
	// Announce: publish that the connection is the peer's live one. A connection may
	// be announced again.
	Announce Verb = iota
	// Retire: another connection replaces this one. Write nothing new on it; when
	// everything that either side has written is read, end it, unannounced.
	Retire
	// CloseSilently: end the connection, unannounced.
	CloseSilently
	// Withdraw: publish that the connection has ended.
	Withdraw
	// Prove: ping the connection, and call Proven when the pong of a ping sent from
	// now on arrives.
	Prove
)

// String returns the verb in words.
func (v Verb) String() string {
	switch v {
	case Announce:
		return "announce"
	case Retire:
		return "retire"
	case CloseSilently:
		return "close silently"
	case Withdraw:
		return "withdraw"
	case Prove:
		return "prove"
	}
	return "unknown"
}

// Act is one action for the caller.
type Act[C comparable] struct {
	Verb Verb
	Conn C
	Mark uint64 // of Prove: the argument for Proven; grows from one to the next
}

// NewTable returns an empty table for the node with the id own.
func NewTable[C comparable](own identity.NodeID) *Table[C] {
	return &Table[C]{own: own, peers: make(map[identity.NodeID]*pair[C])}
}

// Arrive reports that a connection to peer was set up, and returns the actions, in order. Of
// two in the same direction the newer is the one whose set-up began later, whichever arrives
// first. The live connection is announced even if it was before, so that the dialer learns
// which one it got.
func (t *Table[C]) Arrive(peer identity.NodeID, conn C, d protocol.Direction, began time.Time) []Act[C] {
	p, ok := t.peers[peer]
	if !ok {
		p = &pair[C]{favoured: favoured(t.own, peer)}
		t.peers[peer] = p
	}
	return p.arrive(conn, d, began)
}

// Proven reports that a connection has answered the ping of a Prove.
func (t *Table[C]) Proven(peer identity.NodeID, conn C, mark uint64) []Act[C] {
	if p, ok := t.peers[peer]; ok {
		return p.proven(conn, mark)
	}
	return nil
}

// Leave reports that this node is closing the live connection of a peer. A second one is
// closed with it. One that arrives from now on is announced after the end of the live one.
func (t *Table[C]) Leave(peer identity.NodeID) []Act[C] {
	if p, ok := t.peers[peer]; ok {
		return p.leave()
	}
	return nil
}

// LeaveAll is Leave for a node that is closing every connection of a peer. One that waits for the
// end of the live one is closed, too.
func (t *Table[C]) LeaveAll(peer identity.NodeID) []Act[C] {
	if p, ok := t.peers[peer]; ok {
		return p.leaveAll()
	}
	return nil
}

// End reports that a connection has ended. The end of one that was replaced or closed
// changes nothing.
//
// spec: comms 11.3.
func (t *Table[C]) End(peer identity.NodeID, conn C) []Act[C] {
	p, ok := t.peers[peer]
	if !ok {
		return nil
	}
	acts := p.end(conn)
	if _, ok := p.live(); !ok {
		delete(t.peers, peer)
	}
	return acts
}

// Get returns the live connection of peer.
func (t *Table[C]) Get(peer identity.NodeID) (conn C, ok bool) {
	p, ok := t.peers[peer]
	if !ok {
		return conn, false
	}
	d, ok := p.live()
	return p.links[d].conn, ok
}

// favoured returns the direction of the connection that survives when both nodes dialled:
// the one dialled by the node with the smaller id. So both nodes decide alike, whichever
// connection each of them sees first.
func favoured(own, peer identity.NodeID) protocol.Direction {
	if own.Compare(peer) < 0 {
		return protocol.Outbound
	}
	return protocol.Inbound
}
