// Package protofield reads the fields of an encoded protobuf message one after the other, in any order.
package protofield

import "google.golang.org/protobuf/encoding/protowire"

// Field is one field of an encoded message.
type Field struct {
	Number protowire.Number
	Type   protowire.Type
	Varint uint64 // of a VarintType
	Bytes  []byte // of a BytesType; points into the input
}

// Next returns the first field of b and the bytes behind it. Errors are those of protowire.
func Next(b []byte) (f Field, rest []byte, err error) {
	number, kind, n := protowire.ConsumeTag(b)
	if n < 0 {
		return f, nil, protowire.ParseError(n)
	}
	f, b = Field{Number: number, Type: kind}, b[n:]
	switch kind {
	case protowire.VarintType:
		f.Varint, n = protowire.ConsumeVarint(b)
	case protowire.BytesType:
		f.Bytes, n = protowire.ConsumeBytes(b)
	default:
		n = protowire.ConsumeFieldValue(number, kind, b)
	}
	if n < 0 {
		return f, nil, protowire.ParseError(n)
	}
	return f, b[n:], nil
}

// Each calls use for every field of b in order, until one of its calls fails.
func Each(b []byte, use func(f Field) error) error {
	for len(b) > 0 {
		f, rest, err := Next(b)
		if err != nil {
			return err
		}
		if err := use(f); err != nil {
			return err
		}
		b = rest
	}
	return nil
}
