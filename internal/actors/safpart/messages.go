package safpart

import (
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
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
		dht.Fetched
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
