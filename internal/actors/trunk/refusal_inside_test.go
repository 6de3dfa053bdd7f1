package trunk

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestAdviceForANodeWithoutDHT has a node of another kind refuse plain messages:
// a sender without the DHT is told to start it first.
func TestAdviceForANodeWithoutDHT(t *testing.T) {
	for want, settings := range map[string]bool{
		"; send it messages of the DHT (":                                   true,
		"; start this node without NoDHT and send it messages of the DHT (": false,
	} {
		m := &Messaging{ID: protocol.PlainID, env: &env{}}
		m.env.Profile, m.env.DHT = protocol.Tari(protocol.LocalNet), settings
		to := &actors.ConnRef{Protocols: []protocol.ID{m.env.Profile.MessagingID}}
		if got := m.declined(to, nil).Error(); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
}

// TestFloorCause says what the node does to reach its floor, in words that need no other.
func TestFloorCause(t *testing.T) {
	peer := identity.NodeID{1}
	for want, f := range map[string]floorDialer{
		"looking for 8 more nodes":                             {},
		"looking for 8 more nodes, dialling 1 now":             {dials: map[uint64]identity.NodeID{1: peer}},
		"no other node is known yet; add a seed, KEY::ADDRESS": {nobody: true},
	} {
		f.env = envWith(t)
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
		f := floorDialer{env: envWith(t, known...), nobody: true}
		if got := f.cause(); got != want {
			t.Errorf("%v: got %q, want %q", known, got, want)
		}
	}
	for want, known := range map[string][]identity.Features{
		"looking for 8 more nodes, but none of the 2 others that are known can be dialled now": {identity.FeatureNode, identity.FeatureNode},
		"looking for 8 more nodes, but the only other one that is known cannot be dialled now": {identity.FeatureNode}, // the other is connected since that choice
		"no other node is known yet; add a seed, KEY::ADDRESS":                                 nil,                    // so are both
	} {
		f := floorDialer{env: envWith(t, known...), nobody: true, refused: 2}
		if got := f.cause(); got != want {
			t.Errorf("%d refused: got %q, want %q", len(known), got, want)
		}
	}
}

// envWith returns the environment of a node that is connected to nobody, wants 8 nodes, and
// knows peers with these features.
func envWith(t *testing.T, known ...identity.Features) *env {
	t.Helper()
	store, err := peerstore.Open(kv.Memory(), peerstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e := &env{}
	e.Floor, e.Store = 8, store
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
	return e
}

// TestUndialable says how many are known in the singular as well.
func TestUndialable(t *testing.T) {
	for n, want := range map[int]string{1: "the only other one that is known cannot be dialled now", 7: "none of the 7 others that are known can be dialled now"} {
		if got := undialable(n); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
