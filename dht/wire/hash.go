package wire

import (
	"encoding/binary"

	"github.com/gamelan-p2p/gamelan/identity"
)

// domain of every hash of this package, in its version 1 (spec: dht 0).
const domain = "com.tari.comms.dht"

// Binding returns what a signature signs: a hash of the body and of every
// header field but Signature and Tag (spec: dht 2.5).
func (e *Envelope) Binding() [32]byte {
	var (
		h           = &e.Header
		number      [3][4]byte
		destination [33]byte
		expires     [8]byte
		ephemeral   [32]byte
	)
	for i, v := range []uint32{h.Version, uint32(h.Type), uint32(h.Flags)} {
		binary.LittleEndian.PutUint32(number[i][:], v)
	}
	if h.Destination.Known {
		destination[0] = 1
		copy(destination[1:], h.Destination.Key[:])
	}
	binary.LittleEndian.PutUint64(expires[:], h.Expires)
	copy(ephemeral[:], h.Ephemeral)
	return identity.Hash256(domain, 1, "challenge",
		number[0][:], destination[:], number[1][:], number[2][:], expires[:], ephemeral[:], e.Body)
}

// DedupHash returns the hash by which copies of a message are known: of the
// signature as it is written by those who make it, the body as it travels, and
// nothing else. So equal unsigned bodies are one message whoever sends them, a
// message that is signed or encrypted anew is a new one, and whoever writes a
// captured signature in another way, which still verifies, has made a copy (spec:
// dht 4.1).
func (e *Envelope) DedupHash() Hash { return DedupHash(e.Header.Signature, e.Body) }

// DedupHash is [Envelope.DedupHash] of the two fields.
func DedupHash(signature, body []byte) Hash {
	// The misspelling is part of the protocol.
	return identity.Hash256(domain, 1, "dedup.meesage_hash", canonical(signature), body)
}
