//go:build !race

package identity_test

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Under the race detector a pool forgets some of what it is given.
func TestHashesAllocateNothing(t *testing.T) {
	key, body := make([]byte, 32), make([]byte, 6000)
	if n := testing.AllocsPerRun(200, func() {
		identity.Hash256("domain", 1, "label", key, body)
		identity.HashScalar("domain", 1, "label", key, key)
		identity.PublicKey(key).NodeID()
	}); n > 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}
