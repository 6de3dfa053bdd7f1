package kad

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Errors of clients.
var (
	// ErrConfig reports settings that cannot work. The error says which.
	ErrConfig = errors.New("kad: bad configuration")
	// ErrNameTaken reports a second client of the same name on one host.
	ErrNameTaken = errors.New("kad: a client of this name runs already")
	// ErrClosed reports the use of a client that was closed, or whose host has ended.
	ErrClosed = errors.New("kad: the client is closed")
	// ErrNotFound reports a key under which no node that was asked stores a value.
	ErrNotFound = errors.New("kad: not found")
	// ErrNoPeers reports that the client knows no other node.
	ErrNoPeers = errors.New("kad: no other node is known; give bootstrap addresses, or wait until one connects")
	// ErrIsolated reports that no known node answers.
	ErrIsolated = errors.New("kad: no known node answers; the client keeps trying")
	// ErrNoGateway reports a client without a network.
	ErrNoGateway = errors.New("kad: the client has no network")
	// ErrUnreachable reports a contact that no gateway of the client reaches, or that does
	// not answer. Errors that match it are an [*UnreachableError].
	ErrUnreachable = errors.New("kad: no answer")
	// ErrOverlay reports a call that the client's overlay does not have.
	ErrOverlay = errors.New("kad: not in this overlay")
	// ErrRestarted reports a call that was under way when an actor failed. Call again.
	ErrRestarted = errors.New("kad: an actor of the client was restarted meanwhile; try again")
	// ErrBusy reports that as many calls as allowed are under way.
	ErrBusy = errors.New("kad: too many calls are under way; try again later")
	// ErrStore reports a disk that did not take a publication.
	ErrStore = errors.New("kad: the publication could not be written to the disk")
	// ErrSchema reports records that a newer release has written.
	ErrSchema = errors.New("kad: written by a newer release")
	// ErrNotRunning, ErrAlreadyRunning report calls of a facade at the wrong time.
	ErrNotRunning     = errors.New("kad: not running")
	ErrAlreadyRunning = errors.New("kad: runs already")
	// ErrTooManyProtocols and ErrNetworkInUse report a node that cannot offer the protocol
	// of another client.
	ErrTooManyProtocols = errors.New("kad: the node offers as many protocols as it may")
	ErrNetworkInUse     = errors.New("kad: another client of this node uses the network")

	// Errors of records.
	ErrKeyLength    = overlay.ErrIDLength
	ErrKeyMismatch  = record.ErrMismatch
	ErrBadSignature = record.ErrBadSignature
	ErrExpired      = record.ErrExpired
)

type (
	// PartialError reports a put that fewer nodes than the quorum accepted.
	PartialError = overlay.PartialError
	// LimitError reports a lookup that took more than it may.
	LimitError = overlay.LimitError
)

// UnreachableError reports a node that was not reached.
type UnreachableError struct {
	Address Address
	Cause   string
}

// Error names the address and the cause.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("kad: %s: %s", e.Address, e.Cause)
}

// Is makes the error match [ErrUnreachable].
func (e *UnreachableError) Is(target error) bool {
	return target == ErrUnreachable
}

// LookupFailedError reports a lookup whose actor failed. Steps are what it had done.
type LookupFailedError struct {
	Steps []Step
	Cause string
}

// Error says how far the lookup came.
func (e *LookupFailedError) Error() string {
	return fmt.Sprintf("kad: the lookup failed after %d steps: %s; try again", len(e.Steps), e.Cause)
}

// KeptError reports a put that failed after its record was written down: the client keeps it, and
// publishes it under Key. Err says what was wrong.
type KeptError struct {
	Key  Key
	Err  error
	text string // of the key
}

// Error says that the value is kept, and its key.
func (e *KeptError) Error() string {
	return fmt.Sprintf("kad: the value is kept under %s, and published again: %s", cmp.Or(e.text, e.Key.String()), words.Sentence(e.Err))
}

// Unwrap returns what was wrong.
func (e *KeptError) Unwrap() error { return e.Err }

// QuotaError reports a client that publishes or stores as much as it may.
type QuotaError struct {
	What string
	Max  int
}

// Error names the limit.
func (e *QuotaError) Error() string {
	return fmt.Sprintf("kad: at most %d %s; forget some", e.Max, e.What)
}

// SeqTooLowError reports a mutable value that was not stored because a newer one exists.
type SeqTooLowError struct{ Current *Record }

// Error gives the sequence number of the newer value.
func (e *SeqTooLowError) Error() string {
	return fmt.Sprintf("kad: a value with seq %d exists already; read it, and put again", e.Current.Seq)
}
