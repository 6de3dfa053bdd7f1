package identity_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
)

// conforms: comms 29
func TestHasherOfTheReference(t *testing.T) {
	schnorrR := unhex(t, "fa14cb581ce5717248444721242e6b195a482d503a853dea4acb513074d8d803")
	schnorrP := unhex(t, "74896a30c89186b8194e25f8c1382f8d3081c5a182fb8f8a6d34f27fbefbfc70")
	for _, c := range []struct {
		h    *identity.Hasher
		want string
	}{
		{
			identity.NewHasher256("com.tari.generic", 1, "test_hasher").Add([]byte("some foo")),
			"a8326620e305430a0b632a0a5e33c6c1124d7513b4bd84736faaa3a0b9ba557f",
		},
		{
			identity.NewHasher256("com.macro.test", 1, "").Add(make([]byte, 3)),
			"d4cbf5b6b97485a991973db8a6ce4d3fc660db5dff5f55f2b0cb363fca34b0a2",
		},
		{
			identity.NewHasher256("com.macro.test", 2, "").Add(make([]byte, 3)),
			"ce327b02271d035bad4dcc1e69bc292392ee4ee497f1f8467d54bf4b4c72639a",
		},
		{
			identity.NewHasher512("com.discworld", 42, "turtles").Add([]byte("elephants")),
			"64a89c7160a1076a725fac97d3f67803abd0991d82518a595072fa62df4c870bddee9160f591231c381087831bf6925616013de317ce0b02846585caf41942ac",
		},
		{
			identity.NewHasher512("com.tari.schnorr_signature", 1, "challenge").Add(schnorrR, schnorrP).Add([]byte("Moving Pictures")),
			"2db0656c9dd1482bf61d32f157726b05a88d567c31107bed9a5c60a02119518af35929f360726bffd846439ab12e7c9f4983cf5fab5ea735422e05e0f560ddfd",
		},
	} {
		if got := hex.EncodeToString(c.h.Sum()); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
		if got := hex.EncodeToString(c.h.Sum()); got != c.want {
			t.Errorf("a second Sum: got %s, want %s", got, c.want)
		}
	}
	key := unhex(t, "45c5b950e04167785ff735bead8d746740db04bce3ee2c1f6523bdc59023e50e")
	got := identity.NewHasher512("com.tari.kdf.ristretto", 1, "test").Add(key, []byte("derived1")).SumScalar()
	if want := unhex(t, "22deb0c38ec2dc9f741912f6e3c2cd3f76a5b33142a289da15eecdcd882bda06"); !bytes.Equal(got[:], want) {
		t.Errorf("scalar: got %x, want %x", got, want)
	}
}

func TestHasherTellsItemsApart(t *testing.T) {
	hash := func(label string, items ...string) string {
		h := identity.NewHasher256("d", 0, label)
		for _, item := range items {
			h.Add([]byte(item))
		}
		return string(h.Sum())
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

func TestScalarNeedsTheLongHash(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("SumScalar of a 256-bit hasher: got a scalar, want a panic")
		}
	}()
	identity.NewHasher256("d", 0, "").SumScalar()
}
