package record

import (
	"cmp"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Compare says which of two valid records under one key is the newer: +1 if a is, -1 if b
// is, 0 if they are the same record. Of mutable records the higher seq wins, then the
// later expiry, then the larger digest (spec: kad B8). Two records that differ in the
// signature alone are the same. So are all records of another kind: a hash has one value,
// and of opaque values the one that came last counts.
func Compare(a, b *overlay.Record) int {
	if a.Kind != overlay.Mutable || b.Kind != overlay.Mutable {
		return 0
	}
	if c := cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Expires, b.Expires)); c != 0 {
		return c
	}
	return a.Digest().Compare(b.Digest())
}
