package identity

import (
	"encoding/binary"
	"hash"
	"strconv"
	"sync"

	"golang.org/x/crypto/blake2b"

	"github.com/gamelan-p2p/gamelan/internal/ristretto"
)

// Hash256 is the domain-separated hash of spec: comms 4.3, BLAKE2b with a
// digest of 32 bytes. It hashes a tag made of domain, version and label, and
// then every item; eight little-endian bytes with the length come before the tag
// and before each item. So two different lists of items never hash the same
// bytes. An empty label is left out of the tag; an empty item adds its length.
func Hash256(domain string, version uint8, label string, items ...[]byte) (digest [32]byte) {
	h := hashers256.Get().(*hasher)
	h.add(domain, version, label, items)
	if h.long {
		h.sum(digest[:])
	} else {
		digest = blake2b.Sum256(h.buf)
	}
	h.clear()
	hashers256.Put(h)
	return digest
}

// Hash512 is [Hash256] with a digest of 64 bytes.
func Hash512(domain string, version uint8, label string, items ...[]byte) (digest [64]byte) {
	h := hashers512.Get().(*hasher)
	h.add(domain, version, label, items)
	if h.long {
		h.sum(digest[:])
	} else {
		digest = blake2b.Sum512(h.buf)
	}
	h.clear()
	hashers512.Put(h)
	return digest
}

// HashScalar is the digest of [Hash512], read as a little-endian number modulo
// the order of the group, as a canonical scalar.
func HashScalar(domain string, version uint8, label string, items ...[]byte) [ristretto.ScalarLen]byte {
	s := hashScalar(domain, version, label, items)
	return s.Bytes()
}

func hashScalar(domain string, version uint8, label string, items [][]byte) (s ristretto.Scalar) {
	wide := Hash512(domain, version, label, items...)
	s.SetWide(&wide)
	return s
}

// hasher collects the input of one hash in a buffer that is used again, so that
// hashing allocates nothing. Input that does not fit goes to stream piece by
// piece. The buffer is cleared after each hash because secrets, always short
// ones, are hashed too.
type hasher struct {
	buf    []byte
	long   bool // the beginning is in stream already
	stream hash.Hash
	digest [blake2b.Size]byte
}

// hashBuffer is the size of the buffer in bytes: most messages fit.
const hashBuffer = 2048

var (
	hashers256 = sync.Pool{New: func() any { return newHasher(blake2b.New256(nil)) }}
	hashers512 = sync.Pool{New: func() any { return newHasher(blake2b.New512(nil)) }}
	hashersID  = sync.Pool{New: func() any { return newHasher(blake2b.New(NodeIDLen, nil)) }}
)

func newHasher(h hash.Hash, err error) *hasher {
	if err != nil {
		panic("identity: blake2b: " + err.Error())
	}
	return &hasher{buf: make([]byte, 0, hashBuffer), stream: h}
}

func (h *hasher) add(domain string, version uint8, label string, items [][]byte) {
	h.buf = binary.LittleEndian.AppendUint64(h.buf, 0)
	h.buf = append(h.buf, domain...)
	h.buf = append(h.buf, ".v"...)
	h.buf = strconv.AppendUint(h.buf, uint64(version), 10)
	if label != "" {
		h.buf = append(h.buf, '.')
		h.buf = append(h.buf, label...)
	}
	binary.LittleEndian.PutUint64(h.buf, uint64(len(h.buf)-8))
	for _, item := range items {
		h.room(8)
		h.buf = binary.LittleEndian.AppendUint64(h.buf, uint64(len(item)))
		for len(item) > 0 {
			h.room(1)
			n := min(len(item), hashBuffer-len(h.buf))
			h.buf = append(h.buf, item[:n]...)
			item = item[n:]
		}
	}
}

// room makes room for n bytes in the buffer.
func (h *hasher) room(n int) {
	if len(h.buf)+n > hashBuffer {
		h.stream.Write(h.buf)
		h.buf, h.long = h.buf[:0], true
	}
}

// sum writes the digest of a long input, most of which is in stream already.
func (h *hasher) sum(digest []byte) {
	h.stream.Write(h.buf)
	copy(digest, h.stream.Sum(h.digest[:0]))
	h.stream.Reset()
}

func (h *hasher) clear() {
	clear(h.buf)
	h.buf, h.long = h.buf[:0], false
}
