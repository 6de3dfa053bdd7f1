package record

import "github.com/gamelan-p2p/gamelan/kad/overlay"

// Remembered is how many records a [Verified] remembers, in less than 1 MB.
const Remembered = 8192

// Verified remembers which mutable records passed [Check], so that a record which comes
// from each of its holders is verified once. [CheckForm] is still due each time, because
// time passes. It remembers no bad records: their sender could fill it with them. The zero
// value is ready to use, by one goroutine at a time.
type Verified struct {
	known map[overlay.ID]struct{}
	order []overlay.ID // in which they came; a ring once it is full
	next  int
}

const domainVerified = "gamelan.kad.verified"

// Has reports whether exactly this record, with this signature, was given to Add.
func (v *Verified) Has(r *overlay.Record) bool {
	_, ok := v.known[fingerprint(r)]
	return ok
}

// Add remembers a record. It forgets the one that came first when there are [Remembered].
func (v *Verified) Add(r *overlay.Record) {
	f := fingerprint(r)
	if _, ok := v.known[f]; ok {
		return
	}
	if v.known == nil {
		v.known = map[overlay.ID]struct{}{}
	}
	if len(v.order) < Remembered {
		v.order = append(v.order, f)
	} else {
		delete(v.known, v.order[v.next])
		v.order[v.next] = f
		v.next = (v.next + 1) % Remembered
	}
	v.known[f] = struct{}{}
}

// Len returns how many records are remembered.
func (v *Verified) Len() int { return len(v.order) }

// fingerprint is the hash of all that the signature proves, and of the signature.
func fingerprint(r *overlay.Record) overlay.ID {
	digest := r.Digest()
	return overlay.Digest(domainVerified, digest[:], r.PublicKey, r.Signature)
}
