package dial

import (
	"errors"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Errors with which the scheduler itself settles wishes.
var (
	ErrCancelled  = errors.New("dial: cancelled")
	ErrNotAdopted = errors.New("dial: no connection was announced after a successful dial")
	ErrQueueFull  = errors.New("dial: too many peers wait to be dialled")
)

// Event is an input of the scheduler.
type Event interface{ event() }

type (
	// Wanted asks for a connection to Peer. Automatic wishes come from the node
	// itself: they share a limit, and wait for a peer that was busy. Others are
	// dialled at once. Attempts is how many times to dial before giving up; 0 is the
	// default of Options.
	Wanted struct {
		Peer      identity.NodeID
		Automatic bool
		Attempts  int
	}

	// Dialled reports the end of an attempt. Err nil: the connection was handed on
	// and will be announced or refused. One Dialled follows each Attempt, even a
	// cancelled one.
	Dialled struct {
		Peer  identity.NodeID
		Err   error
		Class Class // of Err
	}

	// Refused reports that a connection that was handed on was not accepted, for
	// instance because the peer is banned. A connection that loses a tie-break is
	// not refused: the surviving connection is announced instead.
	Refused struct {
		Peer identity.NodeID
		Err  error
	}

	// Connected reports that a connection was announced, in either direction.
	Connected struct{ Peer identity.NodeID }

	// Cancelled reports that no request for Peer is left.
	Cancelled struct{ Peer identity.NodeID }

	// Eased reports that only automatic requests for Peer are left: the wish is
	// automatic again. A running attempt goes on.
	Eased struct{ Peer identity.NodeID }

	// Due reports that the time of an earlier Wake has come.
	Due struct{}
)

func (Wanted) event()    {}
func (Dialled) event()   {}
func (Refused) event()   {}
func (Connected) event() {}
func (Cancelled) event() {}
func (Eased) event()     {}
func (Due) event()       {}

// Class classifies a failed attempt by its meaning for the next one.
type Class uint8

const (
	Transient Class = iota // try again while attempts are left
	Busy                   // closed before Noise message 2: busy, or it refuses this node; back off longer (V9)
	Final                  // no retry can succeed: handshake failed, wrong key, banned, all addresses excluded
)

// String returns the class in one word.
func (c Class) String() string {
	switch c {
	case Transient:
		return "transient"
	case Busy:
		return "busy"
	case Final:
		return "final"
	}
	return "unknown"
}

// Effect is an action for the scheduler's owner.
type Effect interface{ effect() }

type (
	// Attempt: dial Peer. Try counts from 1.
	Attempt struct {
		Peer identity.NodeID
		Try  int
	}

	// Cancel: end the running attempt.
	Cancel struct{ Peer identity.NodeID }

	// Wake: send Due at At, once. Earlier Wakes stay valid.
	Wake struct{ At time.Time }

	// Settled: answer all requests for Peer. Err nil: there is a connection.
	Settled struct {
		Peer identity.NodeID
		Err  error
	}
)

func (Attempt) effect() {}
func (Cancel) effect()  {}
func (Wake) effect()    {}
func (Settled) effect() {}
