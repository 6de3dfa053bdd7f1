package overlay

// Kind says how a record is checked (spec: kad B8).
type Kind uint8

// The kinds of records. Immutable and Mutable have these numbers on the wire of the
// overlay Native.
const (
	Opaque    Kind = 0 // overlay Seed: whoever stored last wins
	Immutable Kind = 1 // its key is the hash of its value
	Mutable   Kind = 2 // signed; a tombstone if its flags say so
)

// String returns the name in lower case.
func (k Kind) String() string {
	switch k {
	case Opaque:
		return "opaque"
	case Immutable:
		return "immutable"
	case Mutable:
		return "mutable"
	}
	return "unknown"
}

// Record is a value under a key, with what proves that it belongs there. Package record
// makes, checks and compares records. The fields after Value are of mutable records only.
type Record struct {
	Kind  Kind
	Key   Key
	Value []byte

	Alg       uint8  // [AlgEd25519]
	PublicKey []byte // the publisher's, 32 bytes
	Salt      []byte // parts the values of one publisher
	Seq       uint64 // counts changes: the higher wins
	Expires   uint64 // Unix seconds
	Flags     uint8  // [FlagTombstone] or 0
	Signature []byte // of the digest, 64 bytes
}

// Tombstone reports whether the record says that its value was deleted.
func (r *Record) Tombstone() bool { return r.Flags&FlagTombstone != 0 }

// Digest returns what the signature of a mutable record signs.
func (r *Record) Digest() ID { return SignedDigest(r.Key, r.Flags, r.Seq, r.Expires, r.Value) }
