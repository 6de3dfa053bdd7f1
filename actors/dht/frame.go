package dht

import (
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// Frame is one message of a peer on the DHT's messaging protocol, as the inbound
// chain hears it: an envelope. Its credit goes back when Receive returns, unless
// it went on with another message.
type Frame struct {
	Peer identity.NodeID
	Key  identity.PublicKey
	Conn uint64
	Body []byte

	permit *credit.Permit
	group  *group           // nil: alone
	place  int              // in it
	origin peerstore.Origin // where the connection came from
}

// Finish says that the frame was judged, and gives its credit back if that did not
// go on; the mailbox calls it when Receive has returned.
func (m Frame) Finish() {
	m.permit.Finish()
	m.group.judged(m.place, m.Peer)
}

// Discard gives the credit of a frame back that nobody handled.
func (m Frame) Discard() {
	m.permit.Discard()
	m.group.judged(m.place, m.Peer)
}

// Source makes a panic on it count against the peer.
func (m Frame) Source() any { return actors.Origin{Peer: m.Peer, Conn: m.Conn} }

// pass hands the credit on to another message, which from now on says when it
// goes back: the end of Receive is not the frame's end any more. A panic later
// in the same turn discards the frame, and with it the credit.
func (m Frame) pass() passedCredit {
	m.permit.Pass()
	return passedCredit{m.permit, actors.Origin{Peer: m.Peer, Conn: m.Conn}}
}

// passedCredit is the credit of a frame in the hands of the message that it was
// passed on to.
type passedCredit struct {
	permit *credit.Permit
	source actors.Origin
}

func (p passedCredit) Finish()             { p.permit.FinishPassed() }
func (p passedCredit) Discard()            { p.permit.Discard() }
func (p passedCredit) Keep() (done func()) { return p.permit.KeepPassed() }
func (p passedCredit) Source() any         { return p.source }
