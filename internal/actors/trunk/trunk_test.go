package trunk

import (
	"crypto/rand"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestUnlimited: what a peer sends is no flood when the peer is on the allow list,
// and when somebody wants it connected.
//
// conforms: V 28
func TestUnlimited(t *testing.T) {
	peer := identity.NodeID{1}
	for name, test := range map[string]struct {
		set  func(*env)
		want bool
	}{
		"a stranger":  {func(*env) {}, false},
		"allowed":     {func(e *env) { e.Allowed.Set(peer, struct{}{}) }, true},
		"wanted":      {func(e *env) { e.Protected.Set(peer, []string{"somebody"}) }, true},
		"another one": {func(e *env) { e.Allowed.Set(identity.NodeID{2}, struct{}{}) }, false},
	} {
		e := new(env)
		test.set(e)
		if got := (Trunk{e}).Unlimited(peer); got != test.want {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}

// TestEnvStaysSmall: what one actor keeps belongs to a type of that actor, and what
// a part keeps to the part.
func TestEnvStaysSmall(t *testing.T) {
	const most = 30
	if n := reflect.TypeFor[env]().NumField(); n > most {
		t.Errorf("got %d fields shared by all actors of the trunk, want %d at most", n, most)
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
			System: actor.NewActorSystem(), Root: "node", Profile: protocol.Tari(protocol.LocalNet), Secret: secret,
			Features: identity.FeatureNode, Now: time.Now, NodeCredit: 1 << 20, PeerCredit: 1 << 16, DHT: dht, PlainID: protocol.PlainID,
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
