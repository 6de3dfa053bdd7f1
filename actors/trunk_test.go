package actors

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
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
