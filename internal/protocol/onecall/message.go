package onecall

import (
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/internal/protofield"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// Errors that end a session because the other side broke the protocol. None of them
// causes a ban by itself; all match [rpc.ErrProtocol].
var (
	// ErrUndecodable reports a frame that is no message of the protocol.
	ErrUndecodable = fmt.Errorf("%w: undecodable message", rpc.ErrProtocol)
	// ErrVersion reports a server that chose a version which the client did not offer.
	ErrVersion = fmt.Errorf("%w: unknown version", rpc.ErrProtocol)
	// ErrFlags reports flag bits that do not exist, or are not allowed in this
	// message.
	ErrFlags = fmt.Errorf("%w: unexpected flags", rpc.ErrProtocol)
	// ErrRequestID reports a response to a request that was not made.
	ErrRequestID = fmt.Errorf("%w: unexpected request id", rpc.ErrProtocol)
	// ErrTooManyLate reports more than [MaxLate] late responses in a row.
	ErrTooManyLate = fmt.Errorf("%w: too many late responses", rpc.ErrProtocol)
	// ErrChunks reports a response in more or larger chunks than the limit.
	ErrChunks = fmt.Errorf("%w: response in too many chunks", rpc.ErrProtocol)
	// ErrInterrupted reports a client that sent something other than the end of its
	// call while the call was running.
	ErrInterrupted = fmt.Errorf("%w: request while a call runs", rpc.ErrProtocol)
)

var errWireType = errors.New("wrong wire type")

// Flags are bits that modify a request or a response.
type Flags uint32

const (
	FIN  Flags = 1 // response: the last one. Request: stop the call
	ACK  Flags = 2 // a ping or its answer
	MORE Flags = 4 // response of 1.0.0-rc.5: the next chunk follows (V 17)
)

// Request is a message from the client.
type Request struct {
	ID       uint32
	Method   uint32
	Flags    Flags
	Deadline uint64 // whole seconds
	Payload  []byte
}

// Response is a message from the server.
type Response struct {
	ID      uint32
	Status  rpc.Status
	Flags   Flags
	Payload []byte
}

// Field numbers of both messages.
const (
	fieldID       protowire.Number = 1
	fieldSecond   protowire.Number = 2 // method or status
	fieldFlags    protowire.Number = 3
	fieldDeadline protowire.Number = 4
	fieldPayload  protowire.Number = 10
)

// Room is the greatest number of bytes in a frame before the payload: the frame's
// length, the fields and the payload's length.
const Room = 48

// FrameRequest makes a whole frame in place and returns it as a part of buf. buf must
// begin with [Room] bytes of any content; the rest is the payload. FrameRequest
// ignores r.Payload.
func FrameRequest(buf []byte, r Request) []byte {
	var room [Room]byte
	b := appendField(room[4:4], fieldID, uint64(r.ID))
	b = appendField(b, fieldSecond, uint64(r.Method))
	b = appendField(b, fieldFlags, uint64(r.Flags))
	b = appendField(b, fieldDeadline, r.Deadline)
	return seal(buf, room[:], b)
}

// FrameResponse is [FrameRequest] for a response.
func FrameResponse(buf []byte, r Response) []byte {
	var room [Room]byte
	b := appendField(room[4:4], fieldID, uint64(r.ID))
	b = appendField(b, fieldSecond, uint64(r.Status))
	b = appendField(b, fieldFlags, uint64(r.Flags))
	return seal(buf, room[:], b)
}

// seal writes the frame's length and the fields directly before the payload. The
// fields are in room, behind four free bytes.
func seal(buf, room, fields []byte) []byte {
	n := len(buf) - Room
	if n > 0 {
		fields = protowire.AppendTag(fields, fieldPayload, protowire.BytesType)
		fields = protowire.AppendVarint(fields, uint64(n))
	}
	binary.BigEndian.PutUint32(room, uint32(len(fields)+n))
	head := room[:4+len(fields)]
	start := Room - len(head)
	copy(buf[start:], head)
	return buf[start:]
}

// AppendRequest appends a whole frame.
func AppendRequest(dst []byte, r Request) []byte {
	buf := append(make([]byte, Room, Room+len(r.Payload)), r.Payload...)
	return append(dst, FrameRequest(buf, r)...)
}

// AppendResponse appends a whole frame.
func AppendResponse(dst []byte, r Response) []byte {
	buf := append(make([]byte, Room, Room+len(r.Payload)), r.Payload...)
	return append(dst, FrameResponse(buf, r)...)
}

// appendField appends a number; it omits zero.
func appendField(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

// DecodeRequest decodes the payload of a frame. The request's payload is a part of
// b. The error is [ErrUndecodable].
func DecodeRequest(b []byte) (Request, error) {
	var r Request
	err := readFields(b, true, func(num protowire.Number, v uint64, bytes []byte) {
		switch num {
		case fieldID:
			r.ID = uint32(v)
		case fieldSecond:
			r.Method = uint32(v)
		case fieldFlags:
			r.Flags = Flags(uint32(v))
		case fieldDeadline:
			r.Deadline = v
		case fieldPayload:
			r.Payload = bytes
		}
	})
	if err != nil {
		return Request{}, err
	}
	return r, nil
}

// DecodeResponse decodes the payload of a frame. The response's payload is a part
// of b. The error is [ErrUndecodable].
func DecodeResponse(b []byte) (Response, error) {
	var r Response
	err := readFields(b, false, func(num protowire.Number, v uint64, bytes []byte) {
		switch num {
		case fieldID:
			r.ID = uint32(v)
		case fieldSecond:
			r.Status = rpc.Status(uint32(v))
		case fieldFlags:
			r.Flags = Flags(uint32(v))
		case fieldPayload:
			r.Payload = bytes
		}
	})
	if err != nil {
		return Response{}, err
	}
	return r, nil
}

// readFields calls set for each known field of a request or a response.
func readFields(b []byte, request bool, set func(num protowire.Number, v uint64, bytes []byte)) error {
	return fields(b, func(num protowire.Number, typ protowire.Type, v uint64, bytes []byte) error {
		if !known(num, request) {
			return nil
		}
		if typ != wireType(num) {
			return errWireType
		}
		set(num, v, bytes)
		return nil
	})
}

// RequestID returns the id from the first bytes of a request that is too large to
// read, or 0 if they do not contain it.
func RequestID(b []byte) uint32 {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 || num != fieldID || typ != protowire.VarintType {
		return 0
	}
	v, n := protowire.ConsumeVarint(b[n:])
	if n < 0 {
		return 0
	}
	return uint32(v)
}

func known(num protowire.Number, request bool) bool {
	return num >= fieldID && num <= fieldFlags || num == fieldPayload || request && num == fieldDeadline
}

func wireType(num protowire.Number) protowire.Type {
	if num == fieldPayload {
		return protowire.BytesType
	}
	return protowire.VarintType
}

// maxFields is how many fields a message of a session may have. Peers of the
// network write six.
const maxFields = 1024

// fields calls f for each field of a message, with its value if that is a number or
// bytes. It fails with [ErrUndecodable], also for more than maxFields.
func fields(b []byte, f func(num protowire.Number, typ protowire.Type, v uint64, bytes []byte) error) error {
	for n := 0; len(b) > 0; n++ {
		if n == maxFields {
			return fmt.Errorf("%w: more than %d fields", ErrUndecodable, maxFields)
		}
		x, rest, err := protofield.Next(b)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUndecodable, err)
		}
		if !x.Number.IsValid() {
			return fmt.Errorf("%w: field %d", ErrUndecodable, x.Number)
		}
		b = rest
		if err := f(x.Number, x.Type, x.Varint, x.Bytes); err != nil {
			if errors.Is(err, ErrUndecodable) {
				return err
			}
			return fmt.Errorf("%w: field %d: %w", ErrUndecodable, x.Number, err)
		}
	}
	return nil
}
