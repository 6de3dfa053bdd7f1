package netsync

import (
	"errors"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Errors of syncs that a machine itself ended.
var (
	ErrTimeLimit = errors.New("netsync: no complete answer within the time limit")
	ErrAbandoned = errors.New("netsync: no longer needed")
)

// Purpose says which machine asks for a sync, and why. A machine asks one peer for one
// purpose at a time, so that both together name a sync.
type Purpose uint8

const (
	ForRound    Purpose = iota // a round of Rounds
	ForConnect                 // a node has connected
	ForSeed                    // a seed, by Bootstrap
	ForRecovery                // by Recovery
	ForSearch                  // a search for a key; no machine asks for it
)

// String returns the purpose in words.
func (p Purpose) String() string {
	switch p {
	case ForRound:
		return "round"
	case ForConnect:
		return "on connect"
	case ForSeed:
		return "bootstrap"
	case ForRecovery:
		return "recovery"
	case ForSearch:
		return "search"
	}
	return "unknown"
}

// Event is an input of a machine. A machine ignores events that do not concern it.
type Event interface{ event() }

type (
	// Online reports that the node is connected to others.
	Online struct{}

	// Offline reports that the node has lost its last connection.
	Offline struct{}

	// Connected reports a new connection of a peer; Node: the peer is no client.
	Connected struct {
		Peer identity.NodeID
		Node bool
	}

	// Synced reports the end of a sync, with or without an error. One Synced follows
	// each Sync, also an abandoned one. New and Known count the peers of the answer that
	// were unknown and known before, and Skipped those of no use; they count after an error
	// too.
	Synced struct {
		For                 Purpose
		Peer                identity.NodeID
		New, Known, Skipped int
		Peers               []identity.NodeID // of the answer, in its order; Recovery reads them
		Err                 error
	}

	// Begin begins the bootstrap: the node has just started. Usable is the number of
	// known peers that it could use.
	Begin struct {
		Usable int
		Seeds  []identity.NodeID // in the order in which to ask them
	}

	// RoundWanted asks Rounds for one round at once.
	RoundWanted struct{}

	// Failed reports that this node cannot store peers. It ends the round.
	Failed struct{ Err error }

	// Recovered reports to Rounds that Recovery has ended.
	Recovered struct{}

	// Tick reports the node's outbound connections to Recovery, at regular intervals.
	Tick struct {
		Outbound int // connected nodes that this node has dialled
		Target   int // nodes that it wants to be connected to
		Spare    int // other nodes that it could dial
	}

	// Starved reports to Recovery that too few connections are outbound.
	Starved struct{}

	// Dialled reports the end of a dial that Dial asked for.
	Dialled struct {
		Peer identity.NodeID
		Err  error
	}

	// Resolved reports that the names of the seeds were looked up, as Resolve asked.
	Resolved struct{}

	// Restarted reports that the owner has lost all syncs and wakes, and the answers to
	// them.
	Restarted struct{}

	// Due reports that the time of an earlier Wake has come.
	Due struct{}
)

func (Online) event()      {}
func (Offline) event()     {}
func (Connected) event()   {}
func (Synced) event()      {}
func (Begin) event()       {}
func (RoundWanted) event() {}
func (Failed) event()      {}
func (Recovered) event()   {}
func (Tick) event()        {}
func (Starved) event()     {}
func (Dialled) event()     {}
func (Resolved) event()    {}
func (Restarted) event()   {}
func (Due) event()         {}

// Effect is an action for the owner of a machine.
type Effect interface{ effect() }

type (
	// Sync: connect to the peer if necessary, ask it for N peers, and store the unknown
	// ones. Reply: Synced. The owner gives up at Until.
	Sync struct {
		For       Purpose
		Peer      identity.NodeID
		N         int
		Store     int // store at most so many; 0: all
		Clients   bool
		Connected bool // the peer is connected already
		Until     time.Time
	}

	// Abandon: end the sync at once. The owner still reports Synced.
	Abandon struct {
		For  Purpose
		Peer identity.NodeID
	}

	// Wake: send Due at At, once. Earlier Wakes stay valid.
	Wake struct{ At time.Time }

	// Learned: a sync has brought unknown peers. It is the only news of them.
	Learned struct {
		Peer identity.NodeID // whose answer it was
		New  int
	}

	// RoundEnded: a round of Rounds has ended. A round that RoundWanted asked for has no
	// answers if the node knows nobody to ask.
	RoundEnded struct{ Round Round }

	// Bootstrapped: the bootstrap has ended; see [Bootstrap.Seeds].
	Bootstrapped struct{}

	// Starving: too few connections are outbound, and Recovery begins.
	Starving struct{ Outbound, Target int }

	// Resolve: look up the names of seeds. Reply: Resolved, in at most ResolveLimit.
	Resolve struct{}

	// Dial: connect to the peer. Reply: Dialled.
	Dial struct{ Peer identity.NodeID }

	// Rebootstrapped: Recovery has ended.
	Rebootstrapped struct {
		Answers []Answer          // in the order of interleaving
		Peers   []identity.NodeID // the nodes to try first, at most MaxLearned
	}
)

func (Sync) effect()           {}
func (Abandon) effect()        {}
func (Wake) effect()           {}
func (Learned) effect()        {}
func (RoundEnded) effect()     {}
func (Bootstrapped) effect()   {}
func (Starving) effect()       {}
func (Resolve) effect()        {}
func (Dial) effect()           {}
func (Rebootstrapped) effect() {}
