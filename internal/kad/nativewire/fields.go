package nativewire

import (
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/internal/protofield"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// field is one field of an encoded message.
type field protofield.Field

// reader reads messages and the messages inside them, and counts their fields.
type reader struct{ left int }

// each calls use for every field of b in order. Groups, which no version has, are
// malformed.
func (r *reader) each(b []byte, use func(field) error) error {
	for len(b) > 0 {
		if r.left--; r.left < 0 {
			return ErrTooLong
		}
		f, rest, err := protofield.Next(b)
		if err != nil || f.Type == protowire.StartGroupType {
			return ErrMalformed
		}
		b = rest
		if err := use(field(f)); err != nil {
			return err
		}
	}
	return nil
}

// The values of a field. Each fails for a field of another wire type.

func (f field) wants(kind protowire.Type) error {
	if f.Type != kind {
		return fmt.Errorf("%w: field %d has another type", ErrMalformed, f.Number)
	}
	return nil
}

func (f field) raw(to *[]byte) error {
	*to = f.Bytes
	return f.wants(protowire.BytesType)
}

func (f field) u64(to *uint64) error {
	*to = f.Varint
	return f.wants(protowire.VarintType)
}

// u32 takes the lower half of a longer number, as every reader of protocol buffers does.
func (f field) u32(to *uint32) error {
	*to = uint32(f.Varint)
	return f.wants(protowire.VarintType)
}

// u8 takes a number that fits into fewer bits than the wire has. A longer one becomes the
// largest, which no version knows.
func (f field) u8(to *uint8) error {
	*to = uint8(min(uint32(f.Varint), math.MaxUint8))
	return f.wants(protowire.VarintType)
}

func (f field) boolean(to *bool) error {
	*to = f.Varint != 0
	return f.wants(protowire.VarintType)
}

// count reads how many contacts are wanted.
func (f field) count(to *int) error {
	*to = int(min(uint32(f.Varint), MaxContacts))
	return f.wants(protowire.VarintType)
}

func (f field) duration(to *time.Duration, unit time.Duration) error {
	*to = time.Duration(uint32(f.Varint)) * unit
	return f.wants(protowire.VarintType)
}

func (f field) id(to *overlay.ID) error {
	if err := f.wants(protowire.BytesType); err != nil {
		return err
	}
	id, err := overlay.IDFromBytes(f.Bytes, overlay.IDLen)
	*to = id
	return err
}

// The fields of an encoder: zeros are left out.

func appendNumber(dst []byte, number protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, number, protowire.VarintType), v)
}

func appendBool(dst []byte, number protowire.Number, v bool) []byte {
	return appendNumber(dst, number, protowire.EncodeBool(v))
}

// appendDuration writes whole units, and 1 for a part of the first one, since 0 means
// something else.
func appendDuration(dst []byte, number protowire.Number, v, unit time.Duration) []byte {
	if v <= 0 {
		return dst
	}
	return appendNumber(dst, number, uint64(min(max(v/unit, 1), math.MaxUint32)))
}

func appendBytes(dst []byte, number protowire.Number, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	return appendItem(dst, number, b)
}

func appendItem(dst []byte, number protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, number, protowire.BytesType), b)
}

// appendMessage writes what write appends as one field, with its length in front.
func appendMessage(dst []byte, number protowire.Number, write func([]byte) []byte) []byte {
	return appendItem(dst, number, write(nil))
}
