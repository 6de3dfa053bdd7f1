package wire

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Limits of the decoders (spec: V20).
const (
	MaxParts     = 16     // parts of a body
	MaxItems     = 1024   // values of all repeated fields of a message
	MaxPeerItems = 65_536 // … of a [PeerInfo]
	maxNesting   = 128    // depth of groups, which no node writes

	// MaxFields is how many fields a message without repeated fields may have. It
	// counts the fields of all messages inside it, unknown fields and fields in
	// groups. Nodes of the network write fewer than 20. Messages with repeated
	// fields may have more, in proportion to their items.
	MaxFields = 1024
	// MaxHeaderBytes is how long a header may be; the parts of a header in several
	// parts count together. Nodes of the network write at most 200 bytes.
	MaxHeaderBytes = 16 << 10
)

// Limits of fields, for messages with repeated fields.
const (
	fieldsOfAnnouncement = 2 * MaxItems
	fieldsOfStored       = 32 * MaxItems    // an item is a message with its header: 13 fields
	fieldsOfPeerInfo     = 8 * MaxPeerItems // an item is a claim with its signature: 7 fields
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

// next returns the first field of b and the bytes behind it. It takes the field from
// the budget left.
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

// skipGroup returns the length of a group's fields and end tag, or less than 0 if it is
// malformed. It takes the fields from the budget left.
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

// schema maps the known fields of a message to their wire types.
type schema map[protowire.Number]protowire.Type

// read calls use for each known field of b, in order, and skips unknown fields. A
// known field of another wire type is an error, as for the reference. Read takes every
// field from the budget left before it decodes the field, and fails when the budget is
// used up, which bounds the work that hostile bytes cause (spec: V20).
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

// budget is how many more fields, or items of repeated fields, a message may have.
type budget int

// fieldBudget returns a budget of n.
func fieldBudget(n int) *budget {
	b := budget(n)
	return &b
}

// spend takes one from the budget, or fails if it is used up.
func (b *budget) spend() error {
	if *b <= 0 {
		return ErrTooManyItems
	}
	*b--
	return nil
}

// appendVarint leaves out a field that is 0.
func appendVarint(dst []byte, number protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, number, protowire.VarintType), v)
}

// appendBytes leaves out an empty field; appendItem, for repeated fields, does not.
func appendBytes(dst []byte, number protowire.Number, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	return appendItem(dst, number, b)
}

func appendItem(dst []byte, number protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, number, protowire.BytesType), b)
}
