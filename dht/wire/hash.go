package wire

import (
	"encoding/binary"

	"github.com/gamelan-p2p/gamelan/identity"
)

// domain separates the hashes of this package from others (spec: dht 0).
const domain = "com.tari.comms.dht"

// Binding returns the hash that is signed: of the body and of every header field but
// Signature and Tag (spec: dht 2.5).
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

// DedupHash returns the hash that identifies copies of a message: of the canonical
// encoding of its signature, and of its body as it was received (spec: dht 4.1). Equal
// unsigned bodies are one message, whoever sends them. A message that is signed or
// encrypted again is a new message. A captured message whose signature is encoded in
// another way is a copy.
func (e *Envelope) DedupHash() Hash { return DedupHash(e.Header.Signature, e.Body) }

// DedupHash returns the [Envelope.DedupHash] of an envelope with this signature and body.
func DedupHash(signature, body []byte) Hash {
	// The misspelling is part of the protocol.
	return identity.Hash256(domain, 1, "dedup.meesage_hash", canonical(signature), body)
}
