package overlay

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
)

// IDLen is the length of an [ID] in bytes, and the longest length of an id on the wire.
const IDLen = 32

// ErrIDLength reports an id or a key of another length than the overlay's. Ids of the
// overlay Native have 32 bytes, and those of Seed as many as its [Hasher] makes.
var ErrIDLength = errors.New("kad: id of the wrong length")

// ID names a place in the space of nodes and keys (spec: kad B2). Ids are compared byte by
// byte, first byte first.
//
// In an overlay whose ids have n < 32 bytes, they are the first n bytes and the rest is
// zero. That changes neither distances nor their order.
type ID [IDLen]byte

// Key is the place of a value. Nodes whose ids are near to it store it.
type Key = ID

// IDFromBytes returns b, which must have n bytes, as an id. n is from 1 to [IDLen]. It
// fails with [ErrIDLength].
func IDFromBytes(b []byte, n int) (id ID, err error) {
	if len(b) != n || n < 1 || n > IDLen {
		return ID{}, fmt.Errorf("%w: %d bytes, want %d", ErrIDLength, len(b), n)
	}
	copy(id[:], b)
	return id, nil
}

// ParseID returns the id written as 2n hexadecimal digits of either case. It fails with
// [ErrIDLength], also for text that holds other characters.
func ParseID(s string, n int) (ID, error) {
	b, err := hex.DecodeString(s)
	if err != nil {
		return ID{}, fmt.Errorf("%w: an id is written as %d hexadecimal digits: %w", ErrIDLength, 2*n, err)
	}
	return IDFromBytes(b, n)
}

// String returns 64 lower-case hexadecimal digits. [ID.Text] returns as many as an
// overlay with shorter ids uses.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Text returns the first n bytes as 2n hexadecimal digits. An n that no overlay can
// have counts as [IDLen].
func (id ID) Text(n int) string { return hex.EncodeToString(id[:length(n)]) }

// Short returns the first 8 hexadecimal digits, for people.
func (id ID) Short() string { return hex.EncodeToString(id[:4]) }

// Compare orders ids as numbers whose first byte counts most: -1, 0 or +1.
func (id ID) Compare(other ID) int { return bytes.Compare(id[:], other[:]) }

// IsZero reports whether all bytes are zero. No node has such an id.
func (id ID) IsZero() bool { return id == ID{} }

// LogValue implements [slog.LogValuer].
func (id ID) LogValue() slog.Value { return slog.StringValue(id.String()) }

// MarshalText returns the same text as [ID.String].
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is the reverse of [ID.MarshalText].
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := ParseID(string(text), IDLen)
	if err == nil {
		*id = parsed
	}
	return err
}

// length returns n as a length that ids can have.
func length(n int) int {
	if n < 1 || n > IDLen {
		return IDLen
	}
	return n
}
