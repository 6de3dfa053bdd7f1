package dht

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Limits of what is decoded (spec: V20).
const (
	MaxParts     = 16     // parts of a body
	MaxItems     = 1024   // repeated fields of a message, all together
	MaxPeerItems = 65_536 // … of one peer of a list
	maxNesting   = 128    // of groups, which nobody writes
)

var errTruncated = errors.New("truncated or malformed")

// field is one field of an encoded message.
type field struct {
	number protowire.Number
	kind   protowire.Type
	varint uint64 // of a VarintType
	bytes  []byte // of a BytesType; points into the input
}

// next reads the first field of b and returns what follows it.
func next(b []byte) (f field, rest []byte, err error) {
	number, kind, n := protowire.ConsumeTag(b)
	if n < 0 {
		return f, nil, errTruncated
	}
	f, b = field{number: number, kind: kind}, b[n:]
	switch kind {
	case protowire.VarintType:
		f.varint, n = protowire.ConsumeVarint(b)
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(b)
	case protowire.StartGroupType:
		n = skipGroup(number, b, maxNesting)
	default:
		n = protowire.ConsumeFieldValue(number, kind, b)
	}
	if n < 0 {
		return f, nil, errTruncated
	}
	return f, b[n:], nil
}

// skipGroup returns the length of a group's fields and its end, or less than 0.
func skipGroup(number protowire.Number, b []byte, depth int) (length int) {
	for depth > 0 {
		inner, kind, n := protowire.ConsumeTag(b[length:])
		if n < 0 {
			return n
		}
		length += n
		switch kind {
		case protowire.EndGroupType:
			if inner != number {
				return -1
			}
			return length
		case protowire.StartGroupType:
			n = skipGroup(inner, b[length:], depth-1)
		default:
			n = protowire.ConsumeFieldValue(inner, kind, b[length:])
		}
		if n < 0 {
			return n
		}
		length += n
	}
	return -1
}

// schema says which wire type each known field has.
type schema map[protowire.Number]protowire.Type

// read calls use for each known field of b, in order, and skips the others. A
// known field of another wire type is an error: readers of the reference
// refuse it, so a message with one is never valid.
func (s schema) read(b []byte, use func(field) error) error {
	for len(b) > 0 {
		f, rest, err := next(b)
		if err != nil {
			return err
		}
		if kind, ok := s[f.number]; ok {
			if f.kind != kind {
				return fmt.Errorf("field %d: wire type %d, want %d", f.number, f.kind, kind)
			}
			if err := use(f); err != nil {
				return err
			}
		}
		b = rest
	}
	return nil
}

// budget counts the repeated fields of a message down.
type budget int

var errTooMany = errors.New("too many items")

func (b *budget) spend() error {
	if *b <= 0 {
		return errTooMany
	}
	*b--
	return nil
}

func appendVarint(dst []byte, number protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, number, protowire.VarintType), v)
}

// appendBytes leaves out an empty field, appendItem of a repeated one does not.
func appendBytes(dst []byte, number protowire.Number, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	return appendItem(dst, number, b)
}

func appendItem(dst []byte, number protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, number, protowire.BytesType), b)
}
