package dht

import (
	"io"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// MaxProofs is how many messages [Inbound.Prove] verifies in one call.
const MaxProofs = wire.MaxBatch

// Proof caches the hash and the signer of a message whose signature was verified
// ahead of its turn. It is valid for the same bytes, from any peer. The zero value
// means that nothing was checked.
type Proof struct {
	hash   wire.Hash
	hashed bool
	signer identity.PublicKey
	proven bool // the signature verifies
}

// Prove verifies the signatures of waiting messages of one peer in a batch, which
// takes half the work of one by one. It returns a [Proof] for each of the first
// [MaxProofs] messages, or nil; put it into the message's [Frame]. Prove reports no
// error: if one signature is bad, all are left unproven, and Handle finds it. Random
// must be unpredictable; wall is the system's clock. Like Handle, Prove must not be
// called concurrently.
func (in *Inbound) Prove(wall time.Time, source identity.NodeID, random io.Reader, bodies [][]byte) []Proof {
	if in.layered || !in.known(source) { // a layer may change the message before it is verified
		return nil
	}
	bodies = bodies[:min(len(bodies), MaxProofs)]
	proofs := make([]Proof, len(bodies))
	batch := in.verifier.Batch(random)
	for i, body := range bodies {
		e, err := wire.DecodeEnvelope(body)
		if err != nil || e.Header.Expired(wall.Unix()) || e.CheckSemantics() != nil {
			continue
		}
		hash := e.DedupHash()
		again := slices.ContainsFunc(proofs[:i], func(p Proof) bool { return p.hashed && p.hash == hash })
		proofs[i] = Proof{hash: hash, hashed: true}
		if again || in.dedup.Seen(hash) >= in.occurrences && !in.unreached.Has(hash) {
			continue // Handle ends it as a duplicate without verifying it
		}
		proofs[i].signer, proofs[i].proven = batch.Add(&e)
	}
	if !batch.Verify() {
		for i := range proofs {
			proofs[i].proven = false
		}
	}
	return proofs
}
