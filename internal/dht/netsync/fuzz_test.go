package netsync_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// FuzzReading reads the bytes as an item, after a good one and before it again. A claim to
// store is signed and has a usable address, and what is no item is an offence.
func FuzzReading(f *testing.F) {
	good := item(claimOf(f, 1, wall, addresses(f, public)...))
	f.Add(good)
	f.Add(item(claimOf(f, 2, wall, addresses(f, public, "/ip4/10.0.0.1/tcp/1")...), claimOf(f, 2, wall, addresses(f, public)...)))
	f.Add(item(claimOf(f, 3, wall, addresses(f, "/ip4/8.8.8.8/tcp/0")...)))
	f.Add(raw(bytesOf(secretOf(f, 4).PublicKey())))
	f.Add([]byte{0x0a, 0})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		a := asking(3)
		a.Known = func(k identity.PublicKey) (int64, bool) { return -1, k[0]&1 == 1 }
		r := netsync.NewReading(a)
		if _, _, err := r.Item(wall, good); err != nil {
			t.Fatal(err)
		}
		c, got, err := r.Item(wall, b)
		if err != nil {
			if v, ok := errors.AsType[*protocol.Violation](err); !ok || v.Ban != protocol.BanLong {
				t.Fatalf("got %v, want an offence", err)
			}
			return
		}
		if stores := got == netsync.New || got == netsync.Newer; stores != !c.Key.IsZero() {
			t.Fatalf("got %v with the claim %+v", got, c)
		} else if stores && (c.Verify(wall) != nil || len(c.Addresses) == 0 || len(c.Addresses) > 5) {
			t.Fatalf("got a claim that does not verify: %+v", c)
		}
		if _, _, err := r.Item(wall, good); !errors.Is(err, netsync.ErrPeerTwice) {
			t.Fatalf("got %v for the first item again", err)
		}
	})
}

// FuzzRequests has both methods answer the bytes: with at most as many peers as asked for,
// or with a bad request.
func FuzzRequests(f *testing.F) {
	id := secretOf(f, 9).NodeID()
	f.Add(wire.GetPeers{N: 10, IncludeClients: true, MaxClaims: 5, MaxAddressesPerClaim: 5}.Append(nil))
	f.Add((&wire.GetCloserPeers{N: 3, CloserTo: id[:], Excluded: [][]byte{id[:]}, MaxClaims: 5, MaxAddressesPerClaim: 5}).Append(nil))
	f.Add([]byte{})
	var known []netsync.Candidate
	for i := range 8 {
		known = append(known, candidate(f, i))
	}
	known[1].Features = identity.FeatureNone
	f.Fuzz(func(t *testing.T, b []byte) {
		check := func(got []*identity.Claim, err error, n, claims, addresses uint32, clients bool) {
			t.Helper()
			if err != nil {
				if !errors.Is(err, rpc.BadRequest) || len(got) > 0 {
					t.Fatalf("got %d peers, %v", len(got), err)
				}
				return
			}
			if claims == 0 || addresses == 0 || uint32(len(got)) > min(n, 8) {
				t.Fatalf("got %d peers, want at most %d", len(got), n)
			}
			for i, c := range got {
				if slices.Contains(got[:i], c) || !clients && c == known[1].Claim {
					t.Fatalf("got %v", c.Key)
				}
			}
		}
		if q, err := wire.DecodeGetPeers(b); err == nil {
			got, err := netsync.Rules{}.Peers(wall, nobody, q, slices.Values(known), seeded())
			if q.N == 0 {
				q.N = 500
			}
			check(got, err, q.N, q.MaxClaims, q.MaxAddressesPerClaim, q.IncludeClients)
		}
		if q, err := wire.DecodeGetCloserPeers(b); err == nil {
			got, err := netsync.Rules{}.CloserPeers(wall, nobody, q, slices.Values(known))
			check(got, err, q.N, q.MaxClaims, q.MaxAddressesPerClaim, q.IncludeClients)
		}
	})
}
