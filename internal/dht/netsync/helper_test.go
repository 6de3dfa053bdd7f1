package netsync_test

import (
	"bytes"
	"encoding/binary"
	"iter"
	"slices"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
)

// wall is the system's clock of the tests.
var wall = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// secretOf returns the secret of a number.
func secretOf(t testing.TB, n int) *identity.Secret {
	t.Helper()
	var b [32]byte
	binary.BigEndian.PutUint32(b[8:], uint32(n)+1)
	s, err := identity.SecretFromBytes(b[:])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

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

// claimOf returns a claim of the node with this number, dated at.
func claimOf(t testing.TB, n int, at time.Time, list ...[]byte) identity.Claim {
	t.Helper()
	return claimAs(t, n, identity.FeatureNode, at, list...)
}

func claimAs(t testing.TB, n int, f identity.Features, at time.Time, list ...[]byte) identity.Claim {
	t.Helper()
	c, err := identity.SignClaim(secretOf(t, n), f, list, at, bytes.NewReader(bytes.Repeat([]byte{9}, 64)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const public = "/ip4/8.8.4.4/tcp/18189"

// candidate returns the node with this number, reached an hour ago at public addresses.
func candidate(t testing.TB, n int, list ...string) netsync.Candidate {
	t.Helper()
	if list == nil {
		list = []string{public}
	}
	c := claimOf(t, n, wall.Add(-time.Hour), addresses(t, list...)...)
	return netsync.Candidate{ID: c.Key.NodeID(), Features: c.Features, Reached: wall.Add(-time.Hour), Claim: &c}
}

// crowd returns n nodes that share the signature of one claim, which is not verified.
func crowd(t testing.TB, n int) iter.Seq[netsync.Candidate] {
	t.Helper()
	template := candidate(t, 0)
	list := make([]netsync.Candidate, n)
	for i := range list {
		c := *template.Claim
		binary.BigEndian.PutUint32(c.Key[:], uint32(i))
		list[i] = template
		list[i].Claim, list[i].ID = &c, c.Key.NodeID()
	}
	return slices.Values(list)
}

// item returns the item for a peer with these claims.
func item(claims ...identity.Claim) []byte {
	p := wire.NewPeerInfo(claims[0].Key, claims...)
	return p.Append(nil)
}

func bytesOf(k identity.PublicKey) []byte { return k[:] }
