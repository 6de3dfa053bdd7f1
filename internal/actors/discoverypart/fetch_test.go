package discoverypart

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// node stands for the rest of the node, of which a fetch uses the store and the clocks.
type node struct {
	Trunk  // what is not here is not called
	secret *identity.Secret
	store  *peerstore.Store
}

func (n *node) Now() time.Time            { return time.Now() }
func (n *node) Wall() time.Time           { return time.Now() }
func (n *node) Secret() *identity.Secret  { return n.secret }
func (n *node) Store() peerstore.View     { return n.store.View() }
func (n *node) Profile() protocol.Profile { return protocol.Tari(protocol.MainNet) }
func (n *node) Connection(identity.NodeID) (*actors.ConnRef, bool) {
	return nil, false
}

// server answers a call of a fetch.
type server struct {
	rpc.Transport
	opens  time.Duration // until the session is open
	answer func(ctx context.Context, send func(item []byte) error) error
	asked  []byte
}

func (s *server) Invoke(ctx context.Context, call rpc.Invocation, encode func([]byte) ([]byte, error), got func([]byte) error) error {
	if call.Method != 10 || !call.Stream {
		return rpc.UnsupportedMethod
	}
	if err := pause(ctx, s.opens); err != nil {
		return err
	}
	var err error
	if s.asked, err = encode(nil); err != nil {
		return err
	}
	return s.answer(ctx, got)
}

// pause waits for d, or until ctx ends, and then returns an error like that of a call.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", rpc.Timeout, ctx.Err())
	}
}

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

