package safpart

import (
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
)

type (
	// Fetch asks the actor client to ask peers for the messages that they store for this
	// node: the named ones, or, without names, the closest connected ones that store
	// messages. Reply: Fetched. The token names the request in [GiveUp].
	Fetch struct {
		Token uint64
		Peers []identity.NodeID
	}
	// Fetched replies to Fetch, when each of the peers had nothing new in the end or was
	// given up.
	Fetched struct {
		saf.Fetched
		Err error // why nobody was asked, such as saf.ErrNobodyToAsk
	}
	// GiveUp says that nobody waits any more for the reply to the Fetch with this token.
	GiveUp struct{ Token uint64 }

	// Purge asks the actor keeper to delete what it stores for a node, or, with All, for
	// everybody. Reply: Purged, when the deletions are on the disk.
	Purge struct {
		To  identity.NodeID
		All bool
	}
	// Purged replies to Purge.
	Purged struct {
		Messages int
		Bytes    int64
		Err      error
	}

	// GetState asks either actor for its state. Reply: ServerState or ClientState.
	GetState struct{}

	// AwaitLoaded asks the actor keeper to answer when it has read what is stored. Reply:
	// Loaded.
	AwaitLoaded struct{}
	// Loaded replies to AwaitLoaded.
	Loaded struct{ Err error }
)

// StorageTroubled is published when the store of messages for others is full or cannot be
// read or written, and again when the reason changes.
type StorageTroubled struct{ Trouble }

// StorageHealed is published when messages for others are stored again, and none has to make
// way for another one.
type StorageHealed struct{}

// StoredMessagesReceived is published once after a start, when as many peers have answered
// as were connected when the node came online: most of the messages that others stored for
// this node have been received (spec: dht 8.6).
type StoredMessagesReceived struct{ Responses int }
