package dht

import (
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// Received is a message for the application, as the actor registered for its type
// receives it. The message holds credit of the peer that it came from, until Receive
// returns or, after Keep, until it is released.
type Received struct {
	// From is the author's key, proven by a signature. It is the zero key if the
	// message is not signed: then only the connection to Peer vouches for it.
	From identity.PublicKey
	// Peer is the peer that sent it to us, on the connection Conn.
	Peer identity.NodeID
	Conn uint64
	// Destination is the key that the message is addressed to, zero if it is
	// addressed to nobody in particular. A clear message for somebody else is
	// delivered here all the same, and relayed by nobody (spec: dht 3.5).
	Destination identity.PublicKey
	Encrypted   bool
	Tag         uint64
	Type        int32 // the application's message type
	Body        []byte
	// Copies is how often the message has come, this time included. It is 1 unless
	// the node lets messages through more than once.
	Copies uint32
	// Stored says that Peer had kept the message for this node and sent it on request,
	// maybe long after it was written. From is proven all the same (spec: dht 8.5).
	Stored bool
	// Expires is when nodes stop relaying the message, in Unix seconds by its author's clock;
	// 0 means never. Nodes set it [DefaultExpires] after they send (spec: dht 2.2).
	Expires uint64

	Credit Credit // for the library alone
}

// Credit is the memory that one message holds of its peer's share, until it is given
// back. All its methods may be called more than once and from any goroutine. A message
// that holds none has a nil Credit.
type Credit interface {
	Finish()                         // gives the credit back, unless it is kept: Receive has returned
	Discard()                        // gives the credit back: no actor handles the message
	Keep() (release func())          // keeps the credit beyond Finish, until release
	Refuse()                         // gives the credit back, kept or not: the handler has no room for the message
	Source() interface{ Outsider() } // the peer whose credit it is, a supervisor.Source
}

// HeardCredit is the credit of a message that is for a part of the node.
type HeardCredit interface {
	Credit
	// HandOver returns the credit for a new owner. From then on Finish, Discard and
	// release of the old one do nothing.
	HandOver() HeardCredit
	// Split hands the credit over to parts of these lengths. It goes back as a whole,
	// when every part has given its own back.
	Split(lengths ...int) []HeardCredit
}

// Finish gives the message's credit back. The mailbox calls it when Receive has
// returned.
func (m Received) Finish() {
	if m.Credit != nil {
		m.Credit.Finish()
	}
}

// Discard gives the credit of an unhandled message back.
func (m Received) Discard() {
	if m.Credit != nil {
		m.Credit.Discard()
	}
}

// Source returns the peer that a panic on the message counts against.
func (m Received) Source() interface{ Outsider() } {
	if m.Credit != nil {
		return m.Credit.Source()
	}
	return nil
}

// Keep keeps the message's credit after Receive has returned, until release is called.
// Handlers that pass the body on to slow work use it. Release may be called more than
// once and from any goroutine. An actor that keeps release in its state should give it
// to supervisor.Own, because a restart of the actor does not call it.
func (m Received) Keep() (release func()) {
	if m.Credit == nil {
		return func() {}
	}
	return m.Credit.Keep()
}

// Refuse gives the credit of a message back, kept or not, for which its handler has no room: a later copy of the message is
// delivered as if it were the first one.
func (m Received) Refuse() {
	if m.Credit != nil {
		m.Credit.Refuse()
	}
}

// Heard is a message of the DHT itself, as the part of the node for its type receives
// it: the actor that is provided as [ProviderOf] its type. Its credit goes back when
// Receive returns, or later if Keep was called.
type Heard struct {
	*Incoming
	Conn   uint64 // the connection that it came on
	Credit HeardCredit
}

// Finish gives the message's credit back. The mailbox calls it when Receive has
// returned.
func (m Heard) Finish() { m.Credit.Finish() }

// Discard gives the credit of an unhandled message back.
func (m Heard) Discard() { m.Credit.Discard() }

// Source returns the peer that a panic on the message counts against.
func (m Heard) Source() interface{ Outsider() } { return m.Credit.Source() }

// Keep keeps the credit after Receive has returned, until release is called.
func (m Heard) Keep() (release func()) { return m.Credit.Keep() }

// ProviderOf is the name under which a part of the node provides the actor that
// hears messages of a type of the DHT's own, as [Heard].
func ProviderOf(t wire.MessageType) string { return "dht/" + t.String() }
