package gamelan

import (
	"context"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
)

// Message is a message from a peer, for [WithMessages] and [Node.Messages].
type Message struct {
	// From is the author's public key. It is zero for a DHT message that names none.
	From identity.PublicKey
	// Peer is the node id of the peer that delivered the message. For a plain message
	// that is its author.
	Peer identity.NodeID
	// Body must not be changed.
	Body []byte
	// Seq is the message's number in the inbox, which grows with every message. It is 0 without
	// [WithInbox].
	Seq uint64
	// DHT holds the fields of a message over the DHT, and is nil for a plain message. Only an
	// inbox with InboxConfig.Types delivers messages over the DHT.
	DHT *OverDHT

	node    *Node
	conn    uint64 // the connection, for a message without an inbox
	release func() // gives the credit back
}

// Reply sends a plain message to the peer that delivered m, as [Node.Send] does.
func (m Message) Reply(ctx context.Context, body []byte, opts ...SendOption) (Outcome, error) {
	return m.node.Send(ctx, m.Peer, body, opts...)
}

// source names the peer to which a panic on the message is attributed.
func (m Message) source() any { return actors.Origin{Peer: m.Peer, Conn: m.conn} }

// plainMessage makes a Message of a received one, and keeps its credit.
func (n *Node) plainMessage(m actors.Received) Message {
	return Message{From: m.From, Peer: m.Peer, Body: m.Body, node: n, conn: m.Conn, release: m.Keep()}
}

// keptMessage makes a Message of one that the inbox has handed out.
func (n *Node) keptMessage(m KeptMessage) Message {
	return Message{From: m.From, Peer: m.Peer, Body: m.Body, Seq: m.Seq, DHT: m.DHT, node: n, release: func() {}}
}
