package wire

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Announcement is the content of Join, Discovery and DiscoveryResponse messages: a
// node's key, its addresses and its signature over both (spec: dht 7.1). A decoded
// one is unchecked; [Announcement.Claim] checks it.
type Announcement struct {
	Key       []byte
	Addresses [][]byte // binary multiaddrs
	Features  uint32
	Nonce     uint64 // of a Discovery; its response repeats it
	Signature *ClaimSignature
}

// ClaimSignature is the encoded form of the signature over a claim.
type ClaimSignature struct {
	Version   uint32
	S, Nonce  []byte
	UpdatedAt int64 // Unix seconds
}

// NewAnnouncement returns the announcement of the claim.
func NewAnnouncement(c identity.Claim, nonce uint64) Announcement {
	return Announcement{Key: c.Key[:], Addresses: c.Addresses, Features: uint32(c.Features), Nonce: nonce, Signature: signatureOf(c)}
}

func signatureOf(c identity.Claim) *ClaimSignature {
	return &ClaimSignature{Version: uint32(c.Signature.Version), S: c.Signature.S[:], Nonce: c.Signature.Nonce[:], UpdatedAt: c.Signature.UpdatedAt}
}

// Append appends the encoded announcement.
func (a *Announcement) Append(dst []byte) []byte {
	dst = appendBytes(dst, 1, a.Key)
	for _, addr := range a.Addresses {
		dst = appendItem(dst, 2, addr)
	}
	dst = appendVarint(dst, 3, uint64(a.Features))
	dst = appendVarint(dst, 4, a.Nonce)
	if a.Signature != nil {
		dst = appendItem(dst, 5, a.Signature.append(nil))
	}
	return dst
}

var announcementFields = schema{
	1: protowire.BytesType, 2: protowire.BytesType, 3: protowire.VarintType, 4: protowire.VarintType, 5: protowire.BytesType,
}

// DecodeAnnouncement decodes an announcement with at most [MaxItems] addresses. The
// error is [ErrBody].
func DecodeAnnouncement(b []byte) (a Announcement, err error) {
	items, left := budget(MaxItems), fieldBudget(fieldsOfAnnouncement)
	err = announcementFields.read(b, left, func(f field) error {
		switch f.number {
		case 1:
			a.Key = f.bytes
		case 2:
			if err := items.spend(); err != nil {
				return err
			}
			a.Addresses = append(a.Addresses, f.bytes)
		case 3:
			a.Features = uint32(f.varint)
		case 4:
			a.Nonce = f.varint
		case 5:
			return mergeClaimSignature(&a.Signature, f.bytes, left)
		}
		return nil
	})
	if err != nil {
		return Announcement{}, fmt.Errorf("%w: announcement: %w", ErrBody, err)
	}
	return a, nil
}

// Claim returns the announcement as a claim, without verifying the claim's
// signature. It fails for an invalid key, for unknown features, and for a signature
// that is absent or malformed (spec: dht 7.1).
func (a *Announcement) Claim() (identity.Claim, error) {
	return claim(a.Key, a.Addresses, a.Features, a.Signature)
}

func claim(key []byte, addresses [][]byte, features uint32, s *ClaimSignature) (c identity.Claim, err error) {
	if c.Key, err = identity.PublicKeyFromBytes(key); err != nil {
		return c, fmt.Errorf("dht: claim: %w", err)
	}
	if c.Features = identity.Features(features); !c.Features.Valid() {
		return c, fmt.Errorf("dht: claim: %v", c.Features)
	}
	switch {
	case s == nil:
		return c, fmt.Errorf("dht: claim: no signature")
	case s.Version > math.MaxUint8:
		return c, fmt.Errorf("dht: claim: signature of version %d", s.Version)
	case len(s.S) != 32 || len(s.Nonce) != 32:
		return c, fmt.Errorf("dht: claim: signature of %d and %d bytes, want 32 each", len(s.Nonce), len(s.S))
	}
	c.Addresses = addresses
	c.Signature = identity.Signature{Version: uint8(s.Version), Nonce: [32]byte(s.Nonce), S: [32]byte(s.S), UpdatedAt: s.UpdatedAt}
	if err := c.Signature.Check(); err != nil {
		return c, fmt.Errorf("dht: claim: %w", err)
	}
	return c, nil
}

func (s *ClaimSignature) append(dst []byte) []byte {
	dst = appendVarint(dst, 1, uint64(s.Version))
	dst = appendBytes(dst, 2, s.S)
	dst = appendBytes(dst, 3, s.Nonce)
	return appendVarint(dst, 4, uint64(s.UpdatedAt))
}

var claimSignatureFields = schema{
	1: protowire.VarintType, 2: protowire.BytesType, 3: protowire.BytesType, 4: protowire.VarintType,
}

func mergeClaimSignature(s **ClaimSignature, b []byte, left *budget) error {
	if *s == nil {
		*s = new(ClaimSignature)
	}
	return claimSignatureFields.read(b, left, func(f field) error {
		switch f.number {
		case 1:
			(*s).Version = uint32(f.varint)
		case 2:
			(*s).S = f.bytes
		case 3:
			(*s).Nonce = f.bytes
		case 4:
			(*s).UpdatedAt = int64(f.varint)
		}
		return nil
	})
}