func claimOf(t testing.TB, n int, at time.Time) identity.Claim {
	t.Helper()
	addr := ma.StringCast(fmt.Sprintf("/ip4/8.8.4.4/tcp/%d", n+1))
	c, err := identity.SignClaim(secretOf(t, n), identity.FeatureNode, [][]byte{addr.Bytes()}, at, bytes.NewReader(bytes.Repeat([]byte{9}, 64)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func itemOf(t testing.TB, n int, at time.Time) []byte {
	t.Helper()
	p := wire.NewPeerInfo(secretOf(t, n).PublicKey(), claimOf(t, n, at))
	return p.Append(nil)
}

func newFetcher(t *testing.T, s *server) *Discovery {
	t.Helper()
	store, err := peerstore.Open(kv.Memory(), peerstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &Discovery{
		trunk:    &node{secret: secretOf(t, 0), store: store},
		Settings: Settings{Client: func(identity.NodeID) *rpc.Client { return rpc.NewClient(identity.NodeID{}, "", s) }},
	}
}

// conforms: dht 119, 121
func TestFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		s := &server{answer: func(_ context.Context, send func([]byte) error) error {
			for n := range 4 { // 0 is the node itself, 1 is known, 2 is older here
				if err := send(itemOf(t, n, now)); err != nil {
					return err
				}
			}
			return nil
		}}
		d := newFetcher(t, s)
		for n, age := range map[int]time.Duration{1: 0, 2: time.Hour} {
			if _, err := d.trunk.(*node).store.Add(now, peerstore.FromClaim(claimOf(t, n, now.Add(-age)), peerstore.Discovery)); err != nil {
				t.Fatal(err)
			}
		}
		r := d.fetch(t.Context(), fetching{N: 500, Clients: true})
		if r.Err != nil || len(r.Peers) != 2 || r.Peers[0].New || !r.Peers[1].New || r.Skipped() != 0 {
			t.Fatalf("got %+v, want a newer and a new peer", r)
		}
		for i, p := range r.Peers {
			if p.Key != secretOf(t, i+2).PublicKey() || p.Claim == nil || len(p.Addresses) != 1 || p.Addresses[0].Source != peerstore.AnotherPeer {
				t.Errorf("peer %d: got %+v", i, p)
			}
		}
		if got := fmt.Sprintf("%x", s.asked); got != "08f403100118052005" {
			t.Errorf("got the request %s", got)
		}
		if d.fetch(t.Context(), fetching{N: 100}); fmt.Sprintf("%x", s.asked) != "086418052005" {
			t.Errorf("got the request %x without clients", s.asked)
		}
	})
}

// TestFetchTakesLimitedTime has servers that are slow in each step. What has come stays, and
// nobody is banned.
//
// conforms: V 24
func TestFetchTakesLimitedTime(t *testing.T) {
	const second = time.Second
	for name, test := range map[string]struct {
		opens, first, each time.Duration
		items              int
		takes              time.Duration
		peers              int
		stalls             bool
	}{
		"in time":            {opens: 9 * second, first: 4 * second, each: 4 * second, items: 3, takes: 9*second + 4*4*second, peers: 3},
		"session":            {opens: time.Hour, items: 3, takes: 10 * second, stalls: true},
		"first item":         {opens: second, first: time.Hour, items: 3, takes: 6 * second, stalls: true},
		"first item, a bit":  {first: 5*second + 1, items: 3, takes: 5 * second, stalls: true},
		"between items":      {first: 4 * second, each: 6 * second, items: 3, takes: 9 * second, peers: 1, stalls: true},
		"after many items":   {each: second, items: 20, takes: 20 * second, peers: 20},
		"a pause at the end": {items: 3, each: 0, takes: 5 * second, peers: 3, stalls: true},
		"for ever":           {each: 9 * second / 2, items: 500, takes: time.Minute, peers: 14},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				d := newFetcher(t, &server{opens: test.opens, answer: func(ctx context.Context, send func([]byte) error) error {
					if err := pause(ctx, test.first); err != nil {
						return err
					}
					for n := range test.items {
						if err := send(itemOf(t, n+1, began)); err != nil {
							return err
						}
						if err := pause(ctx, test.each); err != nil {
							return err
						}
					}
					if name == "a pause at the end" {
						return pause(ctx, time.Hour)
					}
					return nil
				}})
				r := d.fetch(t.Context(), fetching{N: 500})
				if took := time.Since(began); took != test.takes {
					t.Errorf("got %v, want %v", took, test.takes)
				}
				if _, banned := errors.AsType[*protocol.Violation](r.Err); banned || errors.Is(r.Err, netsync.ErrStalled) != test.stalls || len(r.Peers) != test.peers {
					t.Errorf("got %d peers, %v, want %d and a stall: %v", len(r.Peers), r.Err, test.peers, test.stalls)
				}
				if test.takes == fetchLimit && !errors.Is(r.Err, context.DeadlineExceeded) {
					t.Errorf("got %v, want that the time is over", r.Err)
				}
				time.Sleep(time.Hour)
			})
		})
	}
}

// TestFetchGivenUp: the task is stopped with its actor.
func TestFetchGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFetcher(t, &server{answer: func(ctx context.Context, _ func([]byte) error) error { return pause(ctx, time.Hour) }})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if r := d.fetch(ctx, fetching{N: 1}); !errors.Is(r.Err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("got %v after %v", r.Err, time.Since(began))
		}
		time.Sleep(time.Hour)
	})
}

// TestFetchOffence has a server that sends more than it was asked for.
//
// conforms: dht 120
func TestFetchOffence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now, sent := time.Now(), 0
		d := newFetcher(t, &server{answer: func(_ context.Context, send func([]byte) error) error {
			for n := range 5 {
				sent++
				if send(itemOf(t, n+1, now)) != nil {
					return errors.New("the call was ended")
				}
			}
			return nil
		}})
		r := d.fetch(t.Context(), fetching{N: 2, Connected: true})
		v, ok := errors.AsType[*protocol.Violation](r.Err)
		if !ok || v.Ban != protocol.BanLong || !errors.Is(r.Err, netsync.ErrTooManyPeers) || len(r.Peers) != 2 || sent != 3 {
			t.Errorf("got %d peers of %d sent, %v, want two and an offence", len(r.Peers), sent, r.Err)
		}
	})
}
