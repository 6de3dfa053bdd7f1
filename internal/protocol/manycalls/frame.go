package manycalls

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/internal/protofield"
)

// Version is the version of such a session in the handshake.
const Version = 1

// Limits of the wire, in bytes.
const (
	// MaxPart is the longest part of a message, MaxFrame the longest frame.
	MaxPart  = 65 << 10 // 64 KiB and some fields around them
	MaxFrame = MaxPart + MaxHead
	// MaxHead is what a frame may have beside its part of a message.
	MaxHead = MaxMetadata + 128
	// MaxMetadata bounds the metadata of a call: names, values and 8 bytes for each pair. MaxPairs bounds their number.
	MaxMetadata = 8 << 10
	MaxPairs    = 64
	// First is the credit with which each direction of a call begins, Shared the most that all calls of a session have together for
	// their first messages.
	First  = 4 << 10
	Shared = 64 << 10
	// MaxCredit is the most credit that a call's sender may hold.
	MaxCredit = 16 << 20
	// MaxCalls is the most calls that a session may have at once.
	MaxCalls = 1024
)

// Kind says what a frame is.
type Kind uint8

// The kinds of frames. Open, Cancel and Ping are a client's; Done, Pong and Leave a server's.
const (
	Open    Kind = 1 // a call begins, with the first part of its request
	Message Kind = 2 // a part of a further message
	End     Kind = 3 // the client sends no more messages
	Done    Kind = 4 // the call has ended; the payload is the text of an error
	Cancel  Kind = 5 // the client wants no answer any more
	Credit  Kind = 6 // the sender of messages may send so many bytes more; of call 0: of what all share
	Ping    Kind = 7
	Pong    Kind = 8
	Leave   Kind = 9 // the server runs no call behind this one
)

// Pair is one piece of metadata.
type Pair struct{ Name, Value string }

// Frame is one frame of a session.
type Frame struct {
	Call     uint64 // 0: the session
	Kind     Kind
	Number   uint64 // Open: the method; Done: the status; Credit: bytes
	Deadline uint64 // Open: milliseconds for the answer, or for each item
	Last     bool   // Open, Message: the client sends no further message. Done: the method has not begun
	Length   uint64 // of the whole message, in its first part, if there are more
	Shared   uint64 // bytes of the payload that were sent on the credit of all calls
	Window   uint64 // Open: credit that the client adds for answers
	Bare     bool   // Open: no part of a message comes with it
	Metadata []Pair // Open, Done
	Payload  []byte
}

// Field numbers.
const (
	fieldCall     protowire.Number = 1
	fieldKind     protowire.Number = 2
	fieldNumber   protowire.Number = 3
	fieldDeadline protowire.Number = 4
	fieldLast     protowire.Number = 5
	fieldLength   protowire.Number = 6
	fieldShared   protowire.Number = 7
	fieldWindow   protowire.Number = 8
	fieldMetadata protowire.Number = 9
	fieldPayload  protowire.Number = 10
	fieldBare     protowire.Number = 11
)

// Errors of a session. All match [ErrProtocol].
var (
	// ErrProtocol reports a peer that breaks the protocol.
	ErrProtocol = errors.New("rpc: protocol error")
	// ErrUndecodable reports a frame that is none.
	ErrUndecodable = fmt.Errorf("%w: undecodable frame", ErrProtocol)
	// ErrMisplaced reports a frame that its sender may not send, or not now.
	ErrMisplaced = fmt.Errorf("%w: misplaced frame", ErrProtocol)
	// ErrCredit reports more bytes than there was credit for, or more credit than may be given.
	ErrCredit = fmt.Errorf("%w: credit exceeded", ErrProtocol)
	// ErrTooMany reports more calls than a session may have.
	ErrTooMany = fmt.Errorf("%w: more than %d calls at once", ErrProtocol, MaxCalls)
)

