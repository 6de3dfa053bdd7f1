package dht

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// OutboundEffects lists what the caller of an [Outbound] has to do, in this order. It
// is valid until the next call.
type OutboundEffects struct {
	// Progress goes to [Ledger.Apply].
	Progress []Progress
	// Withdraw takes back copies of an earlier Write that are not written yet. Each
	// Write ends in one call of Sent all the same.
	Withdraw []Write
	// Write goes to the messaging sessions of peers; each ends in one call of
	// Sent.
	Write []Write
	// Discover starts searches for unknown peers; each ends in one call of
	// Discovered, or in none.
	Discover []Discover
	// Released is the credit of relayed messages whose copies have all ended. The
	// caller discards each credit and then empties the list, because
	// [Outbound.Abandon] returns the credits that are left in it.
	Released []Credit
	// Reached goes to the [Store]. The caller then empties the list.
	Reached []Reached
	// Wake is when Due is to be called, which is earlier than the last Wake. Zero
	// changes nothing.
	Wake time.Time
}

// Write is one copy for one peer. ID identifies it in [Outbound.Sent].
type Write struct {
	ID    uint64
	Peer  identity.NodeID
	Frame []byte
}

// Discover is a search for the holder of a key, on behalf of the send ID.
type Discover struct {
	ID    uint64
	Key   identity.PublicKey
	Until time.Time // when the send ends
}

// ProgressKind is a kind of [Progress].
type ProgressKind uint8

// The kinds of [Progress].
const (
	SendSelected ProgressKind = iota + 1 // Peers and Tag are known
	SendTried                            // a copy was given to a messaging session
	SendSettled                          // a copy has its outcome
	SendEnded                            // all copies have, or there are none: Reason
)

// Progress is a step of one send.
type Progress struct {
	Kind        ProgressKind
	ID          uint64
	Control     bool // the send is of a message of the DHT itself
	Peers       []identity.NodeID
	Tag         uint64
	Destination identity.PublicKey
	ToStore     bool // see [Report]
	Copy        int  // its index in Peers
	Outcome     protocol.Outcome
	Reason      SendReason
	Err         error
}
