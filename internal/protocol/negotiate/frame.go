package negotiate

import (
	"errors"
	"fmt"
	"io"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// MaxID is the greatest length of an id that a frame can carry, in bytes.
const MaxID = 255

// The flags of a frame. A frame without flags is a proposal, or an acceptance that
// repeats the id.
const (
	flagOptimistic   = 0x01 // data follows at once; with flagTerminate no answer is wanted
	flagTerminate    = 0x02 // the sender gives up
	flagNotSupported = 0x04 // answer: try another
	knownFlags       = flagOptimistic | flagTerminate | flagNotSupported
)

var (
	// ErrUnsupported reports that the two sides have no protocol in common.
	ErrUnsupported = errors.New("negotiate: protocol not supported")
	// ErrTerminated reports that the other side gave up.
	ErrTerminated = errors.New("negotiate: terminated by peer")
	// ErrTooManyRounds reports an opener whose proposals were all refused.
	ErrTooManyRounds = errors.New("negotiate: too many proposals")
	// ErrUnknownFlags reports flags that do not exist. It is wrapped in a
	// [protocol.Violation].
	ErrUnknownFlags = errors.New("negotiate: unknown flags")
)

// appendFrame appends a frame. The caller has checked the length of the id.
func appendFrame(dst []byte, flags byte, id protocol.ID) []byte {
	dst = append(dst, byte(len(id)), flags)
	return append(dst, id...)
}

// readFrame reads one frame and not a byte more. The error is [io.EOF] only when the
// stream ends before the frame.
func readFrame(r io.Reader) (flags byte, id protocol.ID, err error) {
	var buf [2 + MaxID]byte
	if _, err := io.ReadFull(r, buf[:2]); err != nil {
		return 0, "", err
	}
	n, flags := int(buf[0]), buf[1]
	if unknown := flags &^ knownFlags; unknown != 0 {
		err := fmt.Errorf("%w: %#02x", ErrUnknownFlags, unknown)
		return 0, "", protocol.Violated("negotiation", protocol.BanLong, err)
	}
	if _, err := io.ReadFull(r, buf[2:2+n]); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, "", err
	}
	return flags, protocol.ID(buf[2 : 2+n]), nil
}

func checkID(id protocol.ID) error {
	if len(id) == 0 || len(id) > MaxID {
		return fmt.Errorf("negotiate: %w: %d bytes; a frame carries 1 to %d", protocol.ErrBadID, len(id), MaxID)
	}
	return nil
}
