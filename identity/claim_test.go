package identity_test

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/blake2b"

	"github.com/gamelan-p2p/gamelan/identity"
)

// The known answer of spec: comms 7.7.
var (
	katAddresses = []string{
		"04cb00710706470d",
		"bd03adadec040be047f9658668b11a504f3155001f231a37f54c4476c07fb4cc139ed7e30304d2",
	}
	katTime = time.Unix(1700000000, 0)
)

const (
	katR = "98d888b714e1731a9235d72ae909350a44ab033929b6f576b040e5321c820b21"
	katS = "2751165953b2756895f538d2226aa5f677a9242be8188f96546b25c26b476200"
)

func addresses(t testing.TB, list []string) [][]byte {
	t.Helper()
	b := make([][]byte, len(list))
	for i, s := range list {
		b[i] = unhex(t, s)
	}
	return b
}

// katClaim signs the known answer with its nonce: the wide reduction of the
// hash of a fixed text.
func katClaim(t testing.TB) identity.Claim {
	t.Helper()
	nonce := blake2b.Sum512([]byte("troupe kat identity nonce"))
	c, err := identity.SignClaim(testSecret(t), identity.FeatureNode, addresses(t, katAddresses), katTime, bytes.NewReader(nonce[:]))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// conforms: comms 46, 52
func TestSignClaimOfTheReference(t *testing.T) {
	c := katClaim(t)
	if got := c.Signature.Nonce; !bytes.Equal(got[:], unhex(t, katR)) {
		t.Errorf("R: got %x, want %s", got, katR)
	}
	if got := c.Signature.S; !bytes.Equal(got[:], unhex(t, katS)) {
		t.Errorf("s: got %x, want %s", got, katS)
	}
	if c.Signature.Version != 0 || c.Signature.UpdatedAt != katTime.Unix() || c.Key != testSecret(t).PublicKey() {
		t.Errorf("got version %d, date %d, key %v", c.Signature.Version, c.Signature.UpdatedAt, c.Key)
	}
	if err := c.Verify(katTime); err != nil {
		t.Errorf("verify: %v", err)
	}
}

// conforms: comms 52
func TestClaimsOfLiveNodes(t *testing.T) {
	for file, claims := range claimVectors(t) {
		for _, v := range claims {
			c := liveClaim(t, v)
			if err := c.Verify(time.Unix(v.Expect.UpdatedAt, 0)); err != nil {
				t.Errorf("%s, %s: %v", file, v.PublicKey, err)
			}
			// The digest, over the same items, from the outside.
			items := append([][]byte{
				c.Key[:], c.Signature.Nonce[:],
				{v.Expect.Version},
				le(uint64(v.Expect.UpdatedAt), 8), le(uint64(v.Expect.Features), 4),
			}, c.Addresses...)
			got := identity.Hash512("com.tari.comms.core.peer_manager", 1, "identity_signature", items...)
			if want := unhex(t, v.Expect.Digest); !bytes.Equal(got[:], want) {
				t.Errorf("%s, %s: challenge: got %x, want %x", file, v.PublicKey, got, want)
			}
		}
	}
}

func le(v uint64, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(v >> (8 * i))
	}
	return b
}

func liveClaim(t *testing.T, v claimVector) identity.Claim {
	t.Helper()
	k, err := identity.ParsePublicKey(v.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return identity.Claim{
		Key:       k,
		Features:  identity.Features(v.Expect.Features),
		Addresses: addresses(t, v.Expect.Addresses),
		Signature: identity.Signature{
			Version:   v.Expect.Version,
			Nonce:     [32]byte(unhex(t, v.Expect.R)),
			S:         [32]byte(unhex(t, v.Expect.S)),
			UpdatedAt: v.Expect.UpdatedAt,
		},
	}
}

// conforms: comms 53, 55
func TestEveryChangeBreaksTheSignature(t *testing.T) {
	other, err := identity.ParseSecret("b45aa8c64b444e861f0ac299747ff233a7572204e395baceb10082d54bd8bf02")
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string]func(*identity.Claim){
		"a byte of an address": func(c *identity.Claim) { c.Addresses[0][3] ^= 1 },
		"order of addresses":   func(c *identity.Claim) { slices.Reverse(c.Addresses) },
		"address missing":      func(c *identity.Claim) { c.Addresses = c.Addresses[:1] },
		"no address":           func(c *identity.Claim) { c.Addresses = nil },
		"address added":        func(c *identity.Claim) { c.Addresses = append(c.Addresses, []byte{4, 1, 2, 3, 4, 6, 0, 1}) },
		"empty address added":  func(c *identity.Claim) { c.Addresses = append(c.Addresses, nil) },
		"addresses joined":     func(c *identity.Claim) { c.Addresses = [][]byte{slices.Concat(c.Addresses...)} },
		"features":             func(c *identity.Claim) { c.Features = identity.FeatureNone },
		"version":              func(c *identity.Claim) { c.Signature.Version = 1 },
		"timestamp":            func(c *identity.Claim) { c.Signature.UpdatedAt-- },
		"key":                  func(c *identity.Claim) { c.Key = other.PublicKey() },
		"nonce":                func(c *identity.Claim) { c.Signature.Nonce = c.Key },
		"undecodable nonce":    func(c *identity.Claim) { c.Signature.Nonce[31] ^= 0x80 },
		"s":                    func(c *identity.Claim) { c.Signature.S[0] ^= 1 },
		"zero key":             func(c *identity.Claim) { c.Key = identity.PublicKey{} },
		"zero signature":       func(c *identity.Claim) { c.Signature.S, c.Signature.Nonce = [32]byte{}, [32]byte{} },
	}
	for name, change := range changes {
		c := katClaim(t)
		change(&c)
		if err := c.Verify(katTime); !errors.Is(err, identity.ErrBadSignature) {
			t.Errorf("%s changed: got %v, want ErrBadSignature", name, err)
		}
	}
}

