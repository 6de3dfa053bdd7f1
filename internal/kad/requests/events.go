package requests

import (
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Ref names a request under way for the asker.
type Ref uint64

// Event is an input of the machine.
type Event interface{ event() }

type (
	// Ask begins a request. The effects say what becomes of it, under the name Ref.
	Ask struct {
		Ref  Ref
		Verb overlay.Verb
		To   overlay.Address
		// Peer is who has to answer. The zero id stands for whoever has the address.
		Peer overlay.ID
		// Soft is when the request is slow, Hard when it is lost, both from now.
		Soft, Hard time.Duration
		// Resend sends the request again, with the same id, after Soft and after twice
		// Soft while Hard has not passed. It is for datagrams, and never for a Store.
		Resend bool
	}

	// Answer is an answer that came in.
	Answer struct {
		ID   overlay.RequestID
		Verb overlay.Verb
		From overlay.Address
		Peer overlay.ID
	}

	// Closed says that the connection to an address has ended; what was asked there is
	// lost.
	Closed struct{ To overlay.Address }

	// Cancel withdraws a request. It ends as [Lost] with [Cancelled].
	Cancel struct{ Ref Ref }

	// Due reports that the time of the last Wake has come.
	Due struct{}
)

func (Ask) event()    {}
func (Answer) event() {}
func (Closed) event() {}
func (Cancel) event() {}
func (Due) event()    {}

// Effect is an action for the machine's owner.
type Effect interface{ effect() }

type (
	// Send: send the request with this id. Left is the time until it is lost, which the
	// comms wire carries. Copy is 0 for the first time, 1 and 2 when it goes again.
	Send struct {
		Ref  Ref
		ID   overlay.RequestID
		To   overlay.Address
		Left time.Duration
		Copy int
	}

	// Slow: no answer has come within the soft limit. The request goes on.
	Slow struct{ Ref Ref }

	// Answered: the answer that the machine was just given belongs to this request.
	Answered struct {
		Ref  Ref
		Peer overlay.ID
		// Took is the time since the request was sent for the first time. Measured says
		// that it is a round-trip time, because the request was sent once only.
		Took     time.Duration
		Measured bool
		// Echoed says that the answer carried the id of the request, which proves that its
		// sender can be reached at its address, unless it is a Pong.
		Echoed bool
	}

	// Lost: the request has ended without an answer.
	Lost struct {
		Ref Ref
		Why Reason
	}

	// Dropped: the answer that the machine was just given belongs to no request.
	Dropped struct{ Why Drop }

	// Wake: send Due at At. It replaces an earlier Wake.
	Wake struct{ At time.Time }
)

func (Send) effect()     {}
func (Slow) effect()     {}
func (Answered) effect() {}
func (Lost) effect()     {}
func (Dropped) effect()  {}
func (Wake) effect()     {}

// Reason says why a request is lost.
type Reason uint8

// The reasons. Full, Busy and Unsendable blame no contact: nothing was sent.
const (
	Timeout    Reason = iota + 1 // the hard limit has passed
	Broken                       // the connection has ended
	Cancelled                    // the asker has withdrawn it
	Full                         // too many requests are under way
	Busy                         // too many requests to this address are under way
	Superseded                   // the machine was given the same Ref again
	Unsendable                   // the gateway cannot carry the message, or not to this address
	Replaced                     // another node has answered from the address of the contact
)

// String returns the reason in words.
func (r Reason) String() string {
	switch r {
	case Timeout:
		return "no answer"
	case Broken:
		return "connection lost"
	case Cancelled:
		return "cancelled"
	case Full:
		return "too many requests under way"
	case Busy:
		return "too many requests to this contact under way"
	case Superseded:
		return "replaced"
	case Unsendable:
		return "cannot be sent through this gateway"
	case Replaced:
		return "another node has its address"
	}
	return "unknown"
}

// Blames reports whether the contact is to blame.
func (r Reason) Blames() bool { return r == Timeout || r == Broken || r == Replaced }

// Drop says why an answer belongs to no request.
type Drop uint8

// The reasons.
const (
	NoRequest   Drop = iota + 1 // its id is that of no request under way: foreign, late or a second one
	ForeignAddr                 // it came from another address than the request went to
	ForeignPeer                 // it is from another contact
	ForeignVerb                 // it is no answer to such a request
)

// String returns the reason in words.
func (d Drop) String() string {
	switch d {
	case NoRequest:
		return "no such request"
	case ForeignAddr:
		return "another address"
	case ForeignPeer:
		return "another contact"
	case ForeignVerb:
		return "another kind of answer"
	}
	return "unknown"
}
