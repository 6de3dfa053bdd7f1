package wire

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// AppendBody appends an encoded body with these parts, which may be empty.
func AppendBody(dst []byte, parts ...[]byte) []byte {
	room := 0
	for _, p := range parts {
		room += maxPrefix + len(p)
	}
	dst = slices.Grow(dst, room)
	for _, p := range parts {
		dst = appendItem(dst, 1, p)
	}
	return dst
}

var bodyFields = schema{1: protowire.BytesType}

// DecodeBody returns the parts of an encoded body, at most [MaxParts] among
// [MaxFields]. They point into b. The error is [ErrBody].
func DecodeBody(b []byte) ([][]byte, error) {
	var parts [MaxParts][]byte
	n, err := splitBody(b, &parts)
	if err != nil || n == 0 {
		return nil, err
	}
	return slices.Clone(parts[:n]), nil
}

// splitBody is [DecodeBody] into an array. It returns the number of parts.
func splitBody(b []byte, parts *[MaxParts][]byte) (n int, err error) {
	err = bodyFields.read(b, fieldBudget(MaxFields), func(f field) error {
		if n == MaxParts {
			return fmt.Errorf("more than %d parts", MaxParts)
		}
		parts[n] = f.bytes
		n++
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrBody, err)
	}
	return n, nil
}

// DomainHeader is the first part of an application's message and describes the second
// part (spec: dht 12.1).
type DomainHeader struct {
	Type  int32  // the application's message type
	Nonce uint64 // 0 in a message for many, so that equal messages have equal bytes
}

// Append appends the encoded header.
func (h DomainHeader) Append(dst []byte) []byte {
	dst = appendVarint(dst, 1, uint64(int64(h.Type)))
	return appendVarint(dst, 2, h.Nonce)
}

var domainFields = schema{1: protowire.VarintType, 2: protowire.VarintType}

// DecodeDomainHeader decodes a header. The error is [ErrBody].
func DecodeDomainHeader(b []byte) (h DomainHeader, err error) {
	err = domainFields.read(b, fieldBudget(MaxFields), func(f field) error {
		if f.number == 1 {
			h.Type = int32(f.varint)
		} else {
			h.Nonce = f.varint
		}
		return nil
	})
	if err != nil {
		return h, fmt.Errorf("%w: message header: %w", ErrBody, err)
	}
	return h, nil
}

// SplitDomain returns the header and the content of an application's message from the
// parts of its body. It ignores further parts (spec: dht 12.2). The error is [ErrBody].
func SplitDomain(parts [][]byte) (DomainHeader, []byte, error) {
	if len(parts) < 2 {
		return DomainHeader{}, nil, fmt.Errorf("%w: %d parts, want message header and message", ErrBody, len(parts))
	}
	h, err := DecodeDomainHeader(parts[0])
	return h, parts[1], err
}
