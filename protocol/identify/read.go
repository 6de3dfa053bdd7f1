package identify

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/gamelan-p2p/gamelan/protocol"
)

var (
	// ErrVersion reports a frame of a newer version than ours.
	ErrVersion = errors.New("identify: unknown version")
	// ErrTooLong reports a body above the limit.
	ErrTooLong = errors.New("identify: message too long")
	// ErrSilent reports a peer whose frame did not come in time.
	ErrSilent = errors.New("identify: no message in time")
)

// Read reads one frame, and not a byte more, and returns its body for
// [Decode]. A version above the profile's, and a length above its limit, are
// a [protocol.Violation]; nothing is read or allocated for the body then.
// The end of the stream and any other read error are returned without blame;
// of a time limit only the caller knows what it means, see [Silent].
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

// Silent returns the violation of a peer whose frame did not arrive whole
// within the time limit (row 3 of spec: comms 7.4). The cause is what the
// read returned.
func Silent(cause error) error {
	return violation(protocol.BanShort, fmt.Errorf("%w: %w", ErrSilent, cause))
}
