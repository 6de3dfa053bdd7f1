package overlay_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// claimOf returns a signed claim of a node at the given addresses.
func claimOf(t *testing.T, addresses ...[]byte) *identity.Claim {
	t.Helper()
	secret, err := identity.SecretFromBytes(append([]byte{7}, make([]byte, 31)...))
	if err != nil {
		t.Fatal(err)
	}
	claim, err := identity.SignClaim(secret, 0, addresses, time.Unix(1_800_000_000, 0), bytes.NewReader(bytes.Repeat([]byte{9}, 64)))
	if err != nil {
		t.Fatal(err)
	}
	return &claim
}

func binaryAddress(t *testing.T, a overlay.Address) []byte {
	t.Helper()
	b, err := a.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNativeContact(t *testing.T) {
	good := binaryAddress(t, "/ip4/93.184.216.34/tcp/9")
	zero := []byte{4, 0, 0, 0, 0, 6, 0, 9} // an unspecified IP address
	claim := claimOf(t, zero, good)
	c, err := overlay.NativeContact(claim)
	if err != nil {
		t.Fatal(err)
	}
	if want := []overlay.Address{"/ip4/93.184.216.34/tcp/9"}; !slices.Equal(c.Addresses, want) {
		t.Errorf("got addresses %q, want %q", c.Addresses, want)
	}
	if c.ID != overlay.NodeID(claim.Key) || c.PublicKey != claim.Key || c.Stamp != 1_800_000_000 || c.Claim != claim {
		t.Errorf("got %+v, want id, key, stamp and claim of %s", c, claim.Key)
	}
	if err := c.CheckKey(); err != nil {
		t.Errorf("got %v, want the id of its key", err)
	}
	for name, addresses := range map[string][][]byte{
		"none": nil, "only unusable": {zero}, "six": {good, good, good, good, good, good},
		"UDP": {good, binaryAddress(t, "/ip4/93.184.216.34/udp/9")}, "no multiaddr": {good, {1, 2, 3}},
	} {
		if _, err := overlay.NativeContact(claimOf(t, addresses...)); !errors.Is(err, overlay.ErrContact) {
			t.Errorf("%s: got %v, want ErrContact", name, err)
		}
	}
	if _, err := overlay.NativeContact(claimOf(t, good, good, good, good, good)); err != nil {
		t.Errorf("five addresses: got %v, want a contact", err)
	}
}

func TestCheckKey(t *testing.T) {
	c, err := overlay.NativeContact(claimOf(t, binaryAddress(t, "/memory/7")))
	if err != nil {
		t.Fatal(err)
	}
	c.ID[31] ^= 1
	if err := c.CheckKey(); !errors.Is(err, overlay.ErrIDMismatch) {
		t.Errorf("another id: got %v, want ErrIDMismatch", err)
	}
	if err := overlay.SeedContact(c.ID, "/memory/7").CheckKey(); err != nil {
		t.Errorf("overlay seed: got %v, want any id", err)
	}
}

func TestGroupsOfAContact(t *testing.T) {
	c := overlay.Contact{Addresses: []overlay.Address{
		"/ip4/93.184.216.34/udp/9", "/ip4/10.0.0.1/udp/9", "/ip4/93.184.216.35/udp/9", "/ip4/93.184.217.34/udp/9",
	}}
	if got, want := c.Groups(), []string{"93.184.216.0/24", "93.184.217.0/24"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestVerify changes what a claim says, and whose it is.
func TestVerify(t *testing.T) {
	signed := time.Unix(1_800_000_000, 0)
	native := func(change func(*overlay.Contact)) overlay.Contact {
		c, err := overlay.NativeContact(claimOf(t, binaryAddress(t, "/memory/7"), binaryAddress(t, "/memory/8")))
		if err != nil {
			t.Fatal(err)
		}
		change(&c)
		return c
	}
	for name, c := range map[string]struct {
		contact overlay.Contact
		wall    time.Time
		want    error
	}{
		"as signed":     {native(func(*overlay.Contact) {}), signed, nil},
		"old":           {native(func(*overlay.Contact) {}), signed.AddDate(20, 0, 0), nil},
		"of the future": {native(func(*overlay.Contact) {}), signed.AddDate(0, 0, -2), identity.ErrClaimFromFuture},
		"addresses":     {native(func(c *overlay.Contact) { c.Claim.Addresses = c.Claim.Addresses[:1] }), signed, identity.ErrBadSignature},
		"features":      {native(func(c *overlay.Contact) { c.Claim.Features = 3 }), signed, identity.ErrBadSignature},
		"date":          {native(func(c *overlay.Contact) { c.Claim.Signature.UpdatedAt++ }), signed, identity.ErrBadSignature},
		"another id":    {native(func(c *overlay.Contact) { c.ID[0] ^= 1 }), signed, overlay.ErrIDMismatch},
		"no claim":      {native(func(c *overlay.Contact) { c.Claim = nil }), signed, overlay.ErrContact},
		"no key":        {native(func(c *overlay.Contact) { c.PublicKey = identity.PublicKey{} }), signed, overlay.ErrContact},
		"overlay seed":  {overlay.SeedContact(overlay.ID{1}, "/memory/7"), signed, nil},
	} {
		if err := c.contact.Verify(c.wall); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}
