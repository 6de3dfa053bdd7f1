package saf

import (
	"fmt"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// Priority decides how long a message is stored, and which messages make way for others.
type Priority uint8

const (
	Low  Priority = 1
	High Priority = 10
)

// String returns "low" or "high".
func (p Priority) String() string {
	switch p {
	case Low:
		return "low"
	case High:
		return "high"
	}
	return fmt.Sprintf("priority %d", uint8(p))
}

// MarshalText returns the same text as [Priority.String].
func (p Priority) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Rules decide whether a node may store a message for its destination.
type Rules struct {
	Key     identity.PublicKey // this node's
	Message int                // greatest body, in bytes
	Region  Region
}

// Destination is what a node knows about the destination of a message.
type Destination struct {
	Known, Banned bool
	Lately        bool // it is connected, or was so within [VisitAge]
}

// Storable decides on a message that the inbound chain has judged, and returns its
// priority. A message for a known peer gets High, one for an unknown peer Low. The
// reference gives High to both, against its own intention (Q8). A destination that was
// connected lately is inside the region, wherever its id is. Storable calls find for messages only
// that may be stored otherwise.
//
// spec: dht 8.2, V 38
func (r *Rules) Storable(m *dht.Incoming, find func(identity.NodeID) Destination) (Priority, Refusal) {
	e := &m.Envelope
	h := &e.Header
	switch {
	case m.Copies > 1:
		return 0, Repeated
	case len(e.Body) == 0:
		return 0, Empty
	case h.Expired(m.Wall.Unix()):
		return 0, Expired
	case len(e.Body) > r.Message:
		return 0, TooLong
	case h.Type != wire.TypeDomain:
		return 0, OtherType
	case !m.Sealed:
		return 0, Readable
	case len(h.Signature) == 0:
		return 0, Unsigned
	case h.Destination.Is(r.Key):
		return 0, ForUs
	case !h.Destination.Known, h.Destination.Key.IsZero():
		return 0, ForNobody
	}
	id := h.Destination.Key.NodeID()
	switch to := find(id); {
	case !to.Lately && !r.Region.Has(id):
		return 0, OutsideRegion
	case to.Banned:
		return 0, Banned
	case to.Known:
		return High, 0
	}
	return Low, 0
}
