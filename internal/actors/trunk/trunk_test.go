package trunk

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestUnlimited: what a peer sends is no flood when the peer is on the allow list,
// and when somebody wants it connected.
//
// conforms: V 28
func TestUnlimited(t *testing.T) {
	peer := identity.NodeID{1}
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		set  func(*rooms)
		want bool
	}{
		"a stranger":  {func(*rooms) {}, false},
		"allowed":     {func(h *rooms) { h.AllowList().Set(peer, struct{}{}) }, true},
		"wanted":      {func(h *rooms) { h.connectivity.Protected.Set(peer, []string{"somebody"}) }, true},
		"another one": {func(h *rooms) { h.AllowList().Set(identity.NodeID{2}, struct{}{}) }, false},
	} {
		h := newRooms(Settings{Base: base.Settings{System: actor.NewActorSystem(), Secret: secret, Now: time.Now}})
		test.set(h)
		if got := (Trunk{h}).Unlimited(peer); got != test.want {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}

// TestFirstIdentityHasTheMarker: a peer that connects before the actors of the protocols run
// sees that the node has the DHT, so it does not leave it out for as long as the connection
// lives.
func TestFirstIdentityHasTheMarker(t *testing.T) {
	for _, dht := range []bool{true, false} {
		secret, err := identity.NewSecret(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		n := NewNode(Settings{
			Base:     base.Settings{System: actor.NewActorSystem(), Root: "node", Profile: protocol.Tari(protocol.LocalNet), Secret: secret, Features: identity.FeatureNode, Now: time.Now},
			Messages: messengers.Settings{NodeCredit: 1 << 20, PeerCredit: 1 << 16, DHT: dht, PlainID: protocol.PlainID},
		})
		m, err := n.NewIdentity([]ma.Multiaddr{ma.StringCast("/memory/1")}, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(m.Protocols, protocol.DHTMarker); got != dht {
			t.Errorf("with the DHT %v: got the protocols %v", dht, m.Protocols)
		}
	}
}
