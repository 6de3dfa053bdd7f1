package protocol

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrUnsent reports a Write that has sent nothing because the stream had ended before.
// Not every such Write can be recognised.
var ErrUnsent = errors.New("nothing was sent")

// Unsent returns err marked as the error of a Write that has sent nothing: it matches
// [ErrUnsent] and err. Its text is that of err, because other writes, which did send
// bytes, report the same err.
func Unsent(err error) error { return unsent{err} }

type unsent struct{ error }

func (e unsent) Unwrap() error        { return e.error }
func (e unsent) Is(target error) bool { return target == ErrUnsent }

// Stream is one substream of a connection as protocols see it. One goroutine
// may read while another writes. Read returns [io.EOF] only when the peer
// has ended its half; a reset or the end of the connection is another error.
type Stream interface {
	io.Reader
	io.Writer
	// SetDeadline bounds present and future reads and writes; the zero time removes
	// the bound. After the deadline they return [os.ErrDeadlineExceeded], and the
	// stream stays usable. Without a deadline they wait for the peer without limit. A write that
	// waits for other substreams' bytes ends with the connection's own time limit at the latest.
	// No context ends them, but Close does, from any goroutine.
	SetDeadline(t time.Time) error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	// CloseWrite ends this side's half: the peer reads EOF after the bytes written
	// so far.
	CloseWrite() error
	// Close closes the stream and does not wait. It may follow CloseWrite at once:
	// all written bytes arrive, and the stream lingers until the peer has ended its
	// half too, at most 10 s. Without CloseWrite the stream is reset, and bytes that
	// were not read yet, on either side, may be lost.
	Close() error
}

// Direction says who dialled a connection or opened a substream.
type Direction uint8

const (
	Inbound  Direction = iota // the peer did
	Outbound                  // we did
)

// String returns "inbound" or "outbound".
func (d Direction) String() string {
	switch d {
	case Inbound:
		return "inbound"
	case Outbound:
		return "outbound"
	}
	return fmt.Sprintf("direction %d", uint8(d))
}

// Opposite returns the direction as the other end sees it.
func (d Direction) Opposite() Direction {
	if d == Inbound {
		return Outbound
	}
	return Inbound
}

// MarshalText returns the same text as [Direction.String].
func (d Direction) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
