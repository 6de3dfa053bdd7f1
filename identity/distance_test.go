package identity_test

import (
	"bytes"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/gamelan-p2p/gamelan/identity"
)

// conforms: comms 6
func TestDistanceOfTheReference(t *testing.T) {
	a := identity.NodeID{144, 28, 106, 112, 220, 197, 216, 119, 9, 217, 42, 77, 159}
	b := identity.NodeID{186, 43, 62, 14, 60, 214, 9, 180, 145, 122, 55, 160, 83}
	want := [16]byte{0, 0, 0, 42, 55, 84, 126, 224, 19, 209, 195, 152, 163, 29, 237, 204}
	for _, d := range []identity.Distance{a.Distance(b), b.Distance(a)} {
		if got := d.Bytes(); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
		if got := d.String(); got != "0000002a37547ee013d1c398a31dedcc" {
			t.Errorf("got %s", got)
		}
	}
	if d := a.Distance(a); d != (identity.Distance{}) || d.Cmp(identity.MaxDistance) != -1 {
		t.Errorf("to itself: got %v, want 0", d)
	}
}

// conforms: comms 6
func TestDistancesCompareAsNumbers(t *testing.T) {
	id := rapid.Custom(func(t *rapid.T) identity.NodeID {
		// Many equal prefixes, so that every byte decides sometimes.
		n := identity.NodeID(rapid.SliceOfN(rapid.Byte(), 13, 13).Draw(t, "id"))
		clear(n[:rapid.IntRange(0, 13).Draw(t, "zeros")])
		return n
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := id.Draw(t, "a"), id.Draw(t, "b"), id.Draw(t, "c")
		x, y := number(a, b), number(a, c)
		d, e := a.Distance(b), a.Distance(c)
		if got, want := d.Cmp(e), x.Cmp(y); got != want {
			t.Fatalf("%v to %v: got %d, want %d", d, e, got, want)
		}
		if got, want := d.Bucket(), max(0, x.BitLen()-1); got != want {
			t.Fatalf("bucket of %v: got %d, want %d", d, got, want)
		}
		if got, want := d.Bytes(), x.FillBytes(make([]byte, 16)); !bytes.Equal(got[:], want) {
			t.Fatalf("got %x, want %x", got, want)
		}
		if got, want := a.Compare(b), bytes.Compare(a[:], b[:]); got != want {
			t.Fatalf("%v to %v: got %d, want %d", a, b, got, want)
		}
	})
}

// number is the distance computed by the book.
func number(a, b identity.NodeID) *big.Int {
	return new(big.Int).Xor(new(big.Int).SetBytes(a[:]), new(big.Int).SetBytes(b[:]))
}

// conforms: comms 7
func TestBuckets(t *testing.T) {
	var zero identity.NodeID
	for _, c := range []struct {
		name string
		d    identity.Distance
		want int
	}{
		{"0", zero.Distance(zero), 0},
		{"1", zero.Distance(identity.NodeID{12: 1}), 0},
		{"2", zero.Distance(identity.NodeID{12: 2}), 1},
		{"3", zero.Distance(identity.NodeID{12: 3}), 1},
		{"2^63", zero.Distance(identity.NodeID{5: 0x80}), 63},
		{"2^64", zero.Distance(identity.NodeID{4: 1}), 64},
		{"the top bit", zero.Distance(identity.NodeID{0: 0x80}), 103},
		{"the greatest", identity.MaxDistance, 127},
	} {
		if got := c.d.Bucket(); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}
