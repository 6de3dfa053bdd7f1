package dht

import (
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// OutboundEffects is what an [Outbound] wants done, in this order. It is valid
// until the next call.
type OutboundEffects struct {
	// Progress is for the [Ledger].
	Progress []Progress
	// Withdraw takes back what Write has given out, unless it is written. Each
	// ends in one call of Sent all the same.
	Withdraw []Write
	// Write goes to the messaging sessions of peers; each ends in one call of
	// Sent.
	Write []Write
	// Discover asks for a peer that is not known; each ends in one call of
	// Discovered, or is forgotten.
	Discover []Discover
	// Released is the credit of messages of others of which no copy is under way
	// any more; each lease is discarded. Who has done that empties the list: what
	// is left in it goes with [Outbound.Abandon].
	Released []Lease
	// Wake, unless it is zero, is when Due is to be called, which is before the
	// time said last.
	Wake time.Time
}

// Write is one copy for one peer.
type Write struct {
	ID    uint64 // for Sent
	Peer  identity.NodeID
	Frame []byte
}

// Discover is a search for the holder of a key, on behalf of the send ID.
type Discover struct {
	ID    uint64
	Key   identity.PublicKey
	Until time.Time // when the send ends
}

// ProgressKind is what has become of a send.
type ProgressKind uint8

// The kinds of [Progress].
const (
	SendSelected ProgressKind = iota + 1 // Peers and Tag are known
	SendTried                            // a copy was given out
	SendSettled                          // a copy has its outcome
	SendEnded                            // all have, or there is none: Reason
)

// Progress is a step of one send.
type Progress struct {
	Kind        ProgressKind
	ID          uint64
	Peers       []identity.NodeID
	Tag         uint64
	Destination wire.Destination
	Copy        int // its place in Peers
	Outcome     protocol.Outcome
	Reason      SendReason
	Err         error
}