// conforms: comms 56
func TestScalarOfASignatureIsCanonical(t *testing.T) {
	c := katClaim(t)
	// s + order satisfies the equation as well.
	carry := 0
	for i, b := range unhex(t, order) {
		carry += int(c.Signature.S[i]) + int(b)
		c.Signature.S[i] = byte(carry)
		carry >>= 8
	}
	if err := c.Verify(katTime); !errors.Is(err, identity.ErrUndecodable) || !errors.Is(err, identity.ErrBadSignature) {
		t.Errorf("verify: got %v, want ErrUndecodable", err)
	}
	if err := c.Signature.Check(); !errors.Is(err, identity.ErrUndecodable) {
		t.Errorf("check: got %v, want ErrUndecodable", err)
	}
	c = katClaim(t)
	if err := c.Signature.Check(); err != nil {
		t.Errorf("a good one: got %v, want none", err)
	}
	c.Signature.Nonce = [32]byte{1}
	if err := c.Signature.Check(); !errors.Is(err, identity.ErrUndecodable) {
		t.Errorf("nonce: got %v, want ErrUndecodable", err)
	}
}

// conforms: comms 54
func TestDatesOfClaims(t *testing.T) {
	c := katClaim(t) // dated katTime
	for name, at := range map[string]struct {
		now  time.Time
		want error
	}{
		"now":               {katTime, nil},
		"ten years old":     {katTime.AddDate(10, 0, 0), nil},
		"24 h ahead":        {katTime.Add(-24 * time.Hour), nil},
		"24 h 1 s ahead":    {katTime.Add(-24*time.Hour - time.Second), identity.ErrClaimFromFuture},
		"just over 24 h":    {katTime.Add(-24*time.Hour - time.Millisecond), identity.ErrClaimFromFuture},
		"25 h ahead":        {katTime.Add(-25 * time.Hour), identity.ErrClaimFromFuture},
		"decades ahead":     {time.Unix(0, 0), identity.ErrClaimFromFuture},
		"our clock is off":  {time.Time{}, identity.ErrClaimFromFuture},
		"23 h ahead of now": {katTime.Add(-23 * time.Hour), nil},
	} {
		if err := c.Verify(at.now); !errors.Is(err, at.want) {
			t.Errorf("%s: got %v, want %v", name, err, at.want)
		}
	}
	if err := c.VerifyWithin(katTime.Add(-2*time.Second), time.Second); !errors.Is(err, identity.ErrClaimFromFuture) {
		t.Errorf("2 s ahead, 1 s allowed: got %v, want ErrClaimFromFuture", err)
	}
	if err := c.VerifyWithin(katTime.Add(-100*time.Second), time.Minute); err == nil || !strings.Contains(err.Error(), "40 s beyond the 1m0s allowed") {
		t.Errorf("100 s ahead, 60 s allowed: got %v, want the error to say that it is 40 s too much", err)
	}
	for _, date := range []int64{-1, math.MinInt64} {
		c.Signature.UpdatedAt = date
		if err := c.Verify(katTime); !errors.Is(err, identity.ErrClaimBeforeEpoch) {
			t.Errorf("dated %d: got %v, want ErrClaimBeforeEpoch", date, err)
		}
	}
	c.Signature.UpdatedAt = math.MaxInt64
	if err := c.Verify(katTime); !errors.Is(err, identity.ErrClaimFromFuture) {
		t.Errorf("the last date: got %v, want ErrClaimFromFuture", err)
	}

	// 1970 itself is a date like any other, and so is every version.
	s := testSecret(t)
	epoch, err := identity.SignClaim(s, identity.FeatureNone, nil, time.Unix(0, 0), strings.NewReader(strings.Repeat("x", 64)))
	if err != nil {
		t.Fatal(err)
	}
	if err := epoch.Verify(katTime); err != nil {
		t.Errorf("dated 0: %v", err)
	}
	if _, err := identity.SignClaim(s, 0, nil, time.Unix(-1, 0), strings.NewReader(strings.Repeat("x", 64))); !errors.Is(err, identity.ErrClaimBeforeEpoch) {
		t.Errorf("sign before 1970: got %v, want ErrClaimBeforeEpoch", err)
	}
	if !c.Newer(epoch) || epoch.Newer(c) || epoch.Newer(epoch) {
		t.Error("newer: got the wrong one of two claims")
	}
}

