package wire

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

	// MaxFields is how many fields a message may have that is no list: those of
	// all messages inside it, those nobody knows and those in groups included.
	// Nodes of the network write fewer than 20. A list may have more, by its items.
	MaxFields = 1024
	// MaxHeaderBytes is how long a header may be, the parts of one that comes in
	// parts together. Nodes of the network write at most 200 bytes.
	MaxHeaderBytes = 16 << 10
)

// Fields of the lists.
const (
	fieldsOfAnnouncement = 2 * MaxItems
	fieldsOfStored       = 32 * MaxItems    // an item has a message's and its header's, 13
	fieldsOfPeerInfo     = 8 * MaxPeerItems // a claim is an item and has its signature's, 7
)

var (
	errTruncated  = errors.New("truncated or malformed")
	errManyFields = errors.New("too many fields")
	errLongHeader = fmt.Errorf("more than %d bytes", MaxHeaderBytes)
)

// field is one field of an encoded message.
type field struct {
	number protowire.Number
	kind   protowire.Type
	varint uint64 // of a VarintType
	bytes  []byte // of a BytesType; points into the input
}

// next reads the first field of b, takes it from left, and returns what follows
// it.
func next(b []byte, left *budget) (f field, rest []byte, err error) {
	if left.spend() != nil {
		return f, nil, errManyFields
	}
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
		n = skipGroup(number, b, maxNesting, left)
	default:
		n = protowire.ConsumeFieldValue(number, kind, b)
	}
	if n < 0 {
		return f, nil, errTruncated
	}
	return f, b[n:], nil
}

// skipGroup returns the length of a group's fields and its end, or less than 0. It
// takes them from left.
func skipGroup(number protowire.Number, b []byte, depth int, left *budget) (length int) {
	for depth > 0 {
		if left.spend() != nil {
			return -1
		}
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
			n = skipGroup(inner, b[length:], depth-1, left)
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
// refuse it, so a message with one is never valid. It takes every field from left
// before it looks at it, and fails when there is none left: so the work that
// bytes make is bounded by what honest ones need (spec: V20).
func (s schema) read(b []byte, left *budget, use func(field) error) error {
	for len(b) > 0 {
		f, rest, err := next(b, left)
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

// budget counts the fields, or the repeated fields, of a message down.
type budget int

// fieldBudget is that of a message which may have so many fields.
func fieldBudget(n int) *budget {
	b := budget(n)
	return &b
}

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
