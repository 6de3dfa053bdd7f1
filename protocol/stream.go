package protocol

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrUnsent reports a Write of which nothing has left: the stream had come to
// its end before. Not every such Write is known for one.
var ErrUnsent = errors.New("nothing was sent")

// Unsent is err of a Write of which nothing has left: it matches [ErrUnsent] and
// err, and reads as err, since it is told to others as well whose writes had left.
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
	// SetDeadline bounds the reads and writes under way and to come; the zero
	// time removes the bound. After it they return [os.ErrDeadlineExceeded], and
	// the stream lives on. Without it they wait as long as the peer does: a
	// context does not end them, but Close does, from any goroutine.
	SetDeadline(t time.Time) error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	// CloseWrite ends our half: the peer reads EOF after what was written.
	CloseWrite() error
	// Close gives the stream back and does not wait. Who has called CloseWrite
	// may Close at once: what was written arrives, and the stream lingers until
	// the peer has ended its half too, at most 10 s. Without CloseWrite the
	// stream is reset, and what was not yet read, on either side, may be lost.
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
