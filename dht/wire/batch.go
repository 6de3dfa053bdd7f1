package wire

import (
	"io"
	"slices"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/ristretto"
)

// MaxBatch is how many signatures a [Batch] takes: more would hardly be cheaper.
const MaxBatch = 16

// Batch verifies the signatures of several envelopes together, for half the work
// of one by one.
type Batch struct {
	verifier *Verifier
	random   io.Reader
	weights  []byte // drawn with the first signature
	batch    ristretto.Batch
	added    []batched
}

// batched is a signature of a [Batch].
type batched struct {
	signer identity.PublicKey
	key    *ristretto.Key
	masked bool
}

// Batch returns an empty batch that uses the verifier's keys and adds to them.
// Random must be unpredictable.
func (v *Verifier) Batch(random io.Reader) *Batch {
	return &Batch{verifier: v, random: random, added: make([]batched, 0, MaxBatch)}
}

// Add adds the envelope's signature and returns its signer. It returns false, and
// adds nothing, if there is no signature, if the signature is malformed, if the
// batch is full, or if random fails: verify such an envelope alone.
func (b *Batch) Add(e *Envelope) (signer identity.PublicKey, ok bool) {
	if len(b.added) == MaxBatch {
		return signer, false
	}
	sig, err := DecodeSignature(e.Header.Signature)
	var s ristretto.Scalar
	if err != nil || s.SetCanonical(sig.S[:]) != nil {
		return signer, false
	}
	key := b.key(sig.Signer)
	if key == nil || !b.draw() {
		return signer, false
	}
	weight := (*[ristretto.WeightLen]byte)(b.weights[len(b.added)*ristretto.WeightLen:])
	challenge := sig.challenge(e.Binding())
	if !b.batch.Add(key, &sig.Nonce, &challenge, &s, weight) {
		return signer, false
	}
	b.added = append(b.added, batched{sig.Signer, key, e.Header.Encrypted()})
	return sig.Signer, true
}

// key returns the signer's decoded key, nil if it is invalid.
func (b *Batch) key(signer identity.PublicKey) *ristretto.Key {
	if key := b.verifier.keys[signer]; key != nil {
		return key
	}
	if i := slices.IndexFunc(b.added, func(a batched) bool { return a.signer == signer }); i >= 0 {
		return b.added[i].key
	}
	key := new(ristretto.Key)
	if key.SetBytes(signer[:]) != nil {
		return nil
	}
	return key
}

// draw reads the weights of all signatures, once.
func (b *Batch) draw() bool {
	if b.weights != nil {
		return true
	}
	weights := make([]byte, MaxBatch*ristretto.WeightLen)
	if _, err := io.ReadFull(b.random, weights); err != nil {
		return false
	}
	b.weights = weights
	return true
}

// Verify reports whether all signatures hold, of at least two. When it reports
// false, some may hold nevertheless.
func (b *Batch) Verify() bool {
	if len(b.added) < 2 || !b.batch.Verify() {
		return false
	}
	for _, a := range b.added {
		if !a.masked {
			b.verifier.add(a.signer, a.key)
		}
	}
	return true
}
