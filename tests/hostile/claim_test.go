package hostile

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
)

// correct is a claim without a fault, of secret, over the addresses.
func correct(t testing.TB, secret *identity.Secret, addresses ...[]byte) *rawpeer.Claim {
	return signedAt(t, secret, time.Now(), addresses...)
}

func signedAt(t testing.TB, secret *identity.Secret, at time.Time, addresses ...[]byte) *rawpeer.Claim {
	t.Helper()
	signed, err := identity.SignClaim(secret, identity.FeatureNode, addresses, at, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := rawpeer.NewClaim(signed)
	c.Agent = "hostile"
	return c
}
