package rawpeer

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// HeaderLen is the length of a frame's header. spec: comms 5.2
const HeaderLen = 12

// Types of frames.
const (
	TypeData   = 0
	TypeWindow = 1
	TypePing   = 2
	TypeGoAway = 3
)

// Flags of frames.
const (
	SYN = 1
	ACK = 2
	FIN = 4
	RST = 8
)

// Header is the header of a frame.
type Header [HeaderLen]byte

// AppendHeader appends the header of version 0 with these fields.
func AppendHeader(b []byte, kind byte, flags uint16, id, length uint32) []byte {
	b = binary.BigEndian.AppendUint16(append(b, 0, kind), flags)
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, id), length)
}

// Version is the first field.
func (h Header) Version() byte { return h[0] }

// Type is the second field.
func (h Header) Type() byte { return h[1] }

// Flags is the third field.
func (h Header) Flags() uint16 { return binary.BigEndian.Uint16(h[2:]) }

// ID is the substream's.
func (h Header) ID() uint32 { return binary.BigEndian.Uint32(h[4:]) }

// Length is the body's, or a credit, the value of a ping, or the code of a GoAway.
func (h Header) Length() uint32 { return binary.BigEndian.Uint32(h[8:]) }

// Has reports whether the frame is of this type and has any of these flags.
func (h Header) Has(kind byte, flags uint16) bool { return h.Type() == kind && h.Flags()&flags != 0 }

// Frame is one frame as it was received.
type Frame struct {
	Header
	Body []byte    // of data frames
	At   time.Time // of the header
}

// String returns the fields in hexadecimal and the first bytes of the body.
func (f Frame) String() string {
	s := fmt.Sprintf("%x %x %x %x", f.Header[:2], f.Header[2:4], f.Header[4:8], f.Header[8:])
	if len(f.Body) > 0 {
		s += fmt.Sprintf(" %.40q", f.Body)
	}
	return s
}

// ReadFrame reads one frame and keeps at most limit bytes of its body; 0 is no limit. An error
// of check, which may be nil, ends it behind the header.
func ReadFrame(r io.Reader, limit int, check func(Header) error) (f Frame, err error) {
	if _, err = io.ReadFull(r, f.Header[:]); err != nil {
		return f, err
	}
	f.At = time.Now()
	if check != nil {
		err = check(f.Header)
	}
	if err != nil || f.Type() != TypeData {
		return f, err
	}
	n := int64(f.Length())
	kept := n
	if limit > 0 {
		kept = min(n, int64(limit))
	}
	f.Body = make([]byte, kept)
	if _, err = io.ReadFull(r, f.Body); err != nil {
		return f, err
	}
	_, err = io.CopyN(io.Discard, r, n-kept)
	return f, err
}
