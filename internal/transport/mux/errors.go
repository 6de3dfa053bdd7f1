package mux

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// Errors of sessions and streams.
var (
	// ErrConfig reports a Config that cannot work.
	ErrConfig = errors.New("mux: invalid config")
	// ErrTooManyStreams reports that the connection has reached its limit of live
	// substreams.
	ErrTooManyStreams = errors.New("mux: too many streams on this connection; close one")
	// ErrReset reports that the peer reset the substream. Bytes that had arrived before
	// were delivered.
	ErrReset = errors.New("mux: stream reset")
	// ErrStalled reports a Write of which the peer accepted nothing for the whole
	// StallTimeout. The substream stays usable; its owner decides.
	ErrStalled = errors.New("mux: the peer takes nothing more on this stream; close the connection or try again later")
	// ErrPingTimeout reports a ping without an answer. The session lives on;
	// its owner decides.
	ErrPingTimeout = errors.New("mux: ping not answered in time; close the connection and dial again")
	// ErrSessionEnded reports that the connection has ended. Every error that wraps it
	// has the reason.
	ErrSessionEnded = errors.New("mux: connection ended")
	// ErrResetByPeer is the ErrReset of a substream that was not reset by this side.
	ErrResetByPeer = fmt.Errorf("%w by the peer: its handler failed or closed the stream without CloseWrite; see its log", ErrReset)
	errExpired     = fmt.Errorf("%w by this side: it stayed half-closed for too long", ErrReset)
	// ErrClosed reports the use of a substream or session that this side has closed. It
	// matches net.ErrClosed.
	ErrClosed = fmt.Errorf("mux: closed by this side: %w", net.ErrClosed)
	// ErrHungUp is the cause of an end for which the peer gave no reason. It is no
	// offence: peers of every release close that way. spec: comms 148
	ErrHungUp = errors.New("peer hung up")
	// ErrTooMuchChurn is the cause of an end because too many substreams of the
	// peer ended without an agreed protocol. It is no offence.
	ErrTooMuchChurn = errors.New("too many streams opened that ended without an agreed protocol")
	// ErrWriteTimeout is the cause of an end because the connection took
	// nothing for the whole WriteTimeout.
	ErrWriteTimeout = errors.New("the connection took no write in time")
	// ErrGoingAway reports an Open or Ping after GoAway.
	ErrGoingAway = errors.New("mux: GoAway was sent; dial a new connection")
)

// Offences of a peer. Each is wrapped in a [protocol.Violation] of the stage "mux".
var (
	ErrBadFrame       = errors.New("unknown frame version or type")
	ErrBadStreamID    = errors.New("stream opened with an id of ours")
	ErrDuplicate      = errors.New("stream opened twice")
	ErrWindowExceeded = errors.New("more data than the window allows")
	ErrTooManyPings   = errors.New("too many unanswered pings")
	ErrTooManyRefused = errors.New("too many streams beyond the limit")
)

// GoAwayError is the cause of an end that the peer announced.
type GoAwayError struct {
	Code uint32 // 0 normal, 1 protocol error, 2 internal error
}

// Error names the code.
func (e *GoAwayError) Error() string {
	known := []string{"peer said goodbye", "peer reports a protocol error of ours", "peer reports an internal error"}
	if e.Code < uint32(len(known)) {
		return known[e.Code]
	}
	return fmt.Sprintf("peer sent GoAway with code %d", e.Code)
}

// ended wraps the cause of an end in ErrSessionEnded. It returns a violation as it is.
func ended(cause error) error {
	if errors.Is(cause, protocol.ErrViolation) || errors.Is(cause, ErrSessionEnded) {
		return cause
	}
	return fmt.Errorf("%w: %w", ErrSessionEnded, cause)
}

// streamEnded is ended for users of a stream. It keeps only the text of a violation, which
// the owner of the session reports.
func streamEnded(cause error) error {
	if errors.Is(cause, protocol.ErrViolation) {
		return fmt.Errorf("%w: %v", ErrSessionEnded, cause)
	}
	return ended(cause)
}

func violation(err error) error { return protocol.Violated("mux", 0, err) }

// isDeadline reports whether err comes from a deadline that this package has set. The error
// of a connection that the system gave up is a timeout, too, but not such a deadline.
func isDeadline(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
