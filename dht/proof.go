package dht

import (
	"io"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/ristretto"
)

// MaxProofs is how many messages [Inbound.Prove] looks at: more would hardly be
// cheaper.
const MaxProofs = 16

// Proof is what was found out of a message before its turn. It belongs to the
// bytes that it was made of, whoever they come from. The zero value says nothing.
type Proof struct {
	hash   Hash
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
	var (
		weights []byte // drawn when there is a signature
		batch   ristretto.Batch
		keys    [MaxProofs]*ristretto.Key
		masked  [MaxProofs]bool
		proofs  = make([]Proof, len(bodies))
	)
	for i, body := range bodies {
		e, err := DecodeEnvelope(body)
		if err != nil || e.Header.Expired(wall.Unix()) || e.CheckSemantics() != nil {
			continue
		}
		hash := e.DedupHash()
		again := slices.ContainsFunc(proofs[:i], func(p Proof) bool { return p.hashed && p.hash == hash })
		proofs[i] = Proof{hash: hash, hashed: true}
		if again || in.dedup.Seen(hash) >= in.occurrences && !in.unreached.Has(hash) {
			continue // it will end as a duplicate, without being verified
		}
		sig, err := DecodeSignature(e.Header.Signature)
		var s ristretto.Scalar
		if err != nil || s.SetCanonical(sig.S[:]) != nil {
			continue
		}
		if keys[i] = in.signers.keys[sig.Signer]; keys[i] == nil {
			if j := slices.IndexFunc(proofs[:i], func(p Proof) bool { return p.proven && p.signer == sig.Signer }); j >= 0 {
				keys[i] = keys[j]
			} else if keys[i] = new(ristretto.Key); keys[i].SetBytes(sig.Signer[:]) != nil {
				continue
			}
		}
		if weights == nil {
			weights = make([]byte, MaxProofs*ristretto.WeightLen)
			if _, err := io.ReadFull(random, weights); err != nil {
				return nil
			}
		}
		weight := (*[ristretto.WeightLen]byte)(weights[i*ristretto.WeightLen:])
		challenge := sig.challenge(e.Binding())
		if batch.Add(keys[i], &sig.Nonce, &challenge, &s, weight) {
			proofs[i].signer, proofs[i].proven, masked[i] = sig.Signer, true, e.Header.Encrypted()
		}
	}
	hold := batch.Len() > 1 && batch.Verify()
	for i := range proofs {
		p := &proofs[i]
		if p.proven = p.proven && hold; p.proven && !masked[i] {
			in.signers.add(p.signer, keys[i])
		}
	}
	return proofs
}
