package overlay_test

import (
	"errors"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

func isLength(err error) bool { return errors.Is(err, overlay.ErrIDLength) }

func TestIDText(t *testing.T) {
	id, err := overlay.IDFromBytes(sequence(0xa0, 20), 20)
	if err != nil {
		t.Fatal(err)
	}
	const text = "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3"
	if got := id.Text(20); got != text {
		t.Errorf("got %s, want %s", got, text)
	}
	if got, err := overlay.ParseID(text, 20); err != nil || got != id {
		t.Errorf("got %v and %v, want %s", got, err, id)
	}
	var again overlay.ID
	b, err := id.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	if err := again.UnmarshalText(b); err != nil || again != id {
		t.Errorf("as text: got %v and %v, want %s", again, err, id)
	}
	for _, bad := range []struct {
		text string
		n    int
	}{{text, 32}, {text[1:], 20}, {text + "00", 20}, {"g" + text[1:], 20}, {"", 0}, {"", 20}} {
		if _, err := overlay.ParseID(bad.text, bad.n); !isLength(err) {
			t.Errorf("%q as %d bytes: got %v, want ErrIDLength", bad.text, bad.n, err)
		}
	}
}

// number reads an id as the number that it is.
func number(id overlay.ID) *big.Int { return new(big.Int).SetBytes(id[:]) }

// TestDistanceIsANumber compares distances and common prefixes of random ids of all
// lengths with the arithmetic of package big. Half of the ids share a long prefix.
func TestDistanceIsANumber(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		n := 1 + r.IntN(overlay.IDLen)
		target, a := overlay.RandomID(n, r), overlay.RandomID(n, r)
		b := overlay.RandomID(n, r)
		if r.IntN(2) == 0 {
			a = target.RandomIDInBucket(r.IntN(8*n), n, r)
			b = a.RandomIDInBucket(r.IntN(8*n), n, r)
		}
		toA := new(big.Int).Xor(number(target), number(a))
		toB := new(big.Int).Xor(number(target), number(b))
		if got := number(overlay.ID(target.Distance(a))); got.Cmp(toA) != 0 {
			t.Fatalf("distance of %s and %s: got %x, want %x", target, a, got, toA)
		}
		want := toA.Cmp(toB)
		if got := target.CompareDistance(a, b); got != want {
			t.Fatalf("to %s: %s and %s: got %d, want %d", target, a, b, got, want)
		}
		if got := target.Distance(a).Compare(target.Distance(b)); got != want {
			t.Fatalf("distances from %s of %s and %s: got %d, want %d", target, a, b, got, want)
		}
		if got, want := target.CommonPrefix(a), 8*overlay.IDLen-toA.BitLen(); got != want {
			t.Fatalf("common prefix of %s and %s: got %d, want %d", target, a, got, want)
		}
	}
}

// TestRandomIDInBucket draws ids for every bucket of every length of ids. Each must
// belong to its bucket, have no more than its bytes, and not always be the same.
func TestRandomIDInBucket(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{1, 2, 7, 8, 9, 20, 32} {
		self := overlay.RandomID(n, r)
		for prefix := range 8 * n {
			a, b := self.RandomIDInBucket(prefix, n, r), self.RandomIDInBucket(prefix, n, r)
			if got := self.CommonPrefix(a); got != prefix {
				t.Fatalf("%d bytes: got %d bits in common, want %d", n, got, prefix)
			}
			if tail := a[n:]; slices.ContainsFunc(tail, func(b byte) bool { return b != 0 }) {
				t.Fatalf("%d bytes: got %s, want zeros behind them", n, a)
			}
			if prefix < 8*n-32 && a == b {
				t.Fatalf("%d bytes, bucket %d: got %s twice, want random ids", n, prefix, a)
			}
		}
		for _, prefix := range []int{-1, 8 * n, 1000} {
			if got := self.RandomIDInBucket(prefix, n, r); got != self {
				t.Errorf("%d bytes, bucket %d: got %s, want %s", n, prefix, got, self)
			}
		}
	}
}

func TestSortByDistance(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	target := overlay.RandomID(20, r)
	var contacts []overlay.Contact
	for range 100 {
		contacts = append(contacts, overlay.SeedContact(overlay.RandomID(20, r), "/memory/1"))
	}
	overlay.SortByDistance(target, contacts)
	for i := range contacts[1:] {
		if number(overlay.ID(target.Distance(contacts[i].ID))).Cmp(number(overlay.ID(target.Distance(contacts[i+1].ID)))) >= 0 {
			t.Fatalf("contact %d is not nearer than the next", i)
		}
	}
}

// TestDistanceAllocatesNothing counts, because nearest contacts are sought all the time.
func TestDistanceAllocatesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	target, a, b := overlay.RandomID(32, r), overlay.RandomID(32, r), overlay.RandomID(32, r)
	if n := testing.AllocsPerRun(100, func() {
		target.CompareDistance(a, b)
		target.CommonPrefix(a)
		target.Distance(b)
	}); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}
