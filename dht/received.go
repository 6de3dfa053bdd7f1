package dht

import (
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// Received is a message for the application, as the actor of its type hears it.
// Its credit goes back when Receive returns, or later if Keep was called: until
// then it counts against the peer it came from.
type Received struct {
	// From is who wrote it, proven by a signature; the zero key when the message
	// does not say. Then only the connection to Peer vouches for it.
	From identity.PublicKey
	// Peer is who it came from, on the connection Conn.
	Peer identity.NodeID
	Conn uint64
	// Destination is whom the header names. A message in clear for somebody else
	// is delivered here all the same, and passed on by nobody (spec: dht 3.5).
	Destination wire.Destination
	Encrypted   bool
	Tag         uint64
	Type        int32 // the application's
	Body        []byte
	// Copies is how often the message has come, this time included: 1 unless the
	// node lets messages through more than once.
	Copies uint32

	Lease Lease // its credit; the library's own
}

// Lease is the credit of one message. All its methods may be called more than
// once and from any goroutine; nil is a message without credit.
type Lease interface {
	Finish()                // Receive has returned
	Discard()               // nobody handles the message
	Keep() (release func()) // Finish is not the end
	Source() any            // whose message it is
}

// Finish gives the credit back; the mailbox calls it when Receive has returned.
func (m Received) Finish() {
	if m.Lease != nil {
		m.Lease.Finish()
	}
}

// Discard gives the credit of a message back that nobody handled.
func (m Received) Discard() {
	if m.Lease != nil {
		m.Lease.Discard()
	}
}

// Source makes a panic on the message count against the peer it came from.
func (m Received) Source() any {
	if m.Lease != nil {
		return m.Lease.Source()
	}
	return nil
}

// Keep holds the credit after Receive has returned, until release is called:
// for handlers that pass the body on to slow work. Release may be called from
// any goroutine, more than once. A restart of the actor calls it for nobody: have
// supervisor.Own do so when it is kept in the actor.
func (m Received) Keep() (release func()) {
	if m.Lease == nil {
		return func() {}
	}
	return m.Lease.Keep()
}

// Heard is a message of the DHT itself, as the part of the node for its type hears
// it: the actor that is provided as [ProviderOf] its type. Its credit goes back when
// Receive returns, or later if Keep was called.
type Heard struct {
	*Incoming
	Conn  uint64 // that it came on
	Lease Lease
}

// Finish gives the credit back; the mailbox calls it when Receive has returned.
func (m Heard) Finish() { m.Lease.Finish() }

// Discard gives the credit of a message back that nobody handled.
func (m Heard) Discard() { m.Lease.Discard() }

// Source makes a panic on it count against the peer.
func (m Heard) Source() any { return m.Lease.Source() }

// Keep holds the credit after Receive has returned, until release is called.
func (m Heard) Keep() (release func()) { return m.Lease.Keep() }

// ProviderOf is the name under which a part of the node provides the actor that
// hears messages of a type of the DHT's own, as [Heard].
func ProviderOf(t MessageType) string { return "dht/" + t.String() }
