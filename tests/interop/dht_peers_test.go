package interop

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/discovery"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// listed is what a Tari node got when it asked another for peers.
type listed struct {
	Peers []struct {
		Key    identity.PublicKey
		Claims int
	}
	Status  uint32
	Details string
}

func (l listed) keys() (keys []identity.PublicKey) {
	for _, p := range l.Peers {
		keys = append(keys, p.Key)
	}
	return keys
}

// Tari nodes of either release ask a node of ours for the peers it knows: with their own
// client, by both methods, also with arguments that are refused, and too often.
//
// conforms: dht 111-113, 115; V 23
// feature: DHT: our lists of peers, as they ask for them
func TestTheyAskForPeers(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		seed, a, b := startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{})
		join(t, a, seed)
		join(t, seed, b)
		p := startTariDHT(t, release)
		reach(t, seed, p, theyDial)
		defer wantNoBans(t, []*member{seed, a, b}, []*tari{p})
		ask := func(a args) (l listed) {
			t.Helper()
			a["peer"] = seed.PublicKey().String()
			p.must("dht_peers", a, &l)
			return l
		}
		closest := []identity.PublicKey{a.PublicKey(), b.PublicKey()}
		slices.SortFunc(closest, func(x, y identity.PublicKey) int {
			return p.id.Distance(x.NodeID()).Cmp(p.id.Distance(y.NodeID()))
		})
		byKey := func(x, y identity.PublicKey) int { return slices.Compare(x[:], y[:]) }
		for _, test := range []struct {
			args   args
			status rpc.Status
			peers  int
		}{
			{args{"n": 0}, rpc.OK, 2},
			{args{"n": 500, "clients": true}, rpc.OK, 2},
			{args{"n": 1}, rpc.OK, 1},
			{args{"n": 1, "claims": 0}, rpc.BadRequest, 0},
			{args{"n": 1, "addresses": 0}, rpc.BadRequest, 0},
			{args{"n": 2, "closer": true}, rpc.OK, 2},
			{args{"n": 100, "closer": true, "claims": 1, "addresses": 1}, rpc.OK, 2},
			{args{"n": 0, "closer": true}, rpc.BadRequest, 0},
			{args{"n": 101, "closer": true}, rpc.BadRequest, 0},
			{args{"n": 1, "closer": true, "claims": 0}, rpc.BadRequest, 0},
		} {
			l := ask(test.args)
			if l.Status != uint32(test.status) || len(l.Peers) != test.peers {
				t.Errorf("%v: got %+v, want status %d and %d peers", test.args, l, test.status, test.peers)
				continue
			}
			got, want := l.keys(), slices.Clone(closest)
			if test.args["closer"] == nil {
				slices.SortFunc(got, byKey)
				slices.SortFunc(want, byKey)
			}
			if test.peers == 2 && !slices.Equal(got, want) {
				t.Errorf("%v: got %v, want %v", test.args, got, want)
			}
		}
		// Ten requests are served at once. They ban for any status, so the next list is empty.
		if l := ask(args{"n": 0}); l.Status != 0 || len(l.Peers) != 0 {
			t.Errorf("the eleventh request: got %+v, want an empty list", l)
		}
		if v := seed.DHT().Network().Service; v.Refused != 1 {
			t.Errorf("got the counts %+v, want one refused", v)
		}
	})
}

// A node of ours asks Tari nodes of either release for peers and reads their answers.
//
// conforms: dht 117, 119; V 23, 24
// feature: DHT: their lists of peers, as we read them
func TestWeAskForPeers(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		p, q := startTariDHT(t, release), startTariDHT(t, release)
		meet(t, p, q)
		m, other := startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{})
		reach(t, other, p, theyDial)
		reach(t, m, p, weDial)
		defer wantNoBans(t, []*member{m, other}, []*tari{p, q})
		read := func(n int) (found []identity.PublicKey, counts [netsync.Bad + 1]int, err error) {
			r := netsync.NewReading(netsync.Asking{
				Self: m.PublicKey(), N: n,
				Known: func(identity.PublicKey) (int64, bool) { return 0, false },
				Rules: discovery.Rules{Limits: protocol.DefaultLimits(), TestAddresses: true},
			})
			err = m.RPC().Client(p.id, protocol.PeersID).Invoke(t.Context(), netsync.MethodGetPeers, true, func(b []byte) ([]byte, error) {
				r.Opened()
				return r.Request(true).Append(b), nil
			}, func(item []byte) error {
				c, result, err := r.Item(time.Now(), item)
				if err == nil && result == netsync.New {
					found = append(found, c.Key)
				}
				return err
			})
			return found, r.Counts, r.End(err)
		}
		found, counts, err := read(500)
		if err != nil || counts[netsync.Bad] > 0 || counts[netsync.Unusable] > 0 {
			t.Fatalf("got %d peers, %v, %v", len(found), counts, err)
		}
		for _, key := range []identity.PublicKey{q.key, other.PublicKey()} {
			if !slices.Contains(found, key) {
				t.Errorf("got %v, want %v among them", found, key)
			}
		}
		if slices.Contains(found, m.PublicKey()) || slices.Contains(found, p.key) {
			t.Errorf("got %v, want neither us nor themselves", found)
		}
		if found, _, err := read(1); err != nil || len(found) != 1 {
			t.Errorf("got %v, %v, want one peer", found, err)
		}
		call := func(method uint32, request []byte) (n int, err error) {
			err = m.RPC().Client(p.id, protocol.PeersID).Invoke(t.Context(), method, true,
				func(b []byte) ([]byte, error) { return append(b, request...), nil },
				func([]byte) error { n++; return nil })
			return n, err
		}
		if n, err := call(netsync.MethodGetPeers, wire.GetPeers{N: 1}.Append(nil)); n != 0 || !errors.Is(err, rpc.BadRequest) {
			t.Errorf("limits of 0: got %d items, %v, want a bad request", n, err)
		}
		closer := wire.GetCloserPeers{N: 2, MaxClaims: 1, MaxAddressesPerClaim: 1}
		n, err := call(netsync.MethodGetCloserPeers, closer.Append(nil))
		if release == "6.2.0" {
			if !errors.Is(err, rpc.UnsupportedMethod) {
				t.Errorf("closer peers of 6.2.0: got %d items, %v, want that it has no such method", n, err)
			}
		} else if err != nil || n != 2 {
			t.Errorf("closer peers: got %d items, %v, want 2", n, err)
		}
	})
}
