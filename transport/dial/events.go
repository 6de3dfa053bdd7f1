package dial

import (
	"errors"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Errors that the scheduler itself settles wishes with.
var (
	ErrCancelled  = errors.New("dial: cancelled")
	ErrNotAdopted = errors.New("dial: no connection was announced after a successful dial")
	ErrQueueFull  = errors.New("dial: too many wishes wait")
)

// Event is something that happened.
type Event interface{ event() }

type (
	// Wanted says that somebody needs a connection to Peer. Automatic wishes
	// are the node's own ideas: they share a budget and respect a peer that
	// was busy. Others are dialled at once. Attempts is how often to dial
	// before giving up; 0 is the default of Options.
	Wanted struct {
		Peer      identity.NodeID
		Automatic bool
		Attempts  int
	}

	// Dialled says that an attempt is over. Err nil: the session was handed on
	// and will be announced, or refused. One Dialled follows each Attempt,
	// also one that was cancelled.
	Dialled struct {
		Peer  identity.NodeID
		Err   error
		Class Class // of Err
	}

	// Refused says that a session was handed on and not taken, because the
	// peer is banned for instance. A session that loses a tie-break is not
	// refused: the surviving connection is announced instead.
	Refused struct {
		Peer identity.NodeID
		Err  error
	}

	// Connected says that a connection was announced, ours or theirs.
	Connected struct{ Peer identity.NodeID }

	// Cancelled says that nobody wants Peer any more.
	Cancelled struct{ Peer identity.NodeID }

	// Eased says that of those who want Peer only the node itself is left: the
	// wish is automatic again. An attempt that runs goes on.
	Eased struct{ Peer identity.NodeID }

	// Due says that the time of an earlier Wake has come.
	Due struct{}
)

func (Wanted) event()    {}
func (Dialled) event()   {}
func (Refused) event()   {}
func (Connected) event() {}
func (Cancelled) event() {}
func (Eased) event()     {}
func (Due) event()       {}

// Class says what a failed attempt means for the next one.
type Class uint8

const (
	Transient Class = iota // try again while attempts are left
	Busy                   // closed before Noise message 2: busy, or it does not want us; back off longer (V9)
	Final                  // trying again cannot help: handshake failed, wrong key, banned, all addresses excluded
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

// Effect is something to do.
type Effect interface{ effect() }

type (
	// Attempt: dial Peer. Try counts from 1.
	Attempt struct {
		Peer identity.NodeID
		Try  int
	}

	// Cancel: end the running attempt.
	Cancel struct{ Peer identity.NodeID }

	// Wake: send Due at At, once. Wakes asked for before stay.
	Wake struct{ At time.Time }

	// Settled: answer everybody who wanted Peer. Err nil: there is a
	// connection.
	Settled struct {
		Peer identity.NodeID
		Err  error
	}
)

func (Attempt) effect() {}
func (Cancel) effect()  {}
func (Wake) effect()    {}
func (Settled) effect() {}
