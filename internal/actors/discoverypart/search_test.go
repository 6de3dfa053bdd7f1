package discoverypart

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// TestRepliesGiveTheirPlacesBack loses the answers to as many requests as there are places, as
// a crash of the actor peers does: after a while there is room again.
func TestRepliesGiveTheirPlacesBack(t *testing.T) {
	author := func(n int) (id identity.NodeID) {
		binary.BigEndian.PutUint32(id[:], uint32(n))
		return id
	}
	now := time.Unix(0, 0)
	r := make(replies)
	for i := range maxReplying {
		r.add(now, author(i), uint64(i))
	}
	now = now.Add(replyWait - 1)
	r.add(now, author(0), 7) // again
	r.add(now, author(maxReplying), 1)
	if _, ok := r.take(author(maxReplying)); ok || len(r) != maxReplying {
		t.Errorf("got %d that wait, want those that came first", len(r))
	}
	now = now.Add(1)
	r.add(now, author(maxReplying), 1)
	if nonce, ok := r.take(author(maxReplying)); !ok || nonce != 1 {
		t.Errorf("got %d, %t, want room for the next", nonce, ok)
	}
	if nonce, ok := r.take(author(0)); !ok || nonce != 7 || len(r) != 0 {
		t.Errorf("got %d, %t and %d that wait, want the one that came again alone", nonce, ok, len(r))
	}
}
