package actors

import (
	"reflect"
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

// TestEnvStaysSmall: what one actor keeps belongs to a type of that actor, and what
// a part keeps to the part.
func TestEnvStaysSmall(t *testing.T) {
	const most = 30
	if n := reflect.TypeFor[env]().NumField(); n > most {
		t.Errorf("got %d fields shared by all actors of the trunk, want %d at most", n, most)
	}
}
