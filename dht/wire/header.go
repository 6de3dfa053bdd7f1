package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protofield"
	"github.com/gamelan-p2p/gamelan/internal/ristretto"
)

// Field numbers of the header; 2, 5 and 9 are retired (spec: dht 2.1).
const (
	fieldMajor       = 1
	fieldUnknown     = 3
	fieldDestination = 4
	fieldSignature   = 6
	fieldEphemeral   = 7
	fieldType        = 8
	fieldFlags       = 10
	fieldTag         = 11
	fieldExpires     = 12
)

// Header is the header of a message. The signature covers all fields but Signature and
// Tag.
type Header struct {
	Version     uint32 // 1 or 2
	Destination Destination
	Signature   []byte // encoded [Signature], as received; empty when there is none
	Ephemeral   []byte // the sender's key for this message alone: 32 bytes, or none
	Type        MessageType
	Flags       Flags
	Tag         uint64 // for tracing alone; not authenticated
	Expires     uint64 // Unix seconds; 0 means never
}

// Encrypted reports whether the body is encrypted.
func (h *Header) Encrypted() bool { return h.Flags&Encrypted != 0 }

// Expired reports whether Expires is before the Unix second now.
func (h *Header) Expired(now int64) bool {
	return h.Expires != 0 && now > 0 && h.Expires < uint64(now)
}

// Append appends the header, fields in ascending order and defaults left out,
// byte for byte as the reference writes it (spec: dht 0).
func (h *Header) Append(dst []byte) []byte {
	dst = appendVarint(dst, fieldMajor, uint64(h.Version))
	if h.Destination.Known { // of a oneof, so it is written even if it is the default
		dst = appendItem(dst, fieldDestination, h.Destination.Key[:])
	} else {
		dst = protowire.AppendTag(dst, fieldUnknown, protowire.VarintType)
		dst = append(dst, 1)
	}
	dst = appendBytes(dst, fieldSignature, h.Signature)
	dst = appendBytes(dst, fieldEphemeral, h.Ephemeral)
	dst = appendVarint(dst, fieldType, uint64(int64(h.Type)))
	dst = appendVarint(dst, fieldFlags, uint64(h.Flags))
	dst = appendVarint(dst, fieldTag, h.Tag)
	return appendVarint(dst, fieldExpires, h.Expires)
}

// rawHeader is a decoded header that is not checked yet.
type rawHeader struct {
	Header
	destination    []byte
	hasDestination bool
}

var headerFields = schema{
	fieldMajor: protowire.VarintType, fieldUnknown: protowire.VarintType, fieldDestination: protowire.BytesType,
	fieldSignature: protowire.BytesType, fieldEphemeral: protowire.BytesType, fieldType: protowire.VarintType,
	fieldFlags: protowire.VarintType, fieldTag: protowire.VarintType, fieldExpires: protowire.VarintType,
}

// PeekType returns the type of an encoded envelope, without checking the rest: the type that
// [DecodeEnvelope] returns if it accepts the envelope. ok is false if there is no header.
func PeekType(envelope []byte) (t MessageType, ok bool) {
	_ = protofield.Each(envelope, func(f protofield.Field) error {
		if f.Number != fieldHeader || f.Type != protowire.BytesType {
			return nil
		}
		ok = true
		return protofield.Each(f.Bytes, func(f protofield.Field) error {
			if f.Number == fieldType && f.Type == protowire.VarintType {
				t = MessageType(f.Varint)
			}
			return nil
		})
	})
	return t, ok
}

// merge reads the fields of b into h and takes them from the budget left. A repeated
// field replaces the earlier one, also across the parts of a header.
func (h *rawHeader) merge(b []byte, left *budget) error {
	return headerFields.read(b, left, func(f field) error {
		switch f.number {
		case fieldMajor:
			h.Version = uint32(f.varint)
		case fieldUnknown: // whatever its value
			h.hasDestination, h.Destination.Known = true, false
		case fieldDestination:
			h.hasDestination, h.Destination.Known, h.destination = true, true, f.bytes
		case fieldSignature:
			h.Signature = f.bytes
		case fieldEphemeral:
			h.Ephemeral = f.bytes
		case fieldType:
			h.Type = MessageType(int32(f.varint))
		case fieldFlags:
			h.Flags = Flags(uint32(f.varint))
		case fieldTag:
			h.Tag = f.varint
		case fieldExpires:
			h.Expires = f.varint
		}
		return nil
	})
}

// check returns the header if it is valid. It checks in the reference's order (spec:
// dht 2.3). It also checks that keys are points, although only the recipient uses them:
// a message with an invalid key must never be relayed (Q27).
func (h *rawHeader) check() (Header, error) {
	if !h.hasDestination {
		return h.Header, fmt.Errorf("%w: none given", ErrDestination)
	}
	if h.Destination.Known {
		if err := checkPoint(h.destination); err != nil {
			return h.Header, fmt.Errorf("%w: %w", ErrDestination, err)
		}
		h.Destination.Key = identity.PublicKey(h.destination)
	}
	if len(h.Ephemeral) > 0 {
		if err := checkPoint(h.Ephemeral); err != nil {
			return h.Header, fmt.Errorf("%w: %w", ErrEphemeralKey, err)
		}
	} else {
		h.Ephemeral = nil
	}
	switch {
	case h.Version != 1 && h.Version != 2:
		return h.Header, fmt.Errorf("%w: %d, want 1 or 2", ErrVersion, h.Version)
	case !h.Type.Valid():
		return h.Header, fmt.Errorf("%w: %d", ErrType, int32(h.Type))
	case h.Flags&^Encrypted != 0:
		return h.Header, fmt.Errorf("%w: %#x", ErrFlags, uint32(h.Flags))
	}
	return h.Header, nil
}

func checkPoint(b []byte) error {
	var p ristretto.Point
	return p.SetBytes(b)
}
