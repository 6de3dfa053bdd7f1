package users

import (
	"sync"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/lru"
)

// maxSigned is how many claims of this node are remembered. It signs one when its addresses change.
const maxSigned = 1024

// signed remembers the claims that this node has signed since its start.
type signed struct {
	mu  sync.Mutex
	all lru.Map[identity.Signature, struct{}]
}

func (s *signed) add(of identity.Signature) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Most = maxSigned
	s.all.Use(of)
}

// Signed reports whether this node has signed a claim since its start.
func (r *Room) Signed(of identity.Signature) bool {
	r.signed.mu.Lock()
	defer r.signed.mu.Unlock()
	return r.signed.all.Get(of) != nil
}
