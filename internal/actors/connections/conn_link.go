package connections

import (
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/link"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
)

// over drops the session and returns a copy of the ref for the history. A ref that
// somebody keeps would otherwise keep the session in memory. The copy gets a new PID,
// because the old one has a cached pointer to the actor.
func over(r *actors.ConnRef) *actors.ConnRef {
	if live := r.Link().Live; live != nil {
		live.Session.Store(nil)
	}
	past := *r
	past.Link().Live, past.PID = nil, actor.NewPID(r.PID.Address, r.PID.Id)
	return &past
}

// closes notes why this node closes the connection.
func closes(r *actors.ConnRef, why *actors.CloseReason) {
	if live := r.Link().Live; live != nil {
		live.Closing.Store(&link.Closing{Reason: why})
	}
}

// Lost returns why the connection was lost, for users of its substreams: err, or, if this
// node has closed the connection, why it did so. To a substream that is only a connection
// which this side has closed.
func Lost(r *actors.ConnRef, err error) error {
	if r == nil || r.Link().Live == nil || !errors.Is(err, mux.ErrSessionEnded) {
		return err
	}
	closing := r.Link().Live.Closing.Load()
	if closing == nil {
		return err
	}
	why, _ := closing.Reason.(*actors.CloseReason)
	if why == nil || why.Code == actors.CloseEnded {
		return err
	}
	return &lostError{*why, err}
}

// lostError is the error of a substream on a connection that this node has closed. The
// error of the substream is left out of the text.
type lostError struct {
	why actors.CloseReason
	err error
}

func (e *lostError) Error() string { return e.why.String() }

// Unwrap returns the error of the substream and, if there is one, that of the close.
func (e *lostError) Unwrap() []error {
	if e.why.Err == nil {
		return []error{e.err}
	}
	return []error{e.err, e.why.Err}
}
