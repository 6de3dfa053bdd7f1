package connectivity

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// TestFloorCause says what the node does to reach its floor, in words that need no other.
func TestFloorCause(t *testing.T) {
	peer := identity.NodeID{1}
	for want, f := range map[string]floorDialer{
		"looking for 8 more nodes":                             {},
		"looking for 8 more nodes, dialling 1 now":             {dials: map[uint64]identity.NodeID{1: peer}},
		"no other node is known yet; add a seed, KEY::ADDRESS": {nobody: true},
	} {
		f.room = roomWith(t)
		if got := f.cause(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestFloorCauseOfKnownPeers has no choice of the floor dialler find a node, although peers are
// known: the cause does not say that there are none.
func TestFloorCauseOfKnownPeers(t *testing.T) {
	for want, known := range map[string][]identity.Features{
		"looking for 8 more nodes":                                      {identity.FeatureNode, identity.FeatureNone}, // learnt since that choice
		"none of the 2 known peers is a node; add a seed, KEY::ADDRESS": {identity.FeatureNone, identity.FeatureNone},
		"the only known peer is not a node; add a seed, KEY::ADDRESS":   {identity.FeatureNone},
		"no other node is known yet; add a seed, KEY::ADDRESS":          nil,
	} {
		f := floorDialer{room: roomWith(t, known...), nobody: true}
		if got := f.cause(); got != want {
			t.Errorf("%v: got %q, want %q", known, got, want)
		}
	}
	for want, known := range map[string][]identity.Features{
		"looking for 8 more nodes, but none of the 2 others that are known can be dialled now": {identity.FeatureNode, identity.FeatureNode},
		"looking for 8 more nodes, but the only other one that is known cannot be dialled now": {identity.FeatureNode}, // the other is connected since that choice
		"no other node is known yet; add a seed, KEY::ADDRESS":                                 nil,                    // so are both
	} {
		f := floorDialer{room: roomWith(t, known...), nobody: true, refused: 2}
		if got := f.cause(); got != want {
			t.Errorf("%d refused: got %q, want %q", len(known), got, want)
		}
	}
}

// roomWith returns the room of a node that is connected to nobody, wants 8 nodes, and
// knows peers with these features.
func roomWith(t *testing.T, known ...identity.Features) *Room {
	t.Helper()
	store, err := peerstore.Open(kv.Memory(), peerstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range known {
		secret, err := identity.NewSecret(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		features := known[store.View().Len()]
		if _, err := store.Add(time.Unix(1_800_000_000, 0), peerstore.Peer{Key: secret.PublicKey(), Features: features}); err != nil {
			t.Fatal(err)
		}
	}
	r := &Room{Base: new(base.Base), needs: recordsOf{store: store}}
	r.Floor = 8
	return r
}

// recordsOf are the needs of a node that knows the peers of a store.
type recordsOf struct {
	needs
	store *peerstore.Store
}

func (r recordsOf) Records() peerstore.View { return r.store.View() }

// TestUndialable says how many are known in the singular as well.
func TestUndialable(t *testing.T) {
	for n, want := range map[int]string{1: "the only other one that is known cannot be dialled now", 7: "none of the 7 others that are known can be dialled now"} {
		if got := undialable(n); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
