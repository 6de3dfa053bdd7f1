package identity_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"sync"
	"testing"

	"golang.org/x/crypto/blake2b"

	"github.com/gamelan-p2p/gamelan/identity"
)

// conforms: comms 29
func TestHashesOfTheReference(t *testing.T) {
	schnorrR := unhex(t, "fa14cb581ce5717248444721242e6b195a482d503a853dea4acb513074d8d803")
	schnorrP := unhex(t, "74896a30c89186b8194e25f8c1382f8d3081c5a182fb8f8a6d34f27fbefbfc70")
	short := func(domain string, version uint8, label string, items ...[]byte) []byte {
		d := identity.Hash256(domain, version, label, items...)
		return d[:]
	}
	long := func(domain string, version uint8, label string, items ...[]byte) []byte {
		d := identity.Hash512(domain, version, label, items...)
		return d[:]
	}
	for _, c := range []struct {
		got  []byte
		want string
	}{
		{
			short("com.tari.generic", 1, "test_hasher", []byte("some foo")),
			"a8326620e305430a0b632a0a5e33c6c1124d7513b4bd84736faaa3a0b9ba557f",
		},
		{
			short("com.macro.test", 1, "", make([]byte, 3)),
			"d4cbf5b6b97485a991973db8a6ce4d3fc660db5dff5f55f2b0cb363fca34b0a2",
		},
		{
			short("com.macro.test", 2, "", make([]byte, 3)),
			"ce327b02271d035bad4dcc1e69bc292392ee4ee497f1f8467d54bf4b4c72639a",
		},
		{
			long("com.discworld", 42, "turtles", []byte("elephants")),
			"64a89c7160a1076a725fac97d3f67803abd0991d82518a595072fa62df4c870bddee9160f591231c381087831bf6925616013de317ce0b02846585caf41942ac",
		},
		{
			long("com.tari.schnorr_signature", 1, "challenge", schnorrR, schnorrP, []byte("Moving Pictures")),
			"2db0656c9dd1482bf61d32f157726b05a88d567c31107bed9a5c60a02119518af35929f360726bffd846439ab12e7c9f4983cf5fab5ea735422e05e0f560ddfd",
		},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	key := unhex(t, "45c5b950e04167785ff735bead8d746740db04bce3ee2c1f6523bdc59023e50e")
	got := identity.HashScalar("com.tari.kdf.ristretto", 1, "test", key, []byte("derived1"))
	if want := unhex(t, "22deb0c38ec2dc9f741912f6e3c2cd3f76a5b33142a289da15eecdcd882bda06"); !bytes.Equal(got[:], want) {
		t.Errorf("scalar: got %x, want %x", got, want)
	}
}

func TestHashesTellItemsApart(t *testing.T) {
	hash := func(label string, items ...string) string {
		var all [][]byte
		for _, item := range items {
			all = append(all, []byte(item))
		}
		d := identity.Hash256("d", 0, label, all...)
		return string(d[:])
	}
	seen := map[string]int{}
	for i, digest := range []string{
		hash(""), hash("", ""), hash("", "", ""), hash("", "ab"), hash("", "a", "b"), hash("", "b", "a"), hash("ab"), hash("a", "b"),
	} {
		if j, ok := seen[digest]; ok {
			t.Errorf("lists %d and %d have one digest", i, j)
		}
		seen[digest] = i
	}
}

// TestHashesOfAnySize are those of all bytes in one piece, around every size at
// which they take another way, also from several goroutines.
func TestHashesOfAnySize(t *testing.T) {
	text := make([]byte, 12_000)
	for i := range text {
		text[i] = byte(i % 251)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, n := range []int{0, 1, 100, 127, 128, 129, 1000, 1990, 2000, 2005, 2010, 2015, 2020, 2026, 2030, 2040, 2047, 2048, 2049, 4096, 9000} {
				for _, m := range []int{0, 7, 2048} {
					items := [][]byte{text[:n], text[n : n+m/2], text[:m]}
					flat := binary.LittleEndian.AppendUint64(nil, uint64(len("domain.v3.label")))
					flat = append(flat, "domain.v3.label"...)
					for _, item := range items {
						flat = append(binary.LittleEndian.AppendUint64(flat, uint64(len(item))), item...)
					}
					if got, want := identity.Hash256("domain", 3, "label", items...), blake2b.Sum256(flat); got != want {
						t.Errorf("%d and %d bytes: got %x, want %x", n, m, got, want)
					}
					if got, want := identity.Hash512("domain", 3, "label", items...), blake2b.Sum512(flat); got != want {
						t.Errorf("%d and %d bytes, long: got %x, want %x", n, m, got, want)
					}
				}
			}
		})
	}
	wg.Wait()
}
