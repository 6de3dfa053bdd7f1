package identity

import (
	"encoding/binary"
	"hash"
	"strconv"

	"golang.org/x/crypto/blake2b"

	"github.com/gamelan-p2p/gamelan/internal/ristretto"
)

// Hasher is the domain-separated hash of spec: comms 4.3. It hashes a tag
// made of domain, version and label, and then every added item, each with
// its length as eight little-endian bytes in front. So no two lists of items
// hash the same bytes.
type Hasher struct {
	h      hash.Hash
	length [8]byte
}

// NewHasher256 returns a [Hasher] over BLAKE2b with a digest of 32 bytes. An
// empty label is left out of the tag.
func NewHasher256(domain string, version uint8, label string) *Hasher {
	h, err := blake2b.New256(nil)
	if err != nil {
		panic("identity: blake2b-256: " + err.Error())
	}
	return newHasher(h, domain, version, label)
}

// NewHasher512 returns a [Hasher] over BLAKE2b with a digest of 64 bytes. An
// empty label is left out of the tag.
func NewHasher512(domain string, version uint8, label string) *Hasher {
	h, err := blake2b.New512(nil)
	if err != nil {
		panic("identity: blake2b-512: " + err.Error())
	}
	return newHasher(h, domain, version, label)
}

func newHasher(h hash.Hash, domain string, version uint8, label string) *Hasher {
	tag := make([]byte, 0, len(domain)+len(".v255.")+len(label))
	tag = append(tag, domain...)
	tag = append(tag, ".v"...)
	tag = strconv.AppendUint(tag, uint64(version), 10)
	if label != "" {
		tag = append(tag, '.')
		tag = append(tag, label...)
	}
	return (&Hasher{h: h}).Add(tag)
}

// Add hashes each item with its length in front and returns the same hasher.
// An empty item counts: it adds its length.
func (h *Hasher) Add(items ...[]byte) *Hasher {
	for _, item := range items {
		binary.LittleEndian.PutUint64(h.length[:], uint64(len(item)))
		h.h.Write(h.length[:])
		h.h.Write(item)
	}
	return h
}

// Sum returns the digest of what was added so far, 32 or 64 bytes.
func (h *Hasher) Sum() []byte { return h.h.Sum(nil) }

// SumScalar returns the 64-byte digest of what was added so far, read as a
// little-endian number modulo the order of the group, as a canonical scalar.
// Only a hasher of [NewHasher512] has it; any other panics.
func (h *Hasher) SumScalar() [ristretto.ScalarLen]byte {
	s := h.scalar()
	return s.Bytes()
}

func (h *Hasher) scalar() (s ristretto.Scalar) {
	var wide [ristretto.WideLen]byte
	if n := copy(wide[:], h.h.Sum(nil)); n != len(wide) {
		panic("identity: a scalar needs a hasher of 512 bits")
	}
	s.SetWide(&wide)
	return s
}
