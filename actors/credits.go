package actors

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
)

// The limits of [NewCredits] for 0, in bytes.
const (
	DefaultPeerCredit  = credit.DefaultPeer
	DefaultTotalCredit = 64 << 20
)

// Credits bounds what frames of peers hold in memory until your actors have handled them. One frame
// holds its length and 256 bytes. Make one for a protocol, outside of its actor, which a restart
// replaces. Any goroutine may call its methods.
type Credits struct {
	perPeer int
	budget  *credit.Budget

	mu     sync.Mutex
	shares map[identity.NodeID]*share // of peers that hold credit or wait for it
}

// share is the credit of one peer.
type share struct {
	of      *Credits
	peer    identity.NodeID
	account *credit.Account
	users   int // frames that hold credit, and callers that wait for it; guarded by of.mu
}

// FrameTooLongError reports a frame that is longer than all frames of a peer together may be.
type FrameTooLongError struct{ Len, Limit int } // in bytes

// Error says what to do.
func (e *FrameTooLongError) Error() string {
	return fmt.Sprintf("actors: a frame of %d bytes is too long; at most %d are allowed: send shorter ones, or give NewCredits a higher limit", e.Len, e.Limit)
}

// NewCredits returns the credits of a protocol: perPeer bytes for the frames of one peer, total bytes
// for those of all. 0 is [DefaultPeerCredit] and [DefaultTotalCredit].
func NewCredits(perPeer, total int) *Credits {
	return &Credits{
		perPeer: cmp.Or(perPeer, DefaultPeerCredit),
		budget:  credit.NewBudget(int64(cmp.Or(total, DefaultTotalCredit))),
		shares:  make(map[identity.NodeID]*share),
	}
}

// Take takes credit for a frame of n bytes, and waits until it is there: a task that waits does not
// read, so the peer's writes wait as well. Callers for one peer are served in their order, and the
// peers that wait take turns. The message to the actor calls Finish and Discard of the Credit in
// methods of the same names, as [Frame] does. The error is a *[FrameTooLongError], or wraps ctx's.
func (c *Credits) Take(ctx context.Context, peer identity.NodeID, n int) (Credit, error) {
	if n < 0 || n > c.perPeer {
		return nil, &FrameTooLongError{n, c.perPeer}
	}
	s := c.enter(peer)
	if err := s.account.Take(ctx, n); err != nil {
		s.Finish(0)
		return nil, err
	}
	p := new(credit.Permit)
	p.Init(s.account, n)
	p.HeldBy(s)
	return p, nil
}

// Used returns the bytes that all frames hold.
func (c *Credits) Used() int { return int(c.budget.Used()) }

func (c *Credits) enter(peer identity.NodeID) *share {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.shares[peer]
	if s == nil {
		s = &share{of: c, peer: peer, account: c.budget.Account(int64(c.perPeer))}
		c.shares[peer] = s
	}
	s.users++
	return s
}

// Finish is called when the credit of one frame has gone back.
func (s *share) Finish(int64) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if s.users--; s.users == 0 {
		delete(s.of.shares, s.peer)
	}
}
