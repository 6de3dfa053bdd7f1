package dht

import (
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// StoredMessagesReceived is published once after a start, when as many peers have answered
// as were connected when the node came online: most of the messages that others stored for
// this node have been received (spec: dht 8.6).
type StoredMessagesReceived struct{ Responses int }

// StorageTrouble says why messages for others are not stored as they should be. The zero
// value says that they are.
type StorageTrouble struct {
	// Full says that messages make way for others, or are not stored, because of the limits
	// in all. It ends when a twentieth of the store is free again.
	Full     bool
	Messages int // of a full store, when it became full
	Bytes    int64
	// Err is the error of the last read or write of the disk. Until it is gone, messages for
	// others are relayed only.
	Err error
}

// StorageTroubled is published when the store of messages for others is full or cannot be
// read or written, and again when the reason changes.
type StorageTroubled struct{ StorageTrouble }

// StorageHealed is published when messages for others are stored again, and none has to make
// way for another one.
type StorageHealed struct{}

// FetchResult is how one server was asked for the messages that it stores for this node.
type FetchResult struct {
	Server     identity.NodeID
	Answers    int
	Messages   int // in the answers, repeated ones included
	Delivered  int
	Duplicates int // delivered before, or in another way
	Refused    int // that no actor took: no handler for its type, or a stuck one
	Skipped    int // damaged, or expired long ago
	Ahead      int // stored more than five minutes ahead of our clock; they count above too
	// Err is nil if the server had nothing new in the end. Otherwise it may have more. It is
	// a *protocol.Violation if the server was banned for its answer.
	Err error
}

// Fetched is what a fetch of stored messages has brought. A run that was under way already counts from its
// beginning.
type Fetched struct{ Servers []FetchResult }

// Delivered returns how many messages were delivered.
func (f Fetched) Delivered() (n int) {
	for _, r := range f.Servers {
		n += r.Delivered
	}
	return n
}

// Complete reports whether no server had anything new in the end, and at least one was
// asked.
func (f Fetched) Complete() bool {
	return len(f.Servers) > 0 && !slices.ContainsFunc(f.Servers, func(r FetchResult) bool { return r.Err != nil })
}

// Synced is how a round of asking nodes for the peers that they know has ended.
type Synced struct {
	Result SyncResult
	Nodes  []SyncedNode
}

// SyncResult sums up a round. Times are of the node's clock.
type SyncResult struct {
	At                  time.Time // zero: there was none
	Asked, Answered     int       // nodes
	New, Known, Skipped int       // peers: not known before, known before, not usable
}

// SyncedNode is what one node gave.
type SyncedNode struct {
	SeedState
	New int // peers that were not known before
}

// SeedState is what is known of a seed, or of another node that was asked for peers.
type SeedState struct {
	Peer     identity.NodeID
	At       time.Time // of the last attempt; zero: it was not asked yet
	Answered bool      // to the last attempt
	Peers    int       // that it told of
	Err      error     // why it did not answer
}

// Events of finding others. Times are of the node's clock.
type (
	// PeersLearned is published when unknown peers were stored: from a peer list, a Join
	// or a Discovery.
	PeersLearned struct{ New int }
	// NeighboursChanged is published when the neighbours or the random nodes, or which
	// of them are connected, have changed.
	NeighboursChanged struct {
		Neighbours, Random []identity.NodeID
		Connected          int // of both
	}
	// PoolStarved is published when too few connections to nodes are outbound, for
	// several checks in a row.
	PoolStarved struct{ Outbound, Target int }
	// Rebootstrapped is published when the node has asked seeds and connected nodes again
	// because it was starved. Peers are the nodes to try first, at most 200, in turn from
	// each of the asked nodes.
	Rebootstrapped struct {
		Asked, Learned int
		Peers          []identity.NodeID
	}
	// Joined is published when a Join of this node was sent.
	Joined struct {
		At        time.Time
		Nodes     int // that it was sent to
		Confirmed int
		Err       error // why it went to nobody
	}
)

// StoredReport is what a check of the store says of the messages that are stored for others.
type StoredReport struct {
	Schema   int // schema version of the entries; 0: the store has no messages yet
	Current  int // schema version that this release writes
	Messages int
	Bytes    int64 // of all entries
	Damaged  int   // messages that cannot be read, or not all of them; a node deletes them
}
