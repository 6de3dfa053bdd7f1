package discovery_test

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/discovery"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// wall is the system's clock of the tests.
var wall = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// strict and lenient are rules without and with test addresses.
var (
	strict  = discovery.Rules{Limits: protocol.DefaultLimits()}
	lenient = discovery.Rules{Limits: protocol.DefaultLimits(), TestAddresses: true}
)

// secretOf returns the secret whose 32 bytes are all b.
func secretOf(t testing.TB, b byte) *identity.Secret {
	t.Helper()
	s, err := identity.SecretFromBytes(bytes.Repeat([]byte{b}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// addresses returns the binary forms of these addresses.
func addresses(t testing.TB, list ...string) (bytes [][]byte) {
	t.Helper()
	for _, s := range list {
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			t.Fatal(err)
		}
		bytes = append(bytes, a.Bytes())
	}
	return bytes
}

// claimOf returns a claim of a node with these addresses, dated at.
func claimOf(t testing.TB, s *identity.Secret, at time.Time, addresses ...[]byte) identity.Claim {
	t.Helper()
	c, err := identity.SignClaim(s, identity.FeatureNode, addresses, at, bytes.NewReader(bytes.Repeat([]byte{9}, 64)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
