// Package receive hands messages of peers to the function of an application, or to its loops: one
// at a time, with their credit, and from the durable inbox if there is one.
package receive

import (
	"context"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/inboxpart"
)

// Message is a message from a peer. Its fields are those of the root package's.
type Message struct {
	From identity.PublicKey
	Peer identity.NodeID
	Body []byte
	Seq  uint64
	DHT  *actors.OverDHT

	conn uint64 // the connection, for a message without an inbox
	keep func() // gives the credit back; nil: there is none
}

// plain makes a Message of a received one, and keeps its credit.
func plain(m actors.Received) Message {
	return Message{From: m.From, Peer: m.Peer, Body: m.Body, conn: m.Conn, keep: m.Keep()}
}

// kept makes a Message of one that the inbox has handed out.
func kept(m actors.KeptMessage) Message {
	return Message{From: m.From, Peer: m.Peer, Body: m.Body, Seq: m.Seq, DHT: m.DHT}
}

func (m *Message) release() {
	if m.keep != nil {
		m.keep()
	}
}

// source names the peer to which a panic on the message is attributed.
func (m *Message) source() any { return actors.Origin{Peer: m.Peer, Conn: m.conn} }

// EachKept calls f with one message of an inbox after the other until listen ends or f
// returns false for goOn. A message for which f returns true for handled is acknowledged, within ctx;
// any other is declined, so that it waits for the next listener.
func EachKept(ctx, listen context.Context, in *inboxpart.Inbox, f func(Message) (handled, goOn bool)) error {
	for m, err := range in.Listen(listen, actors.ListenOptions{}) {
		if err != nil {
			return err
		}
		if listen.Err() != nil {
			return nil
		}
		handled, goOn := f(kept(m))
		switch {
		case handled:
			if err := in.Ack(ctx, m.Seq); err != nil {
				return err
			}
		case goOn:
			in.Decline(m.Seq) // it makes way for the messages behind it
		}
		if !goOn {
			return nil
		}
	}
	return nil
}
