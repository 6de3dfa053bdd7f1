package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/identity"
)

// GetPeers asks a node for peers that it knows (spec: dht 9).
type GetPeers struct {
	N                    uint32 // 0 is the server's maximum
	IncludeClients       bool
	MaxClaims            uint32 // for each peer
	MaxAddressesPerClaim uint32
}

// Append appends the encoded request.
func (r GetPeers) Append(dst []byte) []byte {
	dst = appendVarint(dst, 1, uint64(r.N))
	dst = appendVarint(dst, 2, protowire.EncodeBool(r.IncludeClients))
	dst = appendVarint(dst, 3, uint64(r.MaxClaims))
	return appendVarint(dst, 4, uint64(r.MaxAddressesPerClaim))
}

var getPeersFields = schema{
	1: protowire.VarintType, 2: protowire.VarintType, 3: protowire.VarintType, 4: protowire.VarintType,
}

// DecodeGetPeers decodes a request. The error is [ErrBody].
func DecodeGetPeers(b []byte) (r GetPeers, err error) {
	err = getPeersFields.read(b, fieldBudget(MaxFields), func(f field) error {
		switch f.number {
		case 1:
			r.N = uint32(f.varint)
		case 2:
			r.IncludeClients = f.varint != 0
		case 3:
			r.MaxClaims = uint32(f.varint)
		case 4:
			r.MaxAddressesPerClaim = uint32(f.varint)
		}
		return nil
	})
	if err != nil {
		return GetPeers{}, fmt.Errorf("%w: request for peers: %w", ErrBody, err)
	}
	return r, nil
}

// GetCloserPeers asks a node for the peers it knows that are closest to an id.
// Releases from 6 on do not serve it (spec: dht 9, V23).
type GetCloserPeers struct {
	N                    uint32
	Excluded             [][]byte // node ids
	CloserTo             []byte   // a node id; empty is the caller's
	IncludeClients       bool
	MaxClaims            uint32
	MaxAddressesPerClaim uint32
}

// Append appends the encoded request.
func (r *GetCloserPeers) Append(dst []byte) []byte {
	dst = appendVarint(dst, 1, uint64(r.N))
	for _, id := range r.Excluded {
		dst = appendItem(dst, 2, id)
	}
	dst = appendBytes(dst, 3, r.CloserTo)
	dst = appendVarint(dst, 4, protowire.EncodeBool(r.IncludeClients))
	dst = appendVarint(dst, 5, uint64(r.MaxClaims))
	return appendVarint(dst, 6, uint64(r.MaxAddressesPerClaim))
}

var getCloserPeersFields = schema{
	1: protowire.VarintType, 2: protowire.BytesType, 3: protowire.BytesType, 4: protowire.VarintType,
	5: protowire.VarintType, 6: protowire.VarintType,
}

// DecodeGetCloserPeers decodes a request with at most [MaxItems] excluded ids. The error
// is [ErrBody].
func DecodeGetCloserPeers(b []byte) (r GetCloserPeers, err error) {
	items := budget(MaxItems)
	err = getCloserPeersFields.read(b, fieldBudget(fieldsOfAnnouncement), func(f field) error {
		switch f.number {
		case 1:
			r.N = uint32(f.varint)
		case 2:
			if err := items.spend(); err != nil {
				return err
			}
			r.Excluded = append(r.Excluded, f.bytes)
		case 3:
			r.CloserTo = f.bytes
		case 4:
			r.IncludeClients = f.varint != 0
		case 5:
			r.MaxClaims = uint32(f.varint)
		case 6:
			r.MaxAddressesPerClaim = uint32(f.varint)
		}
		return nil
	})
	if err != nil {
		return GetCloserPeers{}, fmt.Errorf("%w: request for closer peers: %w", ErrBody, err)
	}
	return r, nil
}

// PeerInfo is one item of the answer to [GetPeers] and to [GetCloserPeers]: a peer's
// key and its claims. A decoded one is unchecked; [PeerInfo.SignedClaims] checks it.
type PeerInfo struct {
	Key    []byte
	Claims []PeerClaim
}

// PeerClaim is one claim of a [PeerInfo].
type PeerClaim struct {
	Addresses [][]byte // binary multiaddrs
	Features  uint32
	Signature *ClaimSignature
}

// NewPeerInfo returns the item for a peer with these claims.
func NewPeerInfo(key identity.PublicKey, claims ...identity.Claim) PeerInfo {
	p := PeerInfo{Key: key[:]}
	for _, c := range claims {
		p.Claims = append(p.Claims, PeerClaim{Addresses: c.Addresses, Features: uint32(c.Features), Signature: signatureOf(c)})
	}
	return p
}

// SignedClaims returns the claims without verifying their signatures. It fails if
// one of them is malformed, as [Announcement.Claim] does.
func (p *PeerInfo) SignedClaims() ([]identity.Claim, error) {
	claims := make([]identity.Claim, 0, len(p.Claims))
	for _, c := range p.Claims {
		signed, err := claim(p.Key, c.Addresses, c.Features, c.Signature)
		if err != nil {
			return nil, err
		}
		claims = append(claims, signed)
	}
	return claims, nil
}

// Append appends the encoded item: a response that holds this peer.
func (p *PeerInfo) Append(dst []byte) []byte {
	info := appendBytes(nil, 1, p.Key)
	for _, c := range p.Claims {
		info = appendItem(info, 2, c.append(nil))
	}
	return appendItem(dst, 1, info)
}

func (c *PeerClaim) append(dst []byte) []byte {
	for _, a := range c.Addresses {
		dst = appendItem(dst, 1, a)
	}
	dst = appendVarint(dst, 2, uint64(c.Features))
	if c.Signature != nil {
		dst = appendItem(dst, 3, c.Signature.append(nil))
	}
	return dst
}

var (
	itemFields  = schema{1: protowire.BytesType}
	infoFields  = schema{1: protowire.BytesType, 2: protowire.BytesType}
	claimFields = schema{1: protowire.BytesType, 2: protowire.VarintType, 3: protowire.BytesType}
)

// DecodePeerInfo decodes an item with at most [MaxPeerItems] claims
// and addresses together. The error is [ErrBody], also for an item without a peer.
func DecodePeerInfo(b []byte) (p PeerInfo, err error) {
	var (
		items = budget(MaxPeerItems)
		left  = fieldBudget(fieldsOfPeerInfo)
		found bool
	)
	err = itemFields.read(b, left, func(f field) error {
		found = true
		return infoFields.read(f.bytes, left, func(f field) error {
			if f.number == 1 {
				p.Key = f.bytes
				return nil
			}
			c, err := decodePeerClaim(f.bytes, &items, left)
			p.Claims = append(p.Claims, c)
			return err
		})
	})
	switch {
	case err != nil:
		return PeerInfo{}, fmt.Errorf("%w: peer: %w", ErrBody, err)
	case !found:
		return PeerInfo{}, fmt.Errorf("%w: no peer", ErrBody)
	}
	return p, nil
}

func decodePeerClaim(b []byte, items, left *budget) (c PeerClaim, err error) {
	if err := items.spend(); err != nil {
		return c, err
	}
	err = claimFields.read(b, left, func(f field) error {
		switch f.number {
		case 1:
			if err := items.spend(); err != nil {
				return err
			}
			c.Addresses = append(c.Addresses, f.bytes)
		case 2:
			c.Features = uint32(f.varint)
		case 3:
			return mergeClaimSignature(&c.Signature, f.bytes, left)
		}
		return nil
	})
	return c, err
}
