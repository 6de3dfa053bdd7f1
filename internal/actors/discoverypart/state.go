package discoverypart

import (
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// State is the state of discovery, for the inspector and for people. All times are of the
// node's clock, which never steps.
type State struct {
	Join       JoinState
	Search     SearchState
	Sync       SyncState
	Neighbours SetsState
	Service    ServiceState
}

// JoinState is the state of the announcements. Only the actor join writes it.
type JoinState struct {
	Last             time.Time // when the last Join of this node was sent; zero: none yet
	Nodes, Confirmed int       // it was sent to so many nodes, of which so many have it
	Err              error     // why it went to nobody
	Next             time.Time // the earliest time of the next one; zero: when the node is online

	Heard   uint64            // Joins of other nodes
	Stored  uint64            // of these, with a claim that was stored
	Relayed uint64            // … and that were relayed
	Refused map[string]uint64 // … and that were refused, by reason
}

// SearchState is the state of the searches for keys. Only the actor search writes it.
type SearchState struct {
	Running       []Running
	Found, Failed uint64 // searches that have ended
	Answered      uint64 // Discoveries of others that this node has answered
	Refused       map[string]uint64
}

// Running is a search that is under way.
type Running struct {
	Key     identity.PublicKey
	Stage   string // "asking connected nodes for peers" or "asking the network"
	Since   time.Time
	Waiters int
}

// SyncState is the state of the exchange of peer lists. Only the actor netsync writes it.
type SyncState struct {
	Phase string    // in words: "waits for a first connection", "asks 5 nodes for peers", …
	Next  time.Time // when the next round begins; zero: no round is planned
	Round int
	Last  dht.SyncResult
	// Answers are those of the nodes that were asked in the last round.
	Answers []dht.SyncedNode
	Seeds   []dht.SeedState // of the configured seeds, in the order of their ids
	// BadSeedRecords counts DNS records that do not name a seed, and SeedNameErr is why
	// names could not be looked up.
	BadSeedRecords int
	SeedNameErr    error
	SeedTrouble    string // why the names give no seed, and what to check; empty: they give some
	// Starved is since when too few connections are outbound; zero: they are enough.
	Starved time.Time
	// Rebootstraps counts how often the node asked seeds and connected nodes anew.
	Rebootstraps int
}

// SetsState is the state of the neighbours and the random nodes. Only the actor neighbours
// writes it.
type SetsState struct {
	Neighbours, Random []Member // nearest to this node first
	Target, RandomSize int      // how many of each the node wants
	Dialling           int      // peers that are being dialled for the sets
}

// Member is a peer of a set.
type Member struct {
	Peer      identity.NodeID
	Connected bool
}

// ServiceState counts the requests for peers of other nodes.
type ServiceState struct {
	Served  uint64 // requests
	Peers   uint64 // handed out
	Refused uint64 // requests of peers that ask too often
}

// states has the last state of each actor. A state is never changed; the actor replaces it.
type states struct {
	join    atomic.Pointer[JoinState]
	search  atomic.Pointer[SearchState]
	sync    atomic.Pointer[SyncState]
	sets    atomic.Pointer[SetsState]
	served  atomic.Uint64
	peers   atomic.Uint64
	refused atomic.Uint64
}

// State returns the state of discovery now. It may be called from any goroutine.
func (d *Discovery) State() State {
	var s State
	load(&s.Join, &d.states.join)
	load(&s.Search, &d.states.search)
	load(&s.Sync, &d.states.sync)
	load(&s.Neighbours, &d.states.sets)
	s.Service = ServiceState{Served: d.states.served.Load(), Peers: d.states.peers.Load(), Refused: d.states.refused.Load()}
	return s
}

func load[T any](to *T, from *atomic.Pointer[T]) {
	if v := from.Load(); v != nil {
		*to = *v
	}
}
