package discoverypart

import "github.com/gamelan-p2p/gamelan/dht"

type (
	// SendJoin asks the actor join to announce this node now. Reply: JoinSent.
	SendJoin struct{ Token uint64 }
	// JoinSent replies to SendJoin, when every copy has its outcome.
	JoinSent struct {
		Token  uint64
		Report dht.Report
		Err    error // why no Join was sent, such as ErrNothingToAnnounce
	}

	// SyncNow asks the actor netsync to ask nodes for peers now, whatever its own plan is.
	// Reply: Synced, when the round has ended.
	SyncNow struct{ Token uint64 }
	// Synced replies to SyncNow.
	Synced struct {
		Token uint64
		dht.Synced
		Err error // why nobody was asked
	}

	// ListPeers asks the actor netsync to read the peer lists of connected nodes that it has
	// not asked within the hour, on behalf of searches (spec: V22). Reply: PeersListed, at
	// once if there is nobody to ask.
	ListPeers struct{ Token uint64 }
	// PeersListed replies to ListPeers, when the peers of all lists are in the peer store.
	PeersListed struct {
		Token uint64
		Asked int // nodes
	}
)
