package wire

import (
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/ristretto"
)

// maxSigners is how many keys a [Verifier] caches: three quarters of a megabyte.
const maxSigners = 512

// Verifier verifies the signatures of envelopes and caches the decoded keys of
// senders whose clear messages have verified, which makes their next message a
// seventh cheaper. It drops the key that was added first to make room. The zero
// value has no keys; a Verifier is not safe for concurrent use.
type Verifier struct {
	keys  map[identity.PublicKey]*ristretto.Key
	order []identity.PublicKey // a ring, once it is full
	next  int
}

// Verify does what [Envelope.VerifyOrigin] does.
func (v *Verifier) Verify(e *Envelope) (identity.PublicKey, error) { return e.verifyOrigin(v) }

// verify is [ristretto.Verify], and caches the key of a signature that holds.
func (v *Verifier) verify(signer identity.PublicKey, nonce *[32]byte, challenge, scalar *ristretto.Scalar) bool {
	if key, ok := v.keys[signer]; ok {
		return key.Verify(nonce, challenge, scalar)
	}
	key := new(ristretto.Key)
	if key.SetBytes(signer[:]) != nil || !key.Verify(nonce, challenge, scalar) {
		return false
	}
	v.add(signer, key)
	return true
}

func (v *Verifier) add(signer identity.PublicKey, key *ristretto.Key) {
	if v.keys == nil {
		v.keys = make(map[identity.PublicKey]*ristretto.Key)
	}
	if _, ok := v.keys[signer]; ok {
		return
	}
	if len(v.order) < maxSigners {
		v.order = append(v.order, signer)
	} else {
		delete(v.keys, v.order[v.next])
		v.order[v.next] = signer
		v.next = (v.next + 1) % maxSigners
	}
	v.keys[signer] = key
}
