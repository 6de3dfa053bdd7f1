package identify

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/gamelan-p2p/gamelan/protocol"
)

var (
	// ErrVersion reports a frame of a newer version than this node's.
	ErrVersion = errors.New("identify: unknown version")
	// ErrTooLong reports a body above the limit.
	ErrTooLong = errors.New("identify: message too long")
	// ErrSilent reports a peer whose frame did not arrive in time.
	ErrSilent = errors.New("identify: no message in time")
)

// Read reads one frame, and not a byte more, and returns its body for
// [Decode]. For a version above the profile's, or a length above its limit, it
// returns a [protocol.Violation] and reads nothing of the body. It returns the end of
// the stream and any other read error as they are. After its own time limit has
// passed, the caller makes a violation of the error with [Silent].
func Read(r io.Reader, p protocol.Profile) (body []byte, err error) {
	var header [HeaderLen]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, fmt.Errorf("identify: read header: %w", err)
	}
	if version := header[0]; version > p.IdentityVersion { // row 1
		err := fmt.Errorf("%w: %d, ours is %d", ErrVersion, version, p.IdentityVersion)
		return nil, violation(protocol.BanShort, err)
	}
	n := int(binary.LittleEndian.Uint16(header[1:]))
	if n > p.Limits.IdentityBody { // row 2
		err := fmt.Errorf("%w: %d bytes, at most %d", ErrTooLong, n, p.Limits.IdentityBody)
		return nil, violation(protocol.BanLong, err)
	}
	body = make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil { // row 4
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("identify: read body: %w", err)
	}
	return body, nil
}

// Silent returns the violation of a peer whose frame did not arrive completely
// within the time limit (row 3 of spec: comms 7.4). cause is the error of Read.
func Silent(cause error) error {
	return violation(protocol.BanShort, fmt.Errorf("%w: %w", ErrSilent, cause))
}
