package noise

import (
	"hash"
	"sync"

	flynn "github.com/flynn/noise"
	"golang.org/x/crypto/blake2b"
)

// suite is 25519_ChaChaPoly_BLAKE2b with the Diffie-Hellman of comms 4.2, for one
// handshake. The handshake hashes the name 25519, although the group is ristretto255.
//
// Handling one message takes up to 28 hash states, 12 of them for each key that is
// derived. The handshake keeps none of them for the next message, so they are borrowed
// from a pool for one message at a time. Nothing is borrowed while the peer is silent.
type suite struct {
	dh
	flynn.CipherFunc
	states *hashStates // nil between two messages
}

// suiteName is hashed as a part of the protocol's name.
var suiteName = []byte(dh{}.DHName() + "_" + flynn.CipherChaChaPoly.CipherName() + "_" + flynn.HashBLAKE2b.HashName())

// Name returns a part of the protocol's name, which is hashed.
func (s *suite) Name() []byte { return suiteName }

// HashName returns a part of the protocol's name, which is hashed.
func (s *suite) HashName() string { return flynn.HashBLAKE2b.HashName() }

// Hash returns a fresh hash state, which is valid until giveBack.
func (s *suite) Hash() hash.Hash { return s.states.next() }

// borrow takes hash states for one message.
func (s *suite) borrow() { s.states = statesPool.Get().(*hashStates) }

// giveBack returns them to the pool.
func (s *suite) giveBack() {
	s.states.clear()
	statesPool.Put(s.states)
	s.states = nil
}

// hashStates are hash states to be used one after another. None of them is used twice
// before clear, because HMAC compares two of its states to find out whether they are
// different ones.
type hashStates struct {
	all  []hash.Hash
	used int
}

var statesPool = sync.Pool{New: func() any { return new(hashStates) }}

func (s *hashStates) next() hash.Hash {
	if s.used == len(s.all) {
		h, err := blake2b.New512(nil)
		if err != nil {
			panic("noise: " + err.Error()) // cannot happen: there is no key
		}
		s.all = append(s.all, h)
	}
	h := s.all[s.used]
	s.used++
	return h
}

// noBytes overwrites the block in a hash state, which may hold parts of a key.
var noBytes [blake2b.BlockSize]byte

// clear makes all states fresh, and erases what they hold.
func (s *hashStates) clear() {
	for _, h := range s.all[:s.used] {
		h.Reset()
		h.Write(noBytes[:])
		h.Reset()
	}
	s.used = 0
}
