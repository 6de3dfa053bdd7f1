package nativewire

import (
	"errors"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// errNode reports a node that is no contact. The message that lists it is good.
var errNode = errors.New("kad: no contact")

// DecodeNode returns the contact whose claim [AppendNode] has encoded. It points into b, and
// the claim is not verified. It fails with an [*overlay.DecodeError].
func DecodeNode(b []byte) (overlay.Contact, error) {
	r := reader{left: maxFields}
	c, err := r.node(b)
	if err != nil {
		return overlay.Contact{}, &overlay.DecodeError{Stage: overlay.StageContacts, Cause: err}
	}
	return c, nil
}

// AppendNode appends the claim of a node to dst, as a Response names it.
func AppendNode(dst []byte, c *identity.Claim) []byte {
	dst = appendBytes(dst, 1, c.Key[:])
	for _, a := range c.Addresses {
		dst = appendItem(dst, 2, a)
	}
	dst = appendNumber(dst, 3, uint64(c.Features))
	return appendMessage(dst, 5, func(dst []byte) []byte {
		dst = appendNumber(dst, 1, uint64(c.Signature.Version))
		dst = appendBytes(dst, 2, c.Signature.S[:])
		dst = appendBytes(dst, 3, c.Signature.Nonce[:])
		return appendNumber(dst, 4, uint64(c.Signature.UpdatedAt))
	})
}

// node reads a node. It returns errNode for one that is no contact: without a key, with
// unknown features, with an incomplete signature, or with an address that no claim may
// hold. Other errors are of the message.
func (r *reader) node(b []byte) (overlay.Contact, error) {
	var (
		claim     identity.Claim
		key       []byte
		features  uint32
		signature []byte
	)
	err := r.each(b, func(f field) error {
		switch f.Number {
		case 1:
			return f.raw(&key)
		case 2:
			if len(claim.Addresses) <= overlay.MaxAddresses { // one too many shows that there are
				claim.Addresses = append(claim.Addresses, f.Bytes)
			}
			return f.wants(protowire.BytesType)
		case 3:
			return f.u32(&features)
		case 5:
			return f.raw(&signature)
		}
		return nil
	})
	if err != nil {
		return overlay.Contact{}, err
	}
	if claim.Signature, err = r.signature(signature); err != nil {
		return overlay.Contact{}, err
	}
	if claim.Features = identity.Features(features); !claim.Features.Valid() {
		return overlay.Contact{}, errNode
	}
	if n := len(claim.Addresses); n == 0 || n > overlay.MaxAddresses {
		return overlay.Contact{}, errNode
	}
	if claim.Key, err = identity.PublicKeyFromBytes(key); err != nil {
		return overlay.Contact{}, errNode
	}
	c, err := overlay.NativeContact(&claim)
	if err != nil {
		return overlay.Contact{}, errNode
	}
	return c, nil
}

// signature reads the signature of a claim.
func (r *reader) signature(b []byte) (s identity.Signature, err error) {
	var (
		version uint32
		number  []byte
		nonce   []byte
		date    uint64
	)
	err = r.each(b, func(f field) error {
		switch f.Number {
		case 1:
			return f.u32(&version)
		case 2:
			return f.raw(&number)
		case 3:
			return f.raw(&nonce)
		case 4:
			return f.u64(&date)
		}
		return nil
	})
	switch {
	case err != nil:
		return s, err
	case version > math.MaxUint8, len(number) != len(s.S), len(nonce) != len(s.Nonce):
		return s, errNode
	}
	return identity.Signature{Version: uint8(version), S: [32]byte(number), Nonce: [32]byte(nonce), UpdatedAt: int64(date)}, nil
}

// nodeField reads a field that holds a node.
func (r *reader) nodeField(f field) (overlay.Contact, error) {
	if err := f.wants(protowire.BytesType); err != nil {
		return overlay.Contact{}, err
	}
	return r.node(f.Bytes)
}
