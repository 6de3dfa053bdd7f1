package identity

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"log/slog"
)

// NodeIDLen is the length of a node id in bytes.
const NodeIDLen = 13

// NodeID names a node: BLAKE2b of its public key with a digest of 13 bytes
// (spec: comms 1.2). Ids are compared byte by byte, first byte first. The
// zero value means "no node".
type NodeID [NodeIDLen]byte

func nodeIDOf(k PublicKey) (id NodeID) {
	h := hashersID.Get().(*hasher)
	h.buf = append(h.buf, k[:]...)
	h.sum(id[:])
	h.clear()
	hashersID.Put(h)
	return id
}

// NodeIDFromBytes returns b, 13 bytes, as an id. It fails with [ErrBadNodeID]
// when b has another length.
func NodeIDFromBytes(b []byte) (NodeID, error) {
	if len(b) != NodeIDLen {
		return NodeID{}, fmt.Errorf("%w: %d bytes, want %d", ErrBadNodeID, len(b), NodeIDLen)
	}
	return NodeID(b), nil
}

// ParseNodeID returns the id written as 26 hexadecimal digits of either
// case. It fails with [ErrBadNodeID].
func ParseNodeID(s string) (NodeID, error) {
	if len(s) != 2*NodeIDLen {
		return NodeID{}, fmt.Errorf("%w: %d characters, want the %d hexadecimal digits of a node id", ErrBadNodeID, len(s), 2*NodeIDLen)
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return NodeID{}, fmt.Errorf("%w: a node id is %d hexadecimal digits", ErrBadNodeID, 2*NodeIDLen)
	}
	return NodeID(b), nil
}

// ParsePeer returns the id of a node that is given by its public key, 64 hexadecimal digits, or
// by its id. It fails with [ErrBadKey] or, for a text of any other length, with [ErrBadNodeID].
func ParsePeer(s string) (NodeID, error) {
	if len(s) != 2*KeyLen {
		return ParseNodeID(s)
	}
	k, err := ParsePublicKey(s)
	if err != nil {
		return NodeID{}, err
	}
	return k.NodeID(), nil
}

// String returns 26 lower-case hexadecimal digits.
func (n NodeID) String() string { return hex.EncodeToString(n[:]) }

// Short returns the first 16 hexadecimal digits, for people.
func (n NodeID) Short() string { return hex.EncodeToString(n[:8]) }

// Compare orders ids as numbers whose first byte counts most: -1, 0 or +1.
func (n NodeID) Compare(other NodeID) int { return bytes.Compare(n[:], other[:]) }

// IsZero reports whether n is "no node".
func (n NodeID) IsZero() bool { return n == NodeID{} }

// LogValue implements [slog.LogValuer].
func (n NodeID) LogValue() slog.Value { return slog.StringValue(n.String()) }

// MarshalText returns the same text as [NodeID.String], and an empty text for
// the zero value.
func (n NodeID) MarshalText() ([]byte, error) {
	if n.IsZero() {
		return []byte{}, nil
	}
	return []byte(n.String()), nil
}

// UnmarshalText is the reverse of [NodeID.MarshalText].
func (n *NodeID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*n = NodeID{}
		return nil
	}
	parsed, err := ParseNodeID(string(text))
	if err != nil {
		return err
	}
	*n = parsed
	return nil
}
