package record

import (
	"crypto"
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Immutable returns the record of a value whose key is its hash. It keeps value. It fails
// with an [*overlay.ValueTooLargeError].
func Immutable(value []byte) (*overlay.Record, error) {
	r := &overlay.Record{Kind: overlay.Immutable, Value: value}
	if err := CheckForm(overlay.Native, r, time.Time{}); err != nil {
		return nil, err
	}
	r.Key = overlay.ImmutableKey(value)
	return r, nil
}

// Content is what a publisher signs.
type Content struct {
	Salt    []byte // at most [MaxSalt] bytes; parts the values of one publisher
	Value   []byte // at most [MaxValue] bytes; none in a tombstone
	Seq     uint64 // higher than that of the record which it replaces
	Expires time.Time
	// Tombstone says that there is no value any more.
	Tombstone bool
}

// Sign returns a mutable record of the content, signed. The signer's public key must be
// Ed25519: an [ed25519.PrivateKey] is such a signer. Sign fails with the errors of [Check]
// at the time wall, among them [ErrTooLong], with [ErrAlgorithm] for another key, or with
// the signer's error.
func Sign(signer crypto.Signer, c Content, wall time.Time) (*overlay.Record, error) {
	public, ok := signer.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: the key is a %T, want an Ed25519 key", ErrAlgorithm, signer.Public())
	}
	r := &overlay.Record{
		Kind: overlay.Mutable, Key: overlay.MutableKey(overlay.AlgEd25519, public, c.Salt), Value: c.Value, Alg: overlay.AlgEd25519,
		PublicKey: public, Salt: c.Salt, Seq: c.Seq, Expires: uint64(max(0, c.Expires.Unix())),
	}
	if c.Tombstone {
		r.Flags = overlay.FlagTombstone
	}
	digest := r.Digest()
	signature, err := signer.Sign(nil, digest[:], crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("kad: sign record: %w", err)
	}
	r.Signature = signature
	if err := Check(overlay.Native, r, wall); err != nil {
		return nil, err
	}
	return r, nil
}
