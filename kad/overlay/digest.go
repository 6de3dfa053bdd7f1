package overlay

import (
	"crypto/sha1"
	"encoding/binary"

	"golang.org/x/crypto/blake2b"

	"github.com/gamelan-p2p/gamelan/identity"
)

// AlgEd25519 is the only signature algorithm of records (spec: kad B2).
const AlgEd25519 = 1

// FlagTombstone marks a record that says: there is no value any more. Other flags must
// be 0 (spec: kad B2).
const FlagTombstone = 1

// Domains of the digests, spec: kad B2.
const (
	domainNode      = "gamelan.kad.node.v1"
	domainImmutable = "gamelan.kad.immutable.v1"
	domainMutable   = "gamelan.kad.mutable.v1"
	domainSign      = "gamelan.kad.sign.v1"
)

// Digest is the hash of the overlay Native: BLAKE2b-256 of one byte with the length of
// domain, domain, and then each part after its length in four little-endian bytes. So
// different lists of parts never hash the same bytes (spec: kad B2). domain has at most 255
// bytes.
func Digest(domain string, parts ...[]byte) (digest ID) {
	var stack [512]byte
	b := append(stack[:0], byte(len(domain)))
	b = append(b, domain...)
	for _, p := range parts {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return blake2b.Sum256(b)
}

// NodeID returns the id of the node with the given key in the overlay Native. It has
// nothing in common with the node's [identity.NodeID].
func NodeID(key identity.PublicKey) ID { return Digest(domainNode, key[:]) }

// ImmutableKey returns the key of an immutable value.
func ImmutableKey(value []byte) Key { return Digest(domainImmutable, value) }

// MutableKey returns the key of the value that the holder of a signing key publishes
// under salt.
func MutableKey(alg uint8, publicKey, salt []byte) Key {
	return Digest(domainMutable, []byte{alg}, publicKey, salt)
}

// SignedDigest returns what the signature of a mutable record signs. expires is in Unix
// seconds. Of two records that are otherwise as good, that with the larger digest wins
// (spec: kad B8).
func SignedDigest(key Key, flags uint8, seq, expires uint64, value []byte) ID {
	var s, e [8]byte
	binary.LittleEndian.PutUint64(s[:], seq)
	binary.LittleEndian.PutUint64(e[:], expires)
	return Digest(domainSign, key[:], []byte{flags}, s[:], e[:], value)
}

// Hasher makes the keys of the overlay Seed. All nodes of a network must use the same
// one. Its methods may be called from several goroutines.
type Hasher interface {
	// Hash returns the hash of data: Size bytes.
	Hash(data []byte) []byte
	// Size is the length of ids and keys in bytes, from 1 to [IDLen].
	Size() int
}

// SHA1 is the hash that nodes of the overlay Seed use (spec: kad A2). It places keys, and
// protects nothing.
var SHA1 Hasher = sha1Hasher{}

type sha1Hasher struct{}

func (sha1Hasher) Hash(data []byte) []byte {
	sum := sha1.Sum(data)
	return sum[:]
}

func (sha1Hasher) Size() int { return sha1.Size }

// CheckHasher returns nil for a hasher that makes keys of the length that it says, and
// [ErrIDLength] for another, or for none.
func CheckHasher(h Hasher) error {
	if h == nil {
		return ErrIDLength
	}
	_, err := HashKey(h, nil)
	return err
}

// HashKey returns the hash of name as a key. It fails with [ErrIDLength] if h does not
// make as many bytes as it says.
func HashKey(h Hasher, name []byte) (Key, error) { return IDFromBytes(h.Hash(name), h.Size()) }