// Append appends a whole frame, with its length before it.
func Append(dst []byte, f *Frame) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = number(dst, fieldCall, f.Call)
	dst = number(dst, fieldKind, uint64(f.Kind))
	dst = number(dst, fieldNumber, f.Number)
	dst = number(dst, fieldDeadline, f.Deadline)
	if f.Last {
		dst = number(dst, fieldLast, 1)
	}
	dst = number(dst, fieldLength, f.Length)
	dst = number(dst, fieldShared, f.Shared)
	dst = number(dst, fieldWindow, f.Window)
	if f.Bare {
		dst = number(dst, fieldBare, 1)
	}
	for _, p := range f.Metadata {
		dst = protowire.AppendTag(dst, fieldMetadata, protowire.BytesType)
		dst = protowire.AppendVarint(dst, uint64(protowire.SizeTag(1)+protowire.SizeBytes(len(p.Name))+protowire.SizeTag(2)+protowire.SizeBytes(len(p.Value))))
		dst = protowire.AppendString(protowire.AppendTag(dst, 1, protowire.BytesType), p.Name)
		dst = protowire.AppendString(protowire.AppendTag(dst, 2, protowire.BytesType), p.Value)
	}
	if len(f.Payload) > 0 {
		dst = protowire.AppendTag(dst, fieldPayload, protowire.BytesType)
		dst = protowire.AppendBytes(dst, f.Payload)
	}
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// Room is the greatest number of bytes before the payload of a frame without metadata.
const Room = 96

// AppendInPlace makes a whole frame in place and returns it as a part of buf. buf begins with [Room] bytes of any content; the rest
// is the payload. f has neither payload nor metadata.
func AppendInPlace(buf []byte, f *Frame) []byte {
	var room [Room]byte
	n := len(buf) - Room
	head := Append(room[:0], f)
	if n > 0 {
		head = protowire.AppendVarint(protowire.AppendTag(head, fieldPayload, protowire.BytesType), uint64(n))
	}
	binary.BigEndian.PutUint32(head, uint32(len(head)-4+n))
	at := Room - len(head)
	copy(buf[at:], head)
	return buf[at:]
}

func number(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

// Decode decodes the payload of a frame's length. Payload is a part of b. The error is [ErrUndecodable].
func Decode(b []byte) (f Frame, err error) {
	size := 0
	err = protofield.Each(b, func(x protofield.Field) error {
		wants := protowire.VarintType
		if x.Number == fieldMetadata || x.Number == fieldPayload {
			wants = protowire.BytesType
		}
		if x.Number <= fieldBare && x.Type != wants {
			return fmt.Errorf("field %d has wire type %d", x.Number, x.Type)
		}
		switch x.Number {
		case fieldCall:
			f.Call = x.Varint
		case fieldKind:
			if x.Varint > uint64(Leave) {
				return fmt.Errorf("kind %d", x.Varint)
			}
			f.Kind = Kind(x.Varint)
		case fieldNumber:
			f.Number = x.Varint
		case fieldDeadline:
			f.Deadline = x.Varint
		case fieldLast:
			f.Last = x.Varint != 0
		case fieldLength:
			f.Length = x.Varint
		case fieldShared:
			f.Shared = x.Varint
		case fieldWindow:
			f.Window = x.Varint
		case fieldMetadata:
			p, err := pair(x.Bytes)
			if err != nil {
				return err
			}
			f.Metadata = append(f.Metadata, p)
			if size += len(p.Name) + len(p.Value) + 8; size > MaxMetadata || len(f.Metadata) > MaxPairs {
				return fmt.Errorf("more than %d bytes or %d pairs of metadata", MaxMetadata, MaxPairs)
			}
		case fieldPayload:
			f.Payload = x.Bytes
		case fieldBare:
			f.Bare = x.Varint != 0
		}
		return nil
	})
	switch {
	case err != nil:
	case f.Kind == 0:
		err = errors.New("no kind")
	case f.Number > math.MaxUint32 && (f.Kind == Open || f.Kind == Done):
		err = fmt.Errorf("a method or status %d", f.Number)
	case len(f.Payload) > MaxPart:
		err = fmt.Errorf("a part of %d bytes", len(f.Payload))
	case f.Bare && (f.Kind != Open || f.Last || f.Length > 0 || len(f.Payload) > 0):
		err = errors.New("a message where none may be")
	case f.Shared > uint64(len(f.Payload)):
		err = fmt.Errorf("%d shared bytes of %d", f.Shared, len(f.Payload))
	}
	if err != nil {
		return Frame{}, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	return f, nil
}

func pair(b []byte) (p Pair, err error) {
	err = protofield.Each(b, func(x protofield.Field) error {
		switch {
		case x.Number > 2:
		case x.Type != protowire.BytesType:
			return fmt.Errorf("metadata of wire type %d", x.Type)
		case x.Number == 1:
			p.Name = string(x.Bytes)
		default:
			p.Value = string(x.Bytes)
		}
		return nil
	})
	return p, err
}
