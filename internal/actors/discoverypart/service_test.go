package discoverypart

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

func (n *node) Features() identity.Features { return identity.FeatureNode }

// TestServeLimit has a client take a minute for each peer.
func TestServeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFetcher(t, nil)
		now := time.Now()
		for n := range 10 {
			p := peerstore.FromClaim(claimOf(t, n+1, now), peerstore.Discovery)
			if _, err := d.trunk.(*node).store.Add(now, p); err != nil {
				t.Fatal(err)
			}
			d.trunk.(*node).store.Seen(now, p.ID, p.Addresses[0].Addr, 0)
		}
		s, ok := d.Service()
		if !ok {
			t.Fatal("a node does not offer the service")
		}
		ctx := rpc.WithCaller(t.Context(), &rpc.Caller{Peer: secretOf(t, 99).NodeID()})
		request := wire.GetPeers{MaxClaims: 1, MaxAddressesPerClaim: 1}.Append(nil)
		for _, m := range s.Methods {
			if m.Number() != netsync.MethodGetPeers {
				continue
			}
			sent := 0
			slow := func(encode func([]byte) ([]byte, error)) error {
				sent++
				time.Sleep(time.Minute)
				_, err := encode(nil)
				return err
			}
			if err := m.Serve(ctx, request, slow); !errors.Is(err, rpc.Timeout) || sent != 3 {
				t.Errorf("got %d peers, %v, want those of two minutes", sent, err)
			}
			if err := m.Serve(context.Background(), request, slow); err != nil || sent != 3 {
				t.Errorf("got %d peers, %v for nobody, want none", sent, err)
			}
		}
	})
}
