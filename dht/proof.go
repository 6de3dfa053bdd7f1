package dht

import (
	"io"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// MaxProofs is how many messages [Inbound.Prove] looks at: more would hardly be
// cheaper.
const MaxProofs = wire.MaxBatch

// Proof is what was found out of a message before its turn. It belongs to the
// bytes that it was made of, whoever they come from. The zero value says nothing.
type Proof struct {
	hash   wire.Hash
	hashed bool
	signer identity.PublicKey
	proven bool // the signature is the signer's
}

// Prove verifies the signatures of messages of one peer that wait for their turn,
// at most [MaxProofs], together: for half the work of one by one. The proofs are
// for [Frame]; whatever is wrong with a message is seen when it is its turn, and
// so is which signature does not hold if not all do. Random must be
// unpredictable; wall is the system's clock. Like Handle, it must not be called twice at a time.
func (in *Inbound) Prove(wall time.Time, source identity.NodeID, random io.Reader, bodies [][]byte) []Proof {
	if in.early || !in.known(source) { // a layer may change what is to be verified
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
			continue // it will end as a duplicate, without being verified
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
