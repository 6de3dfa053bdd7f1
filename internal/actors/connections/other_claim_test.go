package connections

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/link"
	"github.com/gamelan-p2p/gamelan/internal/protocol/reach"
)

// TestOtherClaim: a connection remembers the other claim of its peer by which the one before it was made,
// and for ten minutes that of one before a connection of its own claim.
func TestOtherClaim(t *testing.T) {
	now := time.Unix(1e9, 0)
	claim := func(n byte) identity.Claim {
		return identity.Claim{Signature: identity.Signature{Nonce: [32]byte{n}}}
	}
	conn := func(n byte, since time.Time, other *link.Other) *actors.ConnRef {
		ref := &actors.ConnRef{Since: since}
		c := claim(n)
		*ref.Link() = link.Link{Claim: &c, Other: other}
		return ref
	}
	if got := otherClaim(nil, claim(1), now); got != nil {
		t.Errorf("the first connection: got %+v, want none", got)
	}
	if got := otherClaim(conn(1, now, nil), claim(1), now); got != nil {
		t.Errorf("the same claim again: got %+v, want none", got)
	}
	got := otherClaim(conn(2, now, nil), claim(1), now.Add(time.Minute))
	if got == nil || got.Claim.Signature.Nonce[0] != 2 || !got.Since.Equal(now) {
		t.Fatalf("another claim: got %+v, want it, and since when", got)
	}
	again := conn(1, now.Add(time.Minute), got)
	if kept := otherClaim(again, claim(1), now.Add(2*time.Minute)); kept != got {
		t.Errorf("the own claim again: got %+v, want the other one", kept)
	}
	if kept := otherClaim(again, claim(1), now.Add(reach.DuplicateFor)); kept != nil {
		t.Errorf("ten minutes later: got %+v, want none", kept)
	}
}
