package neighbours

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Event is an input of the machine.
type Event interface{ event() }

type (
	// Start begins the work. Connected events for the connections that exist already come
	// before it. Drawn are the nodes that an earlier machine had drawn at random: those of
	// them that are connected are drawn again.
	Start struct{ Drawn []identity.NodeID }

	// Connected reports a connection, in either direction. A second one for the same peer
	// means that another connection has taken the place of the first.
	Connected struct {
		Peer     identity.NodeID
		Outbound bool
	}

	// Disconnected reports that a peer has no connection any more.
	Disconnected struct {
		Peer identity.NodeID
		Why  End
	}

	// Dialled reports the end of a dial. With Err nil there is or was a connection, which
	// Connected reports too, before or after this event. A cancelled dial is not reported.
	Dialled struct {
		Peer identity.NodeID
		Err  error
	}

	// Failed reports a failed dial of somebody else.
	Failed struct{ Peer identity.NodeID }

	// Learned reports that peers came into the store.
	Learned struct{}

	// Online reports that the node is connected to others again.
	Online struct{}

	// Offline reports that the node has lost its last connection.
	Offline struct{}

	// Due reports that the time of the last Wake has come.
	Due struct{}
)

func (Start) event()        {}
func (Connected) event()    {}
func (Disconnected) event() {}
func (Dialled) event()      {}
func (Failed) event()       {}
func (Learned) event()      {}
func (Online) event()       {}
func (Offline) event()      {}
func (Due) event()          {}

// End says how a connection ended, as far as it matters for the next dial.
type End uint8

const (
	Lost     End = iota // it broke: the peer is dialled again after a moment
	Left                // the peer closed it: the peer has some time before it is dialled again
	Closed              // this node wanted it closed: it stays closed for a while
	Unneeded            // this node had no use for it, which may change at any time
)

// Effect is an action for the machine's owner.
type Effect interface{ effect() }

type (
	// Dial: connect to Peer. One Dialled follows, unless a Cancel comes first.
	Dial struct {
		Peer identity.NodeID
		For  Set
	}

	// Cancel: the dial is no longer wanted.
	Cancel struct{ Peer identity.NodeID }

	// Keep: the members of the sets are now these, neighbours first, each nearest first.
	// Their connections must not be closed because they are idle.
	Keep struct{ Neighbours, Random []identity.NodeID }

	// Close: end the connection, because the node keeps few.
	Close struct{ Peer identity.NodeID }

	// Wake: send Due at At. It replaces an earlier Wake.
	Wake struct{ At time.Time }
)

func (Dial) effect()   {}
func (Cancel) effect() {}
func (Keep) effect()   {}
func (Close) effect()  {}
func (Wake) effect()   {}

// Set names one of the two sets.
type Set uint8

const (
	Neighbour Set = iota + 1
	Random
)

// String returns the name of the set.
func (s Set) String() string {
	switch s {
	case Neighbour:
		return "neighbour"
	case Random:
		return "random"
	}
	return "none"
}

// View is what the machine asks about peers. Its methods must not change anything, and
// must answer at once.
type View interface {
	// Closest returns up to n nodes, nearest to target first, that may be in a set and
	// are connected or can be dialled, and that pass ok. cooling says that all addresses
	// of the node failed within the last day. It stops at the n-th.
	Closest(target identity.NodeID, n int, ok func(peer identity.NodeID, cooling bool) bool) []identity.NodeID
	// Eligible reports whether a connected peer may be in a set. It may not if it is a
	// client, on the allow list, banned, excluded by its addresses, or known to run
	// without the DHT.
	Eligible(peer identity.NodeID) bool
	// Connected reports whether the peer has a connection.
	Connected(peer identity.NodeID) bool
	// KeptOpen reports whether the peer's connection is kept open, so that it must not be
	// closed.
	KeptOpen(peer identity.NodeID) bool
}
