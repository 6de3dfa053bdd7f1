package record_test

import (
	"math/rand/v2"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// TestOrder compares records that differ in one thing.
//
// conforms: kad 41
func TestOrder(t *testing.T) {
	base := signed(t, "", "hello", 7)
	later := resigned(base, func(r *overlay.Record) { r.Expires++ })
	higher := resigned(base, func(r *overlay.Record) { r.Seq, r.Expires = 8, r.Expires-100 })
	another := resigned(base, func(r *overlay.Record) { r.Value = []byte("hallo") })
	tombstone := resigned(base, func(r *overlay.Record) { r.Seq, r.Flags, r.Value = 8, overlay.FlagTombstone, nil })
	sameDigest := changed(base, func(r *overlay.Record) { r.Signature[0]++ })
	large := 1
	if a, b := another.Digest(), base.Digest(); a.Compare(b) < 0 {
		large = -1
	}
	for name, c := range map[string]struct {
		a, b *overlay.Record
		want int
	}{
		"later expiry":              {later, base, 1},
		"higher seq, earlier":       {higher, later, 1},
		"larger digest":             {another, base, large},
		"tombstone over lower seq":  {tombstone, later, 1},
		"the same":                  {base, base, 0},
		"the same with a signature": {sameDigest, base, 0},
	} {
		if got := record.Compare(c.a, c.b); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
		if got := record.Compare(c.b, c.a); got != -c.want {
			t.Errorf("%s, exchanged: got %d, want %d", name, got, -c.want)
		}
	}
}

// TestOrderConverges gives a set of records, of which many are alike, to holders in random
// orders: all end with the same one.
//
// conforms: kad 41
func TestOrderConverges(t *testing.T) {
	base := signed(t, "", "hello", 7)
	var records []*overlay.Record
	for seq := range uint64(3) {
		for expires := range uint64(3) {
			for _, value := range []string{"a", "b", "c"} {
				records = append(records, resigned(base, func(r *overlay.Record) {
					r.Seq, r.Expires, r.Value = seq, r.Expires+expires, []byte(value)
				}))
			}
		}
		records = append(records, resigned(base, func(r *overlay.Record) { r.Seq, r.Flags, r.Value = seq, 1, nil }))
	}
	r := rand.New(rand.NewPCG(1, 2))
	var first *overlay.Record
	for round := range 200 {
		var held *overlay.Record
		for _, i := range r.Perm(len(records)) {
			if held == nil || record.Compare(records[i], held) > 0 {
				held = records[i]
			}
		}
		if first == nil {
			first = held
		}
		if held != first {
			t.Fatalf("round %d: got seq %d, expires %d, %q; want %d, %d, %q", round, held.Seq, held.Expires, held.Value, first.Seq, first.Expires, first.Value)
		}
	}
	for _, other := range records {
		if record.Compare(other, first) > 0 {
			t.Errorf("got %d/%d/%q at the end, and %d/%d/%q is newer", first.Seq, first.Expires, first.Value, other.Seq, other.Expires, other.Value)
		}
	}
}

// TestVerified remembers records up to its limit, and none that differs.
func TestVerified(t *testing.T) {
	var v record.Verified
	r := signed(t, "", "hello", 7)
	if v.Has(r) {
		t.Fatal("got a record known from the beginning")
	}
	v.Add(r)
	v.Add(r)
	if !v.Has(r) || v.Len() != 1 {
		t.Fatalf("got %d records, want this one", v.Len())
	}
	for name, c := range map[string]*overlay.Record{
		"signature": changed(r, func(r *overlay.Record) { r.Signature[0]++ }),
		"value":     changed(r, func(r *overlay.Record) { r.Value[0]++ }),
		"seq":       changed(r, func(r *overlay.Record) { r.Seq++ }),
		"flags":     changed(r, func(r *overlay.Record) { r.Flags = 1 }),
		"key":       changed(r, func(r *overlay.Record) { r.Key[0]++ }),
	} {
		if v.Has(c) {
			t.Errorf("another %s: got it known", name)
		}
	}
	seq := func(n int) *overlay.Record { return changed(r, func(r *overlay.Record) { r.Seq = uint64(n) + 100 }) }
	for n := range record.Remembered {
		v.Add(seq(n))
	}
	if v.Len() != record.Remembered || v.Has(r) || !v.Has(seq(0)) {
		t.Errorf("got %d records, with the first %t; want the first of %d forgotten", v.Len(), v.Has(r), record.Remembered)
	}
}
