package dhtpart

import (
	"sync"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Frame is one message from a peer on the DHT's messaging protocol: an encoded envelope
// for the inbound chain. Its credit is returned when Receive returns, unless Receive
// passed the credit on to another message.
type Frame struct {
	Peer identity.NodeID
	Key  identity.PublicKey
	Conn uint64
	Body []byte

	permit *credit.Permit
	group  *group           // frames that are verified together with this one; nil: none
	over   error            // why it is dropped without being verified; may be nil
	place  int              // index in group
	origin peerstore.Origin // where the connection came from
}

// Finish returns the frame's credit unless it was passed on, and tells the flood meter
// that the frame was judged. The mailbox calls it when Receive has returned.
func (m Frame) Finish() {
	m.permit.Finish()
	m.group.judged(m.place, m.Peer)
}

// Discard returns the credit of a frame that nobody handled.
func (m Frame) Discard() {
	m.permit.Discard()
	m.group.judged(m.place, m.Peer)
}

// Source returns the peer and its connection: a panic on the frame counts against that
// peer.
func (m Frame) Source() supervisor.Source { return actors.Origin{Peer: m.Peer, Conn: m.Conn} }

// pass passes the frame's credit on to another message. From now on that message
// decides when the credit is returned, and the end of Receive does not return it. If
// Receive panics later in the same turn, the frame is discarded and its credit returned.
func (m Frame) pass() passedCredit {
	m.permit.Pass()
	return passedCredit{m.permit, actors.Origin{Peer: m.Peer, Conn: m.Conn}, m.origin}
}

// passedCredit is the credit of a frame after it was passed on to another message.
type passedCredit struct {
	permit *credit.Permit
	source actors.Origin
	origin peerstore.Origin // where the connection came from
}

func (p passedCredit) Finish()                   { p.permit.FinishPassed() }
func (p passedCredit) Discard()                  { p.permit.Discard() }
func (p passedCredit) Keep() (done func())       { return p.permit.KeepPassed() }
func (p passedCredit) Refuse()                   { p.permit.Discard() }
func (p passedCredit) Source() supervisor.Source { return p.source }

// HandOver returns the credit for a new owner.
func (p passedCredit) HandOver() dht.HeardCredit { return p.with(p.permit.HandOver()) }

// Split hands the credit over to parts.
func (p passedCredit) Split(lengths ...int) []dht.HeardCredit {
	all := make([]dht.HeardCredit, len(lengths))
	for i, part := range p.permit.Split(lengths...) {
		all[i] = p.with(part)
	}
	return all
}

func (p passedCredit) with(permit *credit.Permit) passedCredit {
	p.permit = permit
	return p
}

// handlerCredit is the credit of a message that the handler of its type has or waits for. It
// is told once whether the handler has finished the message.
type handlerCredit struct {
	passedCredit
	dht    *DHT
	hash   wire.Hash
	copies uint32     // see [dht.Incoming]
	sealed bool       // it was encrypted for this node: a server may have stored it
	size   int        // bytes on the wire
	stored *storedEnd // nil: the message was not stored for this node
	once   sync.Once
}

// end records the end of the message. What no handler has finished may come again, stored by
// a server.
func (h *handlerCredit) end(handled, refused bool) {
	h.once.Do(func() {
		switch {
		case refused && h.stored == nil && h.copies <= 1:
			h.dht.Dedup.Forget(h.hash) // not after Release: a stored copy may be in hand by then
		case handled || h.copies <= 1: // a further copy says nothing of the first one
			h.dht.Dedup.Release(h.hash, h.source.Peer, h.dht.trunk.Wall(), handled)
		}
		if h.stored == nil && !handled && h.copies <= 1 {
			h.dht.frames.Lost(h.source.Peer, h.size)
		}
		switch {
		case h.stored == nil && !handled && h.sealed:
			h.dht.missed()
		case h.stored == nil:
		case handled:
			h.stored.tell(dht.Delivered)
		default:
			h.stored.tell(dht.HandlerFailed)
		}
	})
}

// Finish gives the credit back, unless it is kept: Receive has returned.
func (h *handlerCredit) Finish() {
	if h.permit.FinishPassed() {
		h.end(true, false)
	}
}

// Discard gives the credit back: no actor handles the message.
func (h *handlerCredit) Discard() {
	h.permit.Discard()
	h.end(false, false)
}

// Refuse is Discard, and lets a later copy from a relay be delivered too. After a further
// copy of a message that was delivered before, it does not: otherwise all copies would
// count as new, and more of them than configured be delivered.
func (h *handlerCredit) Refuse() {
	h.permit.Discard()
	h.end(false, true)
}

// Keep keeps the credit beyond Finish, until release.
func (h *handlerCredit) Keep() (release func()) {
	back := h.permit.KeepPassed()
	return func() {
		back()
		h.end(true, false)
	}
}
