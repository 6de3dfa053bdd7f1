package dht

import (
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/ristretto"
)

// maxSigners is how many keys a signers holds: three quarters of a megabyte.
const maxSigners = 512

// signers holds the keys of those who signed messages in clear and may sign
// more, made ready for that: verifying is a seventh cheaper then. Only what has
// verified gets in; what has been in it for longest makes room. The zero value
// is empty.
type signers struct {
	keys  map[identity.PublicKey]*ristretto.Key
	order []identity.PublicKey // a ring, once it is full
	next  int
}

// verify is [ristretto.Verify], and remembers the key if it holds.
func (s *signers) verify(signer identity.PublicKey, nonce *[32]byte, challenge, scalar *ristretto.Scalar) bool {
	if key, ok := s.keys[signer]; ok {
		return key.Verify(nonce, challenge, scalar)
	}
	key := new(ristretto.Key)
	if key.SetBytes(signer[:]) != nil || !key.Verify(nonce, challenge, scalar) {
		return false
	}
	s.add(signer, key)
	return true
}

func (s *signers) add(signer identity.PublicKey, key *ristretto.Key) {
	if s.keys == nil {
		s.keys = make(map[identity.PublicKey]*ristretto.Key)
	}
	if _, ok := s.keys[signer]; ok {
		return
	}
	if len(s.order) < maxSigners {
		s.order = append(s.order, signer)
	} else {
		delete(s.keys, s.order[s.next])
		s.order[s.next] = signer
		s.next = (s.next + 1) % maxSigners
	}
	s.keys[signer] = key
}
