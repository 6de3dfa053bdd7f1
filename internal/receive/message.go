// Package receive hands messages of peers to the function of an application, or to its loops: one
// at a time, with their credit, and from the durable inbox if there is one.
package receive

import (
	"context"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/inboxpart"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Message is a message from a peer. Its fields are those of the root package's.
type Message struct {
	From identity.PublicKey
	Peer identity.NodeID
	Body []byte
	Seq  uint64
	At   time.Time
	Lost uint64
	ID   actors.MessageID
	DHT  *actors.OverDHT

	Topic   string
	Attempt int

	conn     uint64 // the connection, for a message without an inbox
	listener uint64 // has the message in hand, with an inbox
	keep     func() // gives the credit back: it was handled; nil: there is none
	fail     func() // gives the credit back: who had it in hand has not handled it
	refuse   func() // gives the credit back: nobody had it in hand
}

// plain makes a Message of a received one, and keeps its credit.
func plain(m actors.Received) Message {
	keep := m.Keep()
	fail := keep
	if f, ok := m.Credit.(interface{ Fail() }); ok { // its sender may wait for that
		fail = f.Fail
	}
	return Message{From: m.From, Peer: m.Peer, Body: m.Body, ID: m.ID, Topic: m.Topic, Attempt: 1, conn: m.Conn, keep: keep, fail: fail, refuse: m.Refuse}
}

// Kept makes a Message of one that the inbox has handed out.
func Kept(m inboxpart.KeptMessage) Message {
	return Message{From: m.From, Peer: m.Peer, Body: m.Body, Seq: m.Seq, At: m.At, Lost: m.Lost, ID: m.ID, Topic: m.Topic, DHT: m.DHT, Attempt: m.Attempt, listener: m.Listener}
}

func (m *Message) release(handled bool) {
	switch {
	case m.keep == nil:
	case handled:
		m.keep()
	default:
		m.fail()
	}
}

// source names the peer to which a panic on the message is attributed.
func (m *Message) source() supervisor.Source { return actors.Origin{Peer: m.Peer, Conn: m.conn} }

// EachKept calls f with one message of an inbox after the other, those with the topic or those without one, until listen ends or f
// returns false for goOn. A message for which f returns true for handled is acknowledged, together with
// others; any other is declined, so that it rests, or goes back if f does not go on. In the end EachKept waits, within
// ctx, until the acknowledgements are on the disk.
func EachKept(ctx, listen context.Context, in *inboxpart.Inbox, topic string, f func(Message) (handled, goOn bool)) error {
	acked := false
	for m, err := range in.Listen(listen, actors.ListenOptions{Topic: topic}) {
		if err != nil {
			return err
		}
		if listen.Err() != nil {
			break
		}
		handled, goOn := f(Kept(m))
		switch {
		case handled:
			in.Handled(m.Seq)
			acked = true
		case goOn:
			in.Decline(m.Listener, m.Seq) // it makes way for the messages behind it
		}
		if !goOn {
			break
		}
	}
	if !acked {
		return nil
	}
	return in.Settle(ctx)
}
