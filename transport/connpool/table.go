package connpool

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Table decides what becomes of connections that arrive and end. Each peer has
// at most one live connection: every Announce is followed by one Withdraw
// unless another Announce takes its place. A second one, in the other
// direction, may stay for a moment, of which nobody hears: until the live one
// has answered a ping, or has ended and the second takes its place. C names a
// connection. A Table is not safe for concurrent use.
//
// spec: comms 10.3.
type Table[C comparable] struct {
	own   identity.NodeID
	peers map[identity.NodeID]*pair[C]
}

// Verb is what to do with a connection.
type Verb uint8

const (
	// Announce: the connection is the peer's from now on; tell everybody. A
	// connection may be announced again.
	Announce Verb = iota
	// Retire: another one has taken the connection's place. Nothing new is
	// written on it; when what was written, by either side, has been read, end
	// it and tell nobody.
	Retire
	// CloseSilently: end the connection and tell nobody.
	CloseSilently
	// Withdraw: the connection is gone; tell everybody.
	Withdraw
	// Prove: ping the connection, and say so with Proven when the pong of a
	// ping sent from now on arrives.
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

// Act is one thing to do.
type Act[C comparable] struct {
	Verb Verb
	Conn C
	Mark uint64 // of Prove: what Proven repeats; grows from one to the next
}

// NewTable returns an empty table of the node own.
func NewTable[C comparable](own identity.NodeID) *Table[C] {
	return &Table[C]{own: own, peers: make(map[identity.NodeID]*pair[C])}
}

// Arrive says that a connection to peer was set up, and returns what to do, in
// order. Of two in the same direction the one whose set-up began later is the
// newer, whichever arrives first. The live connection is announced also when it was before, so that
// whoever dialled hears which one it got.
func (t *Table[C]) Arrive(peer identity.NodeID, conn C, d protocol.Direction, began time.Time) []Act[C] {
	p, ok := t.peers[peer]
	if !ok {
		p = &pair[C]{favoured: favoured(t.own, peer)}
		t.peers[peer] = p
	}
	return p.arrive(conn, d, began)
}

// Proven says that a connection has answered the ping that Prove asked for.
func (t *Table[C]) Proven(peer identity.NodeID, conn C, mark uint64) []Act[C] {
	if p, ok := t.peers[peer]; ok {
		return p.proven(conn, mark)
	}
	return nil
}

// Leave says that the live connection of a peer is being closed, because
// somebody here wants that. A second one is closed with it. One that arrives
// from now on is announced after the end of the live one.
func (t *Table[C]) Leave(peer identity.NodeID) []Act[C] {
	if p, ok := t.peers[peer]; ok {
		return p.leave()
	}
	return nil
}

// End says that a connection is gone. The end of one that was replaced or
// closed changes nothing.
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

// favoured returns the direction that survives of two connections that cross,
// because both nodes dialled: of the one that the node with the smaller id
// dialled. So both nodes come to the same answer, whichever connection each of
// them sees first.
func favoured(own, peer identity.NodeID) protocol.Direction {
	if own.Compare(peer) < 0 {
		return protocol.Outbound
	}
	return protocol.Inbound
}
