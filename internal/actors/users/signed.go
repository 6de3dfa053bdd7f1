package users

import (
	"sync"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/lru"
)

// maxSigned is how many claims of this node are remembered. It signs one when its addresses change.
const maxSigned = 1024

// signed remembers the claims that this node has signed since its start: the last ones, and up to which date there
// were others.
type signed struct {
	mu        sync.Mutex
	all       lru.Map[identity.Signature, struct{}]
	forgotten int64 // the last date of those that are not in all, in seconds since 1970; 0: there are none
}

func (s *signed) add(of identity.Signature) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Most = maxSigned
	if oldest, _, ok := s.all.Oldest(); ok && s.all.Len() == maxSigned {
		s.forgotten = max(s.forgotten, oldest.UpdatedAt)
	}
	s.all.Use(of)
}

func (s *signed) has(of identity.Signature) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return of.UpdatedAt <= s.forgotten || s.all.Get(of) != nil
}

// Signed reports whether this node has signed a claim since its start, or may have: of more than 1,024 the dates of
// the oldest alone are known.
func (r *Room) Signed(of identity.Signature) bool { return r.signed.has(of) }