func TestSignClaimNeedsRandomness(t *testing.T) {
	s := testSecret(t)
	for name, r := range map[string]*bytes.Reader{
		"short": bytes.NewReader(make([]byte, 63)),
		"zeros": bytes.NewReader(make([]byte, 64)), // would give the key away
	} {
		if _, err := identity.SignClaim(s, 0, nil, katTime, r); !errors.Is(err, identity.ErrRandom) {
			t.Errorf("%s: got %v, want ErrRandom", name, err)
		}
	}
	// Every claim uses up 64 fresh bytes.
	r := strings.NewReader(strings.Repeat("0123456789abcdef", 8))
	for range 2 {
		if _, err := identity.SignClaim(s, 0, nil, katTime, r); err != nil {
			t.Fatal(err)
		}
	}
	if r.Len() != 0 {
		t.Errorf("got %d bytes left, want 0", r.Len())
	}
}

// conforms: comms 58 (the claim; when it is asked for is the node's)
func TestResign(t *testing.T) {
	s := testSecret(t)
	list := addresses(t, katAddresses)
	random := strings.NewReader(strings.Repeat("0123456789abcdef", 64))
	resign := func(last identity.Claim, f identity.Features, list [][]byte, now time.Time) identity.Claim {
		t.Helper()
		c, err := identity.Resign(s, last, f, list, now, random)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Verify(now); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := resign(identity.Claim{}, identity.FeatureNode, list, katTime)
	if first.Signature.UpdatedAt != katTime.Unix() {
		t.Errorf("the first: got date %d, want %d", first.Signature.UpdatedAt, katTime.Unix())
	}
	later := katTime.Add(time.Hour)
	for name, same := range map[string][][]byte{"the same": list, "another order": {list[1], list[0]}} {
		if c := resign(first, identity.FeatureNode, same, later); c.Signature != first.Signature {
			t.Errorf("%s: got a new signature, want the old one", name)
		}
	}
	for name, c := range map[string]identity.Claim{
		"features":         resign(first, identity.FeatureNone, list, later),
		"one address less": resign(first, identity.FeatureNode, list[:1], later),
		"another address":  resign(first, identity.FeatureNode, [][]byte{list[0], list[0]}, later),
		"one address more": resign(first, identity.FeatureNode, append(slices.Clone(list), list[0]), later),
	} {
		if c.Signature.S == first.Signature.S || c.Signature.UpdatedAt != later.Unix() {
			t.Errorf("%s changed: got date %d, want a new signature of %d", name, c.Signature.UpdatedAt, later.Unix())
		}
	}
	// A claim of a clock that was a day ahead is signed anew; one of a clock that
	// was a day behind is as good as any.
	ahead := resign(identity.Claim{}, identity.FeatureNode, list, katTime.Add(24*time.Hour))
	if c := resign(ahead, identity.FeatureNode, list, katTime); c.Signature.UpdatedAt != katTime.Unix() {
		t.Errorf("after the clock was set back a day: got date %d, want %d", c.Signature.UpdatedAt, katTime.Unix())
	}
	if c := resign(first, identity.FeatureNode, list, katTime.Add(24*time.Hour)); c.Signature != first.Signature {
		t.Error("after the clock was set forward a day: got a new signature, want the old one")
	}
	// Peers keep the first of two claims with one date.
	for name, now := range map[string]time.Time{
		"the same second": katTime, "a clock set back": katTime.Add(-time.Hour),
		"a clock set back by almost half of what peers allow": katTime.Add(2*time.Second - identity.ClaimSkew/2),
	} {
		if c := resign(first, identity.FeatureNone, list, now); !c.Newer(first) {
			t.Errorf("%s: got date %d, want one after %d", name, c.Signature.UpdatedAt, first.Signature.UpdatedAt)
		}
	}
	// A date that peers would refuse, or soon could, is not carried on.
	for name, now := range map[string]time.Time{
		"a clock a year ahead": katTime.AddDate(-1, 0, 0), "a clock half a day ahead": katTime.Add(-identity.ClaimSkew / 2),
	} {
		if c := resign(first, identity.FeatureNone, list, now); c.Newer(first) {
			t.Errorf("%s: got date %d carried on", name, c.Signature.UpdatedAt)
		}
	}
	// Another key's claim is none of ours.
	other := first
	other.Key = identity.PublicKey{1}
	if c := resign(other, identity.FeatureNode, list, later); c.Key != s.PublicKey() || c.Signature.S == first.Signature.S {
		t.Error("another key's claim: got it back, want one of ours")
	}
}

func BenchmarkSignClaim(b *testing.B) {
	s := testSecret(b)
	list := addresses(b, katAddresses)
	nonce := bytes.Repeat([]byte{7}, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := identity.SignClaim(s, identity.FeatureNode, list, katTime, bytes.NewReader(nonce)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyClaim(b *testing.B) {
	c := katClaim(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Verify(katTime); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNodeID(b *testing.B) {
	k := testSecret(b).PublicKey()
	b.ReportAllocs()
	for b.Loop() {
		k.NodeID()
	}
}
